"""What can be made to go wrong with the ECR and STS endpoint.

The endpoint asks before it answers and before it sends a token; tests, demo and the control endpoint set it.
"""

import asyncio
import enum

from aiohttp.web_request import BaseRequest

from imps_multi.sandbox.listener import Listener, abort

__all__ = ["EcrFaults", "Nonsense", "Refusal"]

_LONG_AGO = 1_420_070_400.0  # 2015-01-01
_FAR_AHEAD = 4_102_444_800.0  # 2100-01-01
_CLIENTS_FAULT, _SERVERS_FAULT = 400, 500


class Refusal(Exception):
    """An error that AWS would answer."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Nonsense(enum.Enum):
    """How a token's answer is made useless."""

    NO_COLON = "no colon"
    NO_BASE64 = "no base64"
    NO_EXPIRY = "no expiry"
    EXPIRED = "expired"
    CENTURY = "a hundred years"
    EMPTY_LIST = "empty list"
    HUGE = "five megabytes"


class EcrFaults:
    """The switches of one endpoint; `action` narrows a fault to one call, such as AssumeRole."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._refusals: list[tuple[Refusal, str]] = []
        self._left: list[int | None] = []
        self._nonsense: Nonsense | None = None
        self._going = asyncio.Event()
        self._going.set()

    def fail(self, code: str, *, action: str = "", times: int | None = None, status: int | None = None) -> None:
        """Answer with an error: ThrottlingException, AccessDeniedException, ServerException, ..."""
        chosen = status or (_SERVERS_FAULT if code.startswith(("Server", "Internal")) else _CLIENTS_FAULT)
        self._refusals.append((Refusal(code, f"the sandbox was told to answer {code}", chosen), action))
        self._left.append(times)

    def talk_nonsense(self, kind: Nonsense) -> None:
        """Give tokens that are of no use."""
        self._nonsense = kind

    def hang(self) -> None:
        """Take calls and never answer; `heal` closes their connections."""
        self._going.clear()

    async def refuse(self) -> None:
        """Close the listening socket and every connection."""
        await self._listener.stop()

    async def heal(self) -> None:
        """End every fault."""
        self._refusals.clear()
        self._left.clear()
        self._nonsense = None
        self._going.set()
        await self._listener.start()

    async def suffer(self, action: str, request: BaseRequest) -> None:
        """Let a call through, or not.

        Raises:
            Refusal: It was told to.
        """
        if not self._going.is_set():
            await self._going.wait()
            abort(request.transport)
            await asyncio.get_running_loop().create_future()
        for index, (refusal, only) in enumerate(self._refusals):
            left = self._left[index]
            if only in {"", action} and left != 0:
                self._left[index] = None if left is None else left - 1
                raise Refusal(refusal.code, str(refusal), refusal.status)

    def distort(self, entry: dict[str, object]) -> list[dict[str, object]]:
        """Return what stands in authorizationData."""
        match self._nonsense:
            case Nonsense.EMPTY_LIST:
                return []
            case Nonsense.NO_COLON:
                entry["authorizationToken"] = "bm9jb2xvbg=="
            case Nonsense.NO_BASE64:
                entry["authorizationToken"] = "%%%"
            case Nonsense.HUGE:
                entry["authorizationToken"] = "QVdT" * (5 * 1024 * 1024 // 4)
            case Nonsense.NO_EXPIRY:
                del entry["expiresAt"]
            case Nonsense.EXPIRED:
                entry["expiresAt"] = _LONG_AGO
            case Nonsense.CENTURY:
                entry["expiresAt"] = _FAR_AHEAD
            case None:
                pass
        return [entry]
