"""What finds the keys of the process's profiles: for each a botocore session that borrows what is large.

A session of its own would cost 9 MB for the data that it reads. This one reads the profile's files alone, and is made
anew when they have changed, so that a rotated key is taken up; to make it at each mint was half of what such a mint
costs. Blocks; called in the threads of ``aws_borrowing``, for one profile in one region by one at a time; imported with
aiobotocore.
"""

from pathlib import Path
from typing import Any

from aiobotocore.session import get_session

from imps_multi.file_signature import signature


class Profiles:
    """Resolvers by profile and region, with the state of the files that each was made of."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self._made: dict[tuple[str, str], tuple[object, Any]] = {}

    def resolver(self, profile: str, region: str) -> Any:
        """Return what finds a profile's keys, in ``region`` where the process's settings name none.

        Raises:
            ProfileNotFound: there is none of that name.
        """
        state = [_state(self._shared.get_config_variable(name)) for name in ("config_file", "credentials_file")]
        made = self._made.pop((profile, region), None)
        if made is None or made[0] != state:
            made = state, self._make(profile, region)
        self._made[profile, region] = made  # of one that could not be made nothing is kept
        return made[1]

    def _make(self, profile: str, region: str) -> Any:
        session = get_session()
        # Set here and not by the environment: the environment's keys then do not go before the profile's.
        session.set_config_variable("profile", profile)
        session.register_component("data_loader", self._shared.get_component("data_loader"))
        session.user_agent_extra = self._shared.user_agent_extra
        session.set_default_client_config(self._shared.get_default_client_config())
        if session.get_config_variable("region") is None:
            session.set_config_variable("region", region)
        return session.get_component("credential_provider")


def _state(path: str) -> object:
    """Say which file is there, and in which state."""
    try:
        return signature(Path(path).expanduser().stat())
    except OSError:
        return None
