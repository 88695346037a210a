"""The registry is taken from where it is named, else from the PATH, else from the cache; what is missing is said."""

import os
from pathlib import Path

import pytest

from tests.realcluster.binaries import cache_root
from tests.realregistry.package import MissingRegistryError, ensure, find, system


def binary_in(directory: Path, name: str = "docker-registry") -> Path:
    directory.mkdir(parents=True)
    (directory / name).touch(mode=0o755)
    return directory / name


def test_a_named_registry_wins_over_the_path_and_the_path_over_the_cache(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
    cached = binary_in(cache_root(environ) / f"docker-registry-{system()}")
    assert find(environ) == cached
    installed = binary_in(tmp_path / "bin")
    environ["PATH"] = str(installed.parent)
    assert find(environ) == installed
    environ["DOCKER_REGISTRY"] = str(binary_in(tmp_path / "named", "registry"))
    assert find(environ) == tmp_path / "named" / "registry"


def tools(directory: Path, **scripts: str) -> str:
    """Make stand-ins for programs; each is a line of shell after a note of what it was told. Return their PATH."""
    for name, line in scripts.items():
        binary_in(directory / name, name.replace("_", "-")).write_text(
            f'#!/bin/sh\necho "{name} $1" >> {directory}/notes\n{line}\n'
        )
    return os.pathsep.join([*(str(directory / name) for name in scripts), "/usr/bin", "/bin"])


def told(directory: Path) -> list[str]:
    return (directory / "notes").read_text().splitlines()


FAILS = "echo 'no such thing' >&2; exit 100"


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_without_apt_and_go_it_says_what_to_install_or_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    with pytest.raises(MissingRegistryError, match=r"no apt-get .* no `go` .* Install docker-registry, or set"):
        ensure(environ)
    assert list(cache_root(environ).glob("*/*")) == []


@pytest.mark.usefixtures("root")
def test_the_package_is_fetched_once_and_its_binary_kept(tmp_path: Path) -> None:
    unpack = 'mkdir -p "$3/usr/bin"; echo x > "$3/usr/bin/docker-registry"; chmod +x "$3/usr/bin/docker-registry"'
    path = tools(tmp_path / "tools", apt_get="touch some.deb", dpkg_deb=unpack)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": path}
    assert ensure(environ) == ensure(environ) == cache_root(environ) / f"docker-registry-{system()}" / "docker-registry"
    assert told(tmp_path / "tools") == ["apt_get download", "dpkg_deb -x"]


@pytest.mark.usefixtures("root")
def test_where_apt_has_no_such_package_its_lists_are_renewed_and_then_go_builds_it(tmp_path: Path) -> None:
    build = 'echo x > "$GOBIN/registry"; chmod +x "$GOBIN/registry"'
    path = tools(tmp_path / "tools", apt_get=f'[ "$1" = update ] || {{ {FAILS}; }}', dpkg_deb=FAILS, go=build)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": path}
    assert os.access(ensure(environ), os.X_OK)
    assert told(tmp_path / "tools") == ["apt_get download", "apt_get update", "apt_get download", "go install"]


@pytest.mark.usefixtures("root")
def test_what_failed_is_said(tmp_path: Path) -> None:
    path = tools(tmp_path / "tools", apt_get=FAILS, dpkg_deb=FAILS, go=FAILS)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": path}
    with pytest.raises(MissingRegistryError, match=r"download docker-registry` failed \(no such thing\); `go install"):
        ensure(environ)
    assert find(environ) is None
