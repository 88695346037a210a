"""Where the state store of a configuration lies."""

import os
from pathlib import Path

from imps_multi.config.model import Configuration


def state_root(configuration: Configuration) -> Path:
    """Return where the state store is."""
    hub = configuration.hub
    if hub.state_directory is not None:
        return hub.state_directory
    base = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "imps-multi" / hub.id
