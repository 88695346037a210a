"""The keys of one of the process's profiles, by a botocore session that borrows what is large from the shared one.

A session of its own costs 9 MB for the data that it reads; this one reads the profile's files alone, anew at each mint,
so that a rotated key is taken up, and is dropped thereafter. Blocks; called in a thread by the ECR provider alone;
imported with aiobotocore.
"""

from typing import Any

from aiobotocore.session import get_session


def profile_resolver(shared: Any, profile: str, region: str) -> Any:
    """Return what finds a profile's keys, in ``region`` where the process's settings name none.

    Raises:
        ProfileNotFound: there is none of that name.
    """
    session = get_session()
    # Set here and not by the environment: the environment's keys then do not go before the profile's.
    session.set_config_variable("profile", profile)
    session.register_component("data_loader", shared.get_component("data_loader"))
    session.user_agent_extra = shared.user_agent_extra
    session.set_default_client_config(shared.get_default_client_config())
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", region)
    return session.get_component("credential_provider")
