"""Finds or builds the two servers of the test bed: kube-apiserver and etcd.

``KUBEBUILDER_ASSETS`` wins where it names both; else they lie in the user's cache directory, under a key made from
everything that shapes them; else they are built there from Go modules by ``python -m tests.realcluster.binaries``,
which ``make test`` calls. It must not write into the work tree and never leaves half a build where a finished one is
looked for. Feeds the bed's fixtures.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).parent / "servers"
ETCD_PACKAGE = "go.etcd.io/etcd/server/v3"
APISERVER_PACKAGE = "k8s.io/kubernetes/cmd/kube-apiserver"


class MissingBinariesError(Exception):
    """The servers are neither there nor to be built; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where the two servers lie."""

    etcd: Path
    apiserver: Path

    @classmethod
    def within(cls, directory: Path) -> "Binaries | None":
        """Return the servers in a directory, or None unless both are there and may be run."""
        found = cls(etcd=directory / "etcd", apiserver=directory / "kube-apiserver")
        return found if all(os.access(path, os.X_OK) for path in (found.etcd, found.apiserver)) else None


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the project's own directory in the user's cache."""
    base = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or str(Path.home()), ".cache")  # noqa: PTH118 - from a mapping, not the process
    return Path(base) / "imps-multi"


def version_of(module: str) -> str:
    """Return the version that the recipe pins for a module, such as ``v1.36.3``."""
    pinned = re.search(rf"^\s*{re.escape(module)} (v\S+)", (RECIPE / "go.mod").read_text(), re.MULTILINE)
    assert pinned is not None
    return pinned[1]


def linker_flags() -> str:
    """Return flags that drop debug data and make the server report its true version, which clients look at."""
    version = version_of("k8s.io/kubernetes")
    major, minor, _patch = version.removeprefix("v").split(".")
    stamp = "k8s.io/component-base/version"
    return f"-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"


def versions_key() -> str:
    """Return the name of the cache entry; it changes with the recipe, the flags and the platform."""
    recipe = b"".join((RECIPE / name).read_bytes() for name in ("go.mod", "go.sum")) + linker_flags().encode()
    versions = f"kubernetes-{version_of('k8s.io/kubernetes')}-etcd-{version_of(ETCD_PACKAGE)}"
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return f"{versions}-{machine}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def find(environ: Mapping[str, str]) -> Binaries | None:
    """Return the servers named by the environment or built earlier, without building any."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    named = Binaries.within(Path(assets)) if assets else None
    return named or Binaries.within(cache_root(environ) / versions_key())


def ensure(environ: Mapping[str, str]) -> Binaries:
    """Return the servers, built now if need be; two callers at once build once.

    Raises:
        MissingBinariesError: no Go, or its build failed.

    """
    if found := find(environ):
        return found
    root = cache_root(environ)
    root.mkdir(parents=True, exist_ok=True)
    with alone(root / f"{versions_key()}.lock"):
        return find(environ) or _build(environ, root)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file: of two processes that would fetch or build the same thing, one waits."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # let go when the file is closed, or by the system when the process dies
        yield


def _build(environ: Mapping[str, str], root: Path) -> Binaries:
    go = go_command(environ)
    with tempfile.TemporaryDirectory(dir=root, prefix="building-") as scratch:
        finished = Path(scratch) / "servers"
        finished.mkdir()
        for package, name in ((ETCD_PACKAGE, "etcd"), (APISERVER_PACKAGE, "kube-apiserver")):
            _say(f"Building {name} into {root}; once, several minutes when Go's own cache is empty")
            _compile(go, package, finished / name, environ)
        finished.rename(root / versions_key())  # whole or not at all
    built = find(environ)
    assert built is not None
    return built


def _compile(go: str, package: str, output: Path, environ: Mapping[str, str]) -> None:
    # -buildvcs=false: git may refuse to read the checkout that holds the recipe, and the version is stamped anyway.
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", linker_flags(), "-o", str(output), package]
    home = {} if environ.get("HOME") else {"HOME": str(Path.home())}
    done = subprocess.run(command, cwd=RECIPE, env={**environ, **home, "CGO_ENABLED": "0"}, check=False)  # noqa: S603 - our own recipe
    if done.returncode:
        raise MissingBinariesError(
            f"`go build {package}` failed (exit {done.returncode}); its words are above. It needs the Go version of "
            f"{RECIPE / 'go.mod'}, a Go module proxy that answers, and 4 GB of disk. Or set KUBEBUILDER_ASSETS to a "
            "directory that holds kube-apiserver and etcd."
        )


def go_command(environ: Mapping[str, str]) -> str:
    """Return the path of Go. Raises: MissingBinariesError."""
    search = os.pathsep.join((environ.get("PATH", ""), "/usr/local/go/bin"))  # where Go's own archive is unpacked
    if go := shutil.which("go", path=search):
        return go
    raise MissingBinariesError(
        "kube-apiserver and etcd are built from Go modules, and there is no `go` on the PATH. Install Go, or set "
        "KUBEBUILDER_ASSETS to a directory that holds kube-apiserver and etcd."
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Make sure of the servers and print where they lie."""
    try:
        found = ensure(os.environ)
    except MissingBinariesError as missing:
        _say(f"error: {missing}")
        return 3
    _say(f"kube-apiserver: {found.apiserver}\netcd: {found.etcd}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
