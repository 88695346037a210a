"""The status as the hub's policies show it, for ``status`` where no instance can be asked. Writes nothing."""

from typing import Any

import anyio
import anyio.to_thread
import msgspec

from imps_multi.app.hub_parts import HubUnreachable
from imps_multi.app.members import members
from imps_multi.config.load import Loaded
from imps_multi.kube.hub_definition import NOT_INSTALLED
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.hub_objects import POLICIES
from imps_multi.kube.shared import Shared
from imps_multi.kube.transport import Call
from imps_multi.model.names import HubId
from imps_multi.model.status import ServiceStatus
from imps_multi.model.status_from_hub import status_from_hub
from imps_multi.ports import NotFound, PortError

LIST = Call("list the policies", "GET", POLICIES)
PATIENCE = 10.0


class _List(msgspec.Struct):
    items: list[dict[str, Any]] = []


async def hub_status(loaded: Loaded) -> ServiceStatus:
    """Read it from a hub in a cluster.

    Raises:
        HubUnreachable: it does not answer, or not with policies.
        InvalidConfiguration: what the configuration points to is not right.
    """
    shared = Shared(hub=HubId(loaded.configuration.hub.id))
    connection = (await anyio.to_thread.run_sync(members, loaded, shared)).hub
    if connection is None:
        raise HubUnreachable("the hub is a directory, which holds no status")
    link = HubLink(connection, request_timeout=PATIENCE, shared=shared)
    try:
        body = await link.call(LIST)
        return status_from_hub(loaded.configuration.hub.id, msgspec.json.decode(body, type=_List).items)
    except NotFound as error:
        raise HubUnreachable(f"{connection.place}: {NOT_INSTALLED}") from error
    except (PortError, msgspec.DecodeError) as error:
        raise HubUnreachable(f"the hub cannot be asked: {error}") from error
    finally:
        await link.aclose()
