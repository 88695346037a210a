"""The servers are taken from where they are named, else from the cache, and what is missing is said."""

from pathlib import Path

import pytest

from tests.realcluster.binaries import MissingBinariesError, cache_root, ensure, find, version_of, versions_key


def servers_in(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch(mode=0o755)
    return directory


def test_named_assets_win_over_the_cache(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "KUBEBUILDER_ASSETS": str(tmp_path / "assets")}
    servers_in(cache_root(environ) / versions_key(), "etcd", "kube-apiserver")
    assets = servers_in(tmp_path / "assets", "etcd", "kube-apiserver", "kubectl")
    found = find(environ)
    assert found is not None
    assert found.apiserver.parent == assets


def test_assets_without_both_servers_do_not_count(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KUBEBUILDER_ASSETS": str(servers_in(tmp_path / "assets", "etcd"))}
    assert find(environ) is None
    cached = servers_in(tmp_path / ".cache" / "imps-multi" / versions_key(), "etcd", "kube-apiserver")
    found = find(environ)
    assert found is not None
    assert found.etcd.parent == cached


def test_a_build_that_cannot_be_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingBinariesError, match="no `go` on the PATH"):
        ensure({"XDG_CACHE_HOME": str(tmp_path)})
    assert not (cache_root({"XDG_CACHE_HOME": str(tmp_path)}) / versions_key()).exists()


def test_the_cache_entry_names_its_versions() -> None:
    assert versions_key().startswith(f"kubernetes-{version_of('k8s.io/kubernetes')}-etcd-v3.")
