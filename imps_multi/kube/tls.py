"""TLS contexts: one per distinct trust and client certificate, shared by every cluster that has the same.

Built in a thread, since loading the system's bundle blocks for tens of milliseconds. A private key never touches a
disk where the system has memory files. Fed by connections and exec plugins, used by ``transport``.
"""

import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from imps_multi.kube.connection import KeyPair

STRICT: Final = 0x20
"""X509_V_FLAG_X509_STRICT, on by default from Python 3.13: it refuses what kubeadm's and other clusters' CAs sign."""


class TlsContexts:
    """Hands out contexts by what they are made of; one that no client uses any more is forgotten."""

    def __init__(self) -> None:
        self._contexts: WeakValueDictionary[bytes, ssl.SSLContext] = WeakValueDictionary()
        self._building = anyio.Lock()

    async def context(self, *, ca: bytes | None, insecure: bool, certificate: KeyPair | None) -> ssl.SSLContext:
        """Return the context of these parts. Raises ssl.SSLError where a part is no valid PEM."""
        key = _digest(ca, insecure, certificate)
        async with self._building:
            context = self._contexts.get(key)
            if context is None:
                build = partial(build_context, ca=ca, insecure=insecure, certificate=certificate)
                context = self._contexts[key] = await anyio.to_thread.run_sync(build)
        return context


def _digest(ca: bytes | None, insecure: bool, certificate: KeyPair | None) -> bytes:  # noqa: FBT001 - the parts in turn
    pair = (certificate.certificate, certificate.key) if certificate else (b"", b"")
    parts = (b"system" if ca is None else ca, b"insecure" if insecure else b"", *pair)
    return hashlib.blake2b(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def build_context(*, ca: bytes | None, insecure: bool, certificate: KeyPair | None) -> ssl.SSLContext:
    """Build one; blocks. Trust is as Go has it: a certificate in the bundle is trusted, root or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~STRICT
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
    if certificate is not None:
        _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    with _as_file(pair.certificate + b"\n" + pair.key) as path:
        # Without a password of some kind OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(path, password="")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give the content a path, since OpenSSL takes a certificate from nothing else."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:  # made with mode 0600, gone at the end of the block
            file.write(content)
            file.flush()
            yield file.name
        return
    with open(os.memfd_create("client-certificate"), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
