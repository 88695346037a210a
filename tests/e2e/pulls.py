"""Pods that start without pause: what every namespace's Secret lets a kubelet log in with is tried, again and again.

Each turn reads the Secrets as they are, looks every image up in them as a kubelet does, and pulls it as a runtime does.
A pull that was begun is finished before a registry may withdraw anything (``between_pulls``): the overlap of two
credentials is at least one pull long. Runs on a thread; feeds the tests of logins.
"""

import base64
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests import kubelet
from tests.e2e.manifests import PULL
from tests.e2e.targets import by_namespace
from tests.kubelet import Keyring, Login
from tests.realcluster.cluster import RealCluster
from tests.realregistry.runtime import Image, RefusedError, pull

REST = 0.02


def keyrings(cluster: RealCluster, name: str = PULL) -> dict[str, Keyring]:
    """Return what a kubelet makes of every namespace's Secret. Raises: kubelet.UnreadableError."""
    return {
        namespace: kubelet.keyring(
            secret["type"], {key: base64.b64decode(value) for key, value in secret["data"].items()}
        )
        for namespace, secret in by_namespace(cluster, name).items()
    }


class Puller:
    """The pods; a context manager. It fails at its end where its thread has failed."""

    def __init__(self, cluster: RealCluster, images: Iterable[Image]) -> None:
        self._cluster = cluster
        self._images = tuple(images)
        self._ended = threading.Event()
        self._pulling = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._failure: Exception | None = None
        self.pulled: Counter[tuple[str, Image, Login]] = Counter()
        """How often a namespace pulled an image with a login."""
        self.refused: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def everywhere(self, image: Image, login: Login, namespaces: Iterable[str]) -> bool:
        """Say whether every namespace has pulled an image with this login."""
        return all(self.pulled[namespace, image, login] for namespace in namespaces)

    @contextmanager
    def between_pulls(self) -> Iterator[None]:
        """Hold the next pull back until this ends."""
        with self._pulling:
            yield

    def _run(self) -> None:
        try:
            while not self._ended.wait(REST):
                with self._pulling:
                    self._turn()
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            self._failure = error

    def _turn(self) -> None:
        for namespace, ring in keyrings(self._cluster).items():
            for image in self._images:
                logins = kubelet.logins(str(image), [ring])
                try:
                    pull(image, logins)
                except RefusedError as error:
                    self.refused.append(f"{namespace}: {image}: {error}")
                else:
                    self.pulled[namespace, image, logins[0]] += 1
