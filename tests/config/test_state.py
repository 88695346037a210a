"""Where the state of a directory hub lies, also where there is no home."""

from pathlib import Path

import pytest

from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.config.state import state_root

NOBODY = "~nobody-is-called-that"


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    path = tmp_path / "c.yaml"
    path.write_text(f"hub: {{id: mgmt, directory: '{NOBODY}/hub'}}\nclusters: []\n")
    return load(path, {})


def test_it_is_under_the_state_home_by_the_hubs_id(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib")
    assert state_root(loaded) == Path("/var/lib/imps-multi/mgmt")
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/home/me")
    assert state_root(loaded) == Path("/home/me/.local/state/imps-multi/mgmt")


def test_without_a_home_it_must_be_configured(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError(f"Could not determine home directory for {path}.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(InvalidConfiguration, match=r"c\.yaml:1:1: hub\.stateDirectory: is required here: neither XDG"):
        state_root(loaded)


def test_a_home_that_is_nobodys_stays_as_it_is_written(loaded: Loaded, tmp_path: Path) -> None:
    assert loaded.configuration.hub.directory == tmp_path / NOBODY / "hub"
