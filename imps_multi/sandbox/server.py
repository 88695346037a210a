"""One request, from its arrival to its answer.

It asks in turn: is there a fault for it, who sends it, what does it name, may they; then hands it to list, watch or
write. It decides nothing about objects and keeps no state of its own. Fed by the listener.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.sandbox import deletion, discovery, writes
from imps_multi.sandbox.access import Access
from imps_multi.sandbox.faults import Action, Faults, Rule
from imps_multi.sandbox.field_selector import parse_fields
from imps_multi.sandbox.listener import MAX_BODY, abort
from imps_multi.sandbox.listing import list_objects
from imps_multi.sandbox.negotiation import View, check_body_type, check_patch_type, view_of
from imps_multi.sandbox.objects import Entry, decode_document
from imps_multi.sandbox.requests import RequestLog, Seen
from imps_multi.sandbox.routes import Target, parse, verb_of
from imps_multi.sandbox.selection import select
from imps_multi.sandbox.status import ApiError, Details, failure, method_not_allowed, too_large
from imps_multi.sandbox.store import Store
from imps_multi.sandbox.watch import Watch, error_line, read_options, run

__all__ = ["ApiServer", "Manners"]

_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a server behaves where real ones differ."""

    watch_list: bool = True
    """Whether sendInitialEvents is served; off, it is 422 as before Kubernetes 1.32."""
    gone_as_status: bool = False
    """Whether a watch from a forgotten version is refused with HTTP 410 instead of an ERROR event on a 200."""
    hold_namespaces: bool = False
    """Whether a deleted namespace stays Terminating, as without a controller-manager."""
    bookmark_seconds: float = 60.0
    version: str = "v1.36.3"


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that has been read."""

    request: BaseRequest
    seen: Seen
    target: Target | None
    query: Mapping[str, str]


class ApiServer:
    """What is behind one port."""

    def __init__(self, *, store: Store, access: Access, log: RequestLog, manners: Manners) -> None:
        self._store = store
        self._access = access
        self._log = log
        self._manners = manners
        self._faults: Faults | None = None
        self.watches: dict[Watch, None] = {}

    def attach(self, faults: Faults) -> None:
        """Take the switches, which need the listener, which needs this server."""
        self._faults = faults

    @property
    def faults(self) -> Faults:
        """The switches."""
        assert self._faults is not None
        return self._faults

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        call = _read(request)
        self._log.begin(call.seen)
        try:
            await self.faults.thawed()
            rules = self.faults.strike(call.seen)
            response = await self._answer(call, rules)
            if rules and rules[-1].action is Action.LOSE:
                await _cut(request)
            await self.faults.thawed()
            return response
        finally:
            self._log.end(call.seen)

    async def _answer(self, call: Call, rules: list[Rule]) -> web.StreamResponse:
        try:
            await self._suffer(call, rules)
            response = await self._serve(call)
        except ApiError as error:
            response = _refusal(error)
        except web.HTTPRequestEntityTooLarge:
            response = _refusal(too_large(MAX_BODY))
        if not call.seen.status:
            self._log.answered(call.seen, response.status)
        return response

    async def _suffer(self, call: Call, rules: list[Rule]) -> None:
        for rule in rules:
            if rule.action is Action.DELAY:
                await asyncio.sleep(rule.seconds)
            elif rule.action is Action.HANG:
                await self.faults.released()
                await _cut(call.request)
            elif rule.action is Action.CUT:
                await _cut(call.request)
            elif rule.error is not None:
                raise rule.error()

    async def _serve(self, call: Call) -> web.StreamResponse:
        call.seen.user = user = self._access.user(call.request.headers.get("Authorization", ""))
        if call.target is None:
            return await self._serve_other(call, user)
        if not call.seen.verb:
            raise method_not_allowed()
        self._access.check(user, call.seen.verb, _authorized(call.target, call.seen.name))
        return await self._serve_object(call, call.target)

    async def _serve_other(self, call: Call, user: str) -> web.StreamResponse:
        path, method = call.seen.path, call.request.method
        if path == discovery.REVIEW_PATH and method == "POST":
            review = decode_document(await call.request.read())
            verb, target = discovery.read_review(review)
            allowed = target is None or self._access.allows(user, verb, target)
            return _json(discovery.review_answer(review, allowed=allowed), 201)
        if path in discovery.HEALTH:
            return web.Response(text="ok")
        document = discovery.describe(path, self._manners.version) if method == "GET" else None
        if document is not None:
            return _json(document)
        if discovery.is_served(path):
            raise failure(404, "the server could not find the requested resource", details=Details())
        return web.Response(text="404 page not found\n", status=404)

    async def _serve_object(self, call: Call, target: Target) -> web.StreamResponse:
        verb, accept = call.seen.verb, call.request.headers.get("Accept", "")
        view = view_of(accept, is_list=verb == "list")
        if verb == "watch":
            return await self._watch(call, target, view)
        if verb == "list":
            return _json(list_objects(self._store, select(target, call.query, view), call.query))
        if verb == "get":
            return _object(self._store.fetch(target.resource, target.namespace, target.name), view)
        return await self._write(call, target, view)

    async def _write(self, call: Call, target: Target, view: View) -> web.StreamResponse:
        verb, content_type = call.seen.verb, call.request.headers.get("Content-Type", "")
        body = await call.request.read()
        dry_run = call.query.get("dryRun") == "All"
        if verb == "create":
            check_body_type(content_type)
            return _object(writes.create(self._store, target, body, dry_run=dry_run), view, 201)
        if verb == "update":
            check_body_type(content_type)
            return _object(writes.replace(self._store, target, body, dry_run=dry_run), view)
        if verb == "patch":
            check_patch_type(content_type)
            return _object(writes.patch(self._store, target, body, dry_run=dry_run), view)
        if verb == "delete":
            hold = self._manners.hold_namespaces
            result = deletion.delete(self._store, target, body, dry_run=dry_run, hold_namespaces=hold)
            return _object(result, view) if isinstance(result, Entry) else _json(result)
        raise method_not_allowed()

    async def _watch(self, call: Call, target: Target, view: View) -> web.StreamResponse:
        options = read_options(call.query, watch_list=self._manners.watch_list)
        watch = Watch(self._store, select(target, call.query, view), options)
        refused: ApiError | None = None
        try:
            watch.open()
        except ApiError as error:
            if self._manners.gone_as_status:
                raise
            refused = error
        self.watches[watch] = None
        response = web.StreamResponse(headers={"Content-Type": _JSON})
        try:
            await response.prepare(call.request)
            self._log.answered(call.seen, response.status)
            if refused is not None:
                await response.write(error_line(refused))
            else:
                seconds = self._manners.bookmark_seconds
                await run(watch, response, passage=self.faults.may_speak, bookmark_seconds=seconds)
        except ConnectionResetError:
            pass  # the client left between two events: nobody is there to be told
        finally:
            watch.close()
            del self.watches[watch]
        return response


def _read(request: BaseRequest) -> Call:
    path, _, raw_query = request.raw_path.partition("?")
    query = dict(parse_qsl(raw_query, keep_blank_values=True)) if raw_query else {}
    target = parse(path)
    headers = request.headers
    seen = Seen(
        verb="",
        resource=path,
        path=path,
        query=raw_query,
        at=asyncio.get_running_loop().time(),
        agent=headers.get("User-Agent", ""),
    )
    if target is not None:
        seen.verb = verb_of(request.method, target, query)
        seen.resource, seen.subresource = target.resource.plural, target.subresource
        seen.namespace, seen.name = target.namespace, target.name or _selected(target, query)
    return Call(request=request, seen=seen, target=target, query=query)


def _selected(target: Target, query: Mapping[str, str]) -> str:
    """Return the name that a list or watch selects by field: RBAC sees it as the name of the request."""
    if "fieldSelector" not in query:
        return ""
    try:
        return parse_fields(target.resource, query["fieldSelector"]).name
    except ApiError:
        return ""  # said in due course, when the selector is used


def _authorized(target: Target, name: str) -> Target:
    return Target(target.resource, target.namespace, name, target.subresource)


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": _JSON})


def _object(entry: Entry, view: View, status: int = 200) -> web.Response:
    return _json(entry.body if view is View.FULL else entry.partial, status)


def _refusal(error: ApiError) -> web.Response:
    response = _json(error.status.encode(), error.code)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _cut(request: BaseRequest) -> None:
    """Close the connection under a request; the server then cancels this task."""
    abort(request.transport)
    await asyncio.get_running_loop().create_future()
