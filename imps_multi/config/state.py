"""Where the state store of a directory hub lies."""

import os
from pathlib import Path

from imps_multi.config.load import ConfigProblem, InvalidConfiguration, Loaded


def state_root(loaded: Loaded) -> Path:
    """Return where the state store is.

    Raises:
        InvalidConfiguration: none is configured, and there is no home for one.
    """
    hub = loaded.configuration.hub
    return hub.state_directory or _state_home(loaded) / "imps-multi" / hub.id


def _state_home(loaded: Loaded) -> Path:
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():  # any other is to be ignored, says the XDG specification
        return given
    try:
        return Path("~/.local/state").expanduser()
    except RuntimeError:
        message = "is required here: neither XDG_STATE_HOME nor HOME says where state is kept"
        raise InvalidConfiguration([ConfigProblem(loaded.place("hub"), "hub.stateDirectory", message)]) from None
