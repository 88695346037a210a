"""Health for a kubelet: whether the process lives, and whether it is ready. A target cluster's state is neither.

Routes for ``server``; the checks are given. ``/healthz`` says what ``/livez`` says.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

Checks: TypeAlias = Callable[[], Mapping[str, str]]
"""Every check by name, with what is wrong; empty for nothing."""


def health_routes(*, live: Checks, ready: Checks) -> list[web.RouteDef]:
    """Return the routes of the health address."""
    return [
        web.get("/healthz", _handler("healthz", live)),
        web.get("/livez", _handler("livez", live)),
        web.get("/readyz", _handler("readyz", ready)),
    ]


def answer(name: str, checks: Mapping[str, str], *, verbose: bool) -> tuple[HTTPStatus, str]:
    """Say how things stand, in the words of Kubernetes' own components; detail where asked, or where it is not well."""
    fine = not any(checks.values())
    status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
    if fine and not verbose:
        return status, "ok"
    lines = [f"[-]{check} failed: {wrong}" if wrong else f"[+]{check} ok" for check, wrong in checks.items()]
    return status, "\n".join([*lines, f"{name} check {'passed' if fine else 'failed'}", ""])


def _handler(name: str, checks: Checks) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.Response:  # noqa: ASYNC124  # aiohttp wants a coroutine function
        status, text = answer(name, checks(), verbose="verbose" in request.query)
        return web.Response(status=status, text=text, headers={"Cache-Control": "no-store"})

    return handle
