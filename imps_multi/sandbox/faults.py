"""What can be made to go wrong, by a test, a demo or the control endpoint.

Rules strike requests as they come (an error, a delay, no answer, a cut); gates hold the whole server (frozen) or its
watches only (silent). The server asks; nothing here touches the store. Connections and the listening socket are
reached through `Listener`.
"""

import asyncio
import enum
from collections.abc import Callable
from functools import partial

import msgspec

from imps_multi.sandbox.listener import Listener
from imps_multi.sandbox.requests import Seen
from imps_multi.sandbox.status import ApiError, failure

__all__ = ["Action", "Faults", "Rule"]


class Action(enum.Enum):
    """What a rule does to a request."""

    ANSWER = "answer"
    DELAY = "delay"
    HANG = "hang"
    CUT = "cut"
    LOSE = "lose"


class Rule(msgspec.Struct, kw_only=True, eq=False):
    """One fault, for the requests that it matches, `times` times or, with None, until it is lifted."""

    action: Action
    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    times: int | None = None
    seconds: float = 0.0
    error: Callable[[], ApiError] | None = None
    """Makes the refusal of an ANSWER."""

    def matches(self, seen: Seen) -> bool:
        """Whether it strikes that request; what a rule leaves empty matches all."""
        return (
            self.times != 0
            and self.verb in {"", seen.verb}
            and self.resource in {"", seen.resource}
            and self.namespace in {"", seen.namespace}
            and self.name in {"", seen.name}
        )


class Faults:
    """The switches of one server. Each `verb`, `resource`, `namespace`, `name` narrows a rule."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._rules: list[Rule] = []
        self._thawed = asyncio.Event()
        self._speaking = asyncio.Event()
        self._released = asyncio.Event()
        self._thawed.set()
        self._speaking.set()

    # -- switches --------------------------------------------------------------------------------------------------

    def fail(  # noqa: D417, the narrowing words are the class's
        self,
        code: int,
        *,
        times: int | None = None,
        retry_after: int | None = None,
        message: str = "",
        verb: str = "",
        resource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> Rule:
        """Answer with an error.

        Args:
            code: The HTTP code: 429, 500, 503, ...
            times: How often; None is until lifted.
            retry_after: Seconds for the Retry-After header.
            message: What the Status says.
        """
        error = partial(failure, code, message or f"the sandbox was told to answer {code}", retry_after=retry_after)
        return self._add(
            Rule(
                action=Action.ANSWER,
                error=error,
                times=times,
                verb=verb,
                resource=resource,
                namespace=namespace,
                name=name,
            )
        )

    def slow(self, seconds: float, *, times: int | None = None, verb: str = "", resource: str = "") -> Rule:
        """Answer later."""
        return self._add(Rule(action=Action.DELAY, seconds=seconds, times=times, verb=verb, resource=resource))

    def hang(self, *, times: int | None = None, verb: str = "", resource: str = "", name: str = "") -> Rule:
        """Take requests and never answer; `heal` closes their connections."""
        return self._add(Rule(action=Action.HANG, times=times, verb=verb, resource=resource, name=name))

    def cut_requests(self, *, times: int | None = None, verb: str = "", resource: str = "", name: str = "") -> Rule:
        """Close the connection of each request instead of answering."""
        return self._add(Rule(action=Action.CUT, times=times, verb=verb, resource=resource, name=name))

    def lose_answers(self, *, times: int | None = None, verb: str = "", resource: str = "", name: str = "") -> Rule:
        """Do what a request asks, then close its connection instead of answering."""
        return self._add(Rule(action=Action.LOSE, times=times, verb=verb, resource=resource, name=name))

    def lift(self, rule: Rule) -> None:
        """End one rule."""
        if rule in self._rules:
            self._rules.remove(rule)

    def freeze(self) -> None:
        """Answer nothing and say nothing on watches; connections stay, as when the process is stopped."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on where `freeze` stopped: what was held is answered now."""
        self._thawed.set()

    def silence(self) -> None:
        """Keep watches open and say nothing on them, while everything else is served."""
        self._speaking.clear()

    def speak(self) -> None:
        """Deliver on watches again, first what was held back."""
        self._speaking.set()

    def cut(self) -> int:
        """Close every connection abruptly; returns how many there were."""
        return self._listener.cut()

    async def refuse(self) -> None:
        """Close the listening socket and every connection: the port refuses, and stays ours."""
        await self._listener.stop()

    async def mute(self) -> None:
        """Accept connections and never read from them, so that even a TLS handshake hangs."""
        await self._listener.stop()
        await self._listener.start_mute()

    async def heal(self) -> None:
        """End every fault: rules, gates, and come back on the same port."""
        self._rules.clear()
        self.thaw()
        self.speak()
        self._released.set()
        self._released = asyncio.Event()
        await self._listener.start()

    def _add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    # -- what the server asks --------------------------------------------------------------------------------------

    def strike(self, seen: Seen) -> list[Rule]:
        """Return the rules that strike a request, delays first and then at most one that ends it."""
        struck: list[Rule] = []
        for rule in self._rules:
            if rule.matches(seen):
                if rule.times is not None:
                    rule.times -= 1
                struck.append(rule)
                if rule.action is not Action.DELAY:
                    break
        return struck

    async def thawed(self) -> None:
        """Wait while frozen."""
        if not self._thawed.is_set():
            await self._thawed.wait()

    async def may_speak(self) -> None:
        """Wait while frozen or silent."""
        while not (self._thawed.is_set() and self._speaking.is_set()):
            await self._thawed.wait()
            await self._speaking.wait()

    async def released(self) -> None:
        """Wait until the faults of this moment are healed."""
        await self._released.wait()
