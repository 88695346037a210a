"""Answers of no use, from ECR's wire to the condition on the policy: what is said, and how rarely it is asked again.

What each answer means is asked over real HTTP, once; what follows of it in an hour, in virtual time.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import structlog
import trio.testing

from imps_multi.model.credential import MintedToken, MintIdentity, MintSource
from imps_multi.ports import PortError, Section
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import EPOCH, minted, policy
from tests.actors.stage import HOUR, Stage, ready, settled, status_of

from .fake_aws import Answer, FakeAws, fake_aws
from .secrets import KEYS, MARK, ecr, listed

NOW = EPOCH
SOON = NOW + 6 * HOUR


def encoded(login: str | bytes) -> str:
    return b64encode(login if isinstance(login, bytes) else login.encode()).decode()


def body(*data: Any) -> bytes:
    return json.dumps({"authorizationData": list(data)}).encode()


def entry(login: str | bytes = f"AWS:{MARK}", expires: object = SOON, **more: object) -> bytes:
    return body({"authorizationToken": encoded(login), "expiresAt": expires, **more})


REFUSED: dict[str, tuple[bytes, str]] = {
    "no colon": (entry(MARK), "user:password"),
    "no username": (entry(f":{MARK}"), "user:password"),
    "no password": (entry("AWS:"), "user:password"),
    "nothing in it": (entry(""), "user:password"),
    "expiry is past": (entry(expires=NOW - 1), "expiry is past"),
    "expiry in 2015": (entry(expires=1_420_070_400), "expiry is past"),
    "expiry in 9 s": (entry(expires=NOW + 9), "under 10 seconds"),
    "expiry before the epoch": (entry(expires=-1e10), ""),
    "expiry is no number": (entry(expires=MARK), ""),
    "expiry is a list": (entry(expires=[MARK]), ""),
    "expiry is beyond all calendars": (entry(expires=1e300), ""),
    "empty list": (body(), "no token"),
    "list of a text": (body(MARK), ""),
    "no list": (json.dumps({"authorizationData": MARK}).encode(), ""),
    "nothing": (b"", ""),
    "null": (b"null", ""),
    "a list alone": (b"[]", ""),
    "another answer": (json.dumps({"hello": MARK}).encode(), "no token"),
    "a token that is a number": (body({"authorizationToken": 7, "expiresAt": SOON}), ""),
    "a token that is null": (body({"authorizationToken": None, "expiresAt": SOON}), ""),
    "no base64": (body({"authorizationToken": f"%%{MARK}", "expiresAt": SOON}), "cannot be read"),
    "no text in the base64": (entry(b"AWS:\xff\xfe"), "cannot be read"),
    "over 64 KiB": (entry("AWS:" + "x" * 66_000), "larger than 64 KiB"),
    "five megabytes": (entry("AWS:" + "x" * 5_000_000), "larger than 256 KiB"),
    "five megabytes of no JSON": (MARK.encode() * 450_000, "larger than 256 KiB"),
    "no JSON": (b"<html>" + MARK.encode(), ""),
    "half of it": (entry()[:-20], ""),
    "deeper than anybody looks": (b"[" * 100_000, ""),
}
TAKEN: dict[str, tuple[bytes, float]] = {
    "no expiry": (body({"authorizationToken": encoded(f"AWS:{MARK}")}), 12 * HOUR),
    "expiry is null": (entry(expires=None), 12 * HOUR),
    "expiry in a hundred years": (entry(expires=NOW + 876_000 * HOUR), 24 * HOUR),
    "an endpoint of no sense": (entry(proxyEndpoint=f"javascript:\n{MARK}"), 6 * HOUR),
    "an endpoint that is a number": (entry(proxyEndpoint=7), 6 * HOUR),
    "two tokens": (body(*json.loads(entry())["authorizationData"], {"authorizationToken": "eA=="}), 6 * HOUR),
    "64 KiB": (entry("AWS:" + "x" * (65_536 - 3)), 6 * HOUR),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with fake_aws(AKIDEXAMPLE=MARK) as fake:
        yield fake


@pytest.fixture(scope="module")
def provider() -> EcrProvider:
    """One for all answers."""
    return EcrProvider(lambda: NOW, listed)


def outcome(aws: FakeAws, provider: EcrProvider, answer: bytes) -> MintedToken | PortError:
    """Ask over HTTP, once."""
    aws.instead = lambda _asked: Answer(200, answer)
    source = interpreter(ambient=AmbientRule(), endpoints=listed())(ecr(**KEYS, ecrEndpointURL=aws.url))
    assert isinstance(source, MintSource)

    async def ask() -> MintedToken | PortError:
        with anyio.fail_after(20):
            try:
                return await provider.mint(source.identity)
            except PortError as error:
                return error

    given = anyio.run(ask)
    assert MARK not in f"{given!r} {given} {getattr(given, '__cause__', None)!r}"
    return given


@dataclass
class Same:
    """A provider that gives the same at each call."""

    given: MintedToken | PortError
    calls: int = 0

    async def mint(self, identity: MintIdentity) -> MintedToken:
        """Give it."""
        assert identity.key == "one"
        await anyio.sleep(0.1)
        self.calls += 1
        if isinstance(self.given, PortError):
            raise self.given
        return self.given


def after_an_hour(given: MintedToken | PortError, look: Callable[[Stage, FakeCluster, Same, Any], None]) -> None:
    """Let the whole service live with that for an hour."""

    async def hour() -> None:
        same = Same(given)
        stage = Stage(minting=lambda _: same)
        cluster = stage.cluster("a", "team-0000")
        stage.hub.put(policy(sources=("ecr",)), minted())
        async with stage.running() as service:
            await settled(service, within=60.0)
            await anyio.sleep(HOUR)
            look(stage, cluster, same, service)

    with structlog.testing.capture_logs() as logged:
        clock = trio.testing.MockClock(autojump_threshold=0)
        anyio.run(hour, backend="trio", backend_options={"clock": clock})
    assert MARK not in str(logged)
    assert encoded(f"AWS:{MARK}") not in str(logged)


@pytest.mark.parametrize(("answer", "says"), REFUSED.values(), ids=REFUSED)
def test_an_answer_of_no_use_is_said_on_the_policy_counted_and_asked_for_ever_more_rarely(
    aws: FakeAws, provider: EcrProvider, answer: bytes, says: str
) -> None:
    def look(stage: Stage, cluster: FakeCluster, same: Same, service: Any) -> None:
        assert ready(service) == ("False", "SourceError")
        message = status_of(service).credentials[0].message
        assert message
        assert says in message
        assert 15 <= same.calls <= 25
        assert set(stage.signals.refreshes) == {("fake", False)}
        assert (cluster.secrets, stage.signals.crashes, stage.store.keys(Section.TOKENS)) == ({}, [], set())

    after_an_hour(outcome(aws, provider, answer), look)


@pytest.mark.parametrize(("answer", "life"), TAKEN.values(), ids=TAKEN)
def test_an_answer_that_can_be_used_is_used_and_not_asked_for_again(
    aws: FakeAws, provider: EcrProvider, answer: bytes, life: float
) -> None:
    def look(stage: Stage, cluster: FakeCluster, same: Same, service: Any) -> None:
        assert ready(service) == ("True", "AllSynced")
        assert (same.calls, len(cluster.writes)) == (1, 1)
        token = next(iter(service.keepers.states().values())).token
        assert token.expires_at == pytest.approx(NOW + life, abs=10)
        assert stage.signals.refreshes == [("fake", True)]

    after_an_hour(outcome(aws, provider, answer), look)
