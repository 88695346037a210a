"""Finds or fetches the registry of the test bed: Debian's ``docker-registry``, the binary alone.

``DOCKER_REGISTRY`` wins where it names one; else one on the PATH; else it lies in the user's cache directory, under a
key made from the system it was made for; else ``python -m tests.realregistry.package``, which ``make test`` calls, has
apt fetch the package and unpacks it there, and where that cannot be, builds upstream's from Go modules. Nothing is
installed and no service is started. Feeds the bed's fixtures.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.realcluster.binaries import MissingBinariesError, alone, cache_root, go_command

NAME = "docker-registry"
MODULE = "github.com/distribution/distribution/v3/cmd/registry@v3.0.0"
WITHIN = 900.0


class MissingRegistryError(Exception):
    """The registry is neither there nor to be had; the message says what is missing."""


def find(environ: Mapping[str, str]) -> Path | None:
    """Return the registry that is named, on the PATH or fetched earlier, without fetching any."""
    named = environ.get("DOCKER_REGISTRY")
    for path in (named, shutil.which(NAME, path=environ.get("PATH", os.defpath)), _cached(environ)):
        if path and os.access(path, os.X_OK):
            return Path(path)
    return None


def ensure(environ: Mapping[str, str]) -> Path:
    """Return the registry, fetched now if need be; two callers at once fetch once.

    Raises:
        MissingRegistryError: neither apt nor Go can give it.
    """
    if found := find(environ):
        return found
    cached = _cached(environ)
    cached.parent.parent.mkdir(parents=True, exist_ok=True)
    with alone(cached.parent.with_suffix(".lock")):
        return find(environ) or _fetch(environ, cached)


def system() -> str:
    """Return the name of the cache entry: the binary is linked against the C library of one release."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    words = (release.get("ID", platform.system()), release.get("VERSION_ID", ""), platform.machine())
    return "-".join(word.lower() for word in words if word)


def _cached(environ: Mapping[str, str]) -> Path:
    return cache_root(environ) / f"{NAME}-{system()}" / NAME


def _fetch(environ: Mapping[str, str], cached: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=cached.parent.parent, prefix="fetching-") as scratch:
        finished = Path(scratch) / "finished"
        finished.mkdir()
        refusals = []
        for fetch in (_unpack, _build):
            try:
                fetch(environ, Path(scratch)).rename(finished / NAME)
            except MissingRegistryError as error:
                refusals.append(str(error))
            else:
                finished.rename(cached.parent)  # whole or not at all
                return cached
    raise MissingRegistryError(
        f"The tests of logins need Debian's {NAME}, and {'; '.join(refusals)}. Install {NAME}, or set DOCKER_REGISTRY "
        "to the path of such a binary (upstream calls it `registry`)."
    )


def _unpack(environ: Mapping[str, str], scratch: Path) -> Path:
    """Have apt fetch the package, and take the binary out of it."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool, path=environ.get("PATH", os.defpath)) is None:
            raise MissingRegistryError(f"there is no {tool} to fetch it with")
    _say(f"Fetching {NAME}; once")
    if refusal := _run(["dpkg-deb", "-x", str(_downloaded(environ, scratch)), str(scratch / "package")], environ):
        raise MissingRegistryError(f"the package cannot be unpacked ({refusal})")
    return scratch / "package/usr/bin" / NAME


def _downloaded(environ: Mapping[str, str], directory: Path) -> Path:
    """Have apt fetch the package; where it does not know it, and we may, its lists are renewed first."""
    download = ["apt-get", "download", "-qq", NAME]
    refusal = _run(download, environ, directory)
    if refusal and os.geteuid() == 0:
        refusal = _run(["apt-get", "update", "-qq"], environ, directory) or _run(download, environ, directory)
    package = next(directory.glob("*.deb"), None)
    if package is None:
        root = "" if os.geteuid() == 0 else "; as root, apt's lists would be renewed"
        raise MissingRegistryError(f"`apt-get download {NAME}` failed ({refusal}){root}")
    return package


def _build(environ: Mapping[str, str], scratch: Path) -> Path:
    """Have Go build upstream's registry; its checksum database vouches for what is built."""
    try:
        go = go_command(environ)
    except MissingBinariesError:
        raise MissingRegistryError("there is no `go` to build it with") from None
    _say(f"Building {MODULE}; once, some minutes")
    home = {} if environ.get("HOME") else {"HOME": str(Path.home())}
    built = {**environ, **home, "GOBIN": str(scratch), "CGO_ENABLED": "0"}
    if refusal := _run([go, "install", "-trimpath", "-ldflags=-s -w", MODULE], built):
        raise MissingRegistryError(f"`go install {MODULE}` failed ({refusal})")
    return scratch / "registry"


def _run(command: list[str], environ: Mapping[str, str], directory: Path | None = None) -> str:
    """Run a command; return the end of what it complained of, empty where all went well."""
    done = subprocess.run(  # noqa: S603 - fixed words
        command, cwd=directory, env=dict(environ), capture_output=True, text=True, check=False, timeout=WITHIN
    )
    return (done.stderr.strip() or f"exit {done.returncode}")[-300:] if done.returncode else ""


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Make sure of the registry and print where it lies."""
    try:
        found = ensure(os.environ)
    except MissingRegistryError as missing:
        _say(f"error: {missing}")
        return 3
    _say(f"{NAME}: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
