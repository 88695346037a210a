"""The registry is taken from where it is named, else from the PATH, else from the cache; what is missing is said."""

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


def test_without_apt_it_says_what_to_install_or_to_name(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    with pytest.raises(MissingRegistryError, match=r"there is no apt-get .* Install docker-registry, or set"):
        ensure(environ)
    assert list(cache_root(environ).glob("*/*")) == []


@pytest.mark.parametrize(("fails", "calls"), [("download", "download update download"), ("", "download")])
def test_apt_s_lists_are_renewed_only_where_they_lack_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, calls: str
) -> None:
    """A stand-in for apt-get notes what it is told, and fails as told."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    notes, tools = tmp_path / "notes", tmp_path / "tools"
    script = f'#!/bin/sh\necho "$1" >> {notes}\n[ "$1" != "{fails}" ] || {{ echo "no such package" >&2; exit 100; }}\n'
    for name, text in (("apt-get", script), ("dpkg-deb", "#!/bin/sh\nexit 1\n")):
        binary_in(tools / name, name).write_text(text)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": f"{tools}/apt-get:{tools}/dpkg-deb:/usr/bin:/bin"}
    with pytest.raises(MissingRegistryError, match="no such package" if fails else "apt-get download"):
        ensure(environ)
    assert notes.read_text().split() == calls.split()
