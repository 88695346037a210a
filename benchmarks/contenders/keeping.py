"""What keepers cost, looked at from within: `keeping rest NUMBER`, `keeping mint NUMBER REQUEST`, `keeping imported`.

``rest``: resident bytes of so many keepers that have their tokens and wait. ``mint``: CPU of one ECR mint after the
first, as its keeper makes it, by the request given as JSON. ``imported``: which libraries a service has loaded before
its first mint. Prints JSON.
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from benchmarks.hub import password
from benchmarks.machine import memory
from imps_multi.actors.keepers import Keepers
from imps_multi.actors.service import ALONE
from imps_multi.actors.token_keeper import Mint, line, renew
from imps_multi.model.credential import MintedToken, MintIdentity
from imps_multi.model.upkeep import Upkeep
from imps_multi.ports import Provider, Section
from imps_multi.registries.providers import Providers
from imps_multi.runtime.supervisor import Supervisor
from imps_multi.telemetry.audit import AuditLog
from imps_multi.telemetry.logs import configure_logging
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.signals import ServiceSignals

LIBRARIES = ("aiobotocore", "botocore", "google", "azure", "jwt", "cryptography", "kubernetes_asyncio")
HALF_A_DAY = 43_200.0


class Forgetful:
    """A store that keeps nothing, as one on a disk keeps nothing in memory."""

    async def load(self, section: Section) -> Mapping[str, bytes]:  # noqa: ARG002 - a port's
        """Return nothing."""
        return {}

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write nothing."""

    async def delete(self, section: Section, key: str) -> None:
        """Take nothing away."""


class Giver:
    """A registry in this process: each identity gets a token of its own, as large as ECR's."""

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Return a token."""
        await asyncio.sleep(0)
        return MintedToken("AWS", password(identity.key), time.time(), time.time() + HALF_A_DAY)


def sharing(provider: Provider | None = None) -> Mint:
    """Return what keepers share; of no provider, the real ones."""
    real = Providers(time.time, lambda: ("127.0.0.1",)).provider_for
    return Mint(
        provider=real if provider is None else lambda _: provider,
        documented_life=lambda _: HALF_A_DAY,
        store=Forgetful(),
        signals=ServiceSignals(Metrics(), AuditLog()),
        clock=time.time,
        rand=random.random,
        line=line(),
    )


async def rest(number: int) -> dict[str, Any]:
    """Return what so many keepers hold once each has its token."""
    async with Supervisor(policy=ALONE, rand=random.random) as supervisor:
        keepers = Keepers(sharing(Giver()), {}, supervisor)
        few = [_identity(one) for one in range(10)]
        await _kept(keepers, few)
        before = memory()[0]
        await _kept(keepers, few + [_identity(one) for one in range(10, 10 + number)])
        held = memory()[0] - before
        await keepers.keep([])
    return {"each": held / number}


async def _kept(keepers: Keepers, identities: list[MintIdentity]) -> None:
    await keepers.keep(identities)
    while not all(state.token for state in keepers.states().values()):  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    gc.collect()


def _identity(number: int) -> MintIdentity:
    keys = {
        "accessKeyID": f"AKIA{number:016}",
        "secretKey": f"{number:040}",
        "roleArn": f"arn:aws:iam::{number:012}:role/pull",
    }
    return MintIdentity("ecr", f"{number:032x}", {"region": "eu-west-1", **keys})


async def mint(number: int, request: dict[str, str]) -> dict[str, Any]:
    """Return the CPU of the first mint, and of each of so many after it."""
    shared, identity = sharing(), MintIdentity("ecr", "one", request)
    began = time.process_time()
    upkeep = await renew(identity, shared, Upkeep())
    first = time.process_time() - began
    began = time.process_time()
    for _ in range(number):
        upkeep = await renew(identity, shared, upkeep)
        if upkeep.failure is not None:
            raise SystemExit(upkeep.failure.message)
    return {"first": first, "each": (time.process_time() - began) / number}


def imported() -> dict[str, Any]:
    """Return the clouds' libraries that are loaded though nothing was minted."""
    import_module("imps_multi.app")
    return {"loaded": [name for name in LIBRARIES if name in sys.modules]}


def main() -> None:
    configure_logging("json")
    match sys.argv[1:]:
        case ["rest", number]:
            found = asyncio.run(rest(int(number)))
        case ["mint", number, request]:
            found = asyncio.run(mint(int(number), json.loads(request)))
        case _:
            found = imported()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
