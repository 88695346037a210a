"""An ECR and STS endpoint on 127.0.0.1: `async with SandboxEcr() as ecr`, to be named as endpoint_url of both.

Each GetAuthorizationToken gives another token that lives as long as it is told; every request must be signed by a key
that is known. It can be made to refuse, to hang and to answer nonsense, and it counts. Tokens are made up, and opened
to nobody but the test that asks for `issued`.
"""

import base64
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.sandbox import sts
from imps_multi.sandbox.ecr_faults import EcrFaults, Refusal
from imps_multi.sandbox.identities import Identities, Identity
from imps_multi.sandbox.listener import Listener, Server
from imps_multi.sandbox.sigv4 import Credential, SignatureError, Signed, verify
from imps_multi.sandbox.store import utc_now

__all__ = ["Issued", "SandboxEcr"]

TOKEN_ACTION = "GetAuthorizationToken"  # noqa: S105, the name of a call
_TARGET = "AmazonEC2ContainerRegistry_V20150921."
_PUBLIC_TARGET = "SpencerFrontendService."
_PUBLIC_SERVICE, _PUBLIC_REGION = "ecr-public", "us-east-1"
_UNSIGNED = {"AssumeRoleWithWebIdentity"}
_AMZ_JSON = "application/x-amz-json-1.1"
_CHINA = ("cn-",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One token that was given out."""

    account: str
    region: str
    access_key: str
    password: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Issued(account={self.account}, region={self.region}, expires_at={self.expires_at})"


class SandboxEcr(Server):
    """The endpoint.

    Attributes:
        credential: A key that is known from the start.
        identities: All keys, to add more.
        faults: What can be made to go wrong.
        calls: How often each action was called, refused calls too.
        issued: Every token that was given out and not withdrawn, oldest first.
        lifetime: Seconds that the next tokens live.
    """

    def __init__(
        self,
        *,
        account: str = "123456789012",
        lifetime: float = 12 * 3600.0,
        password_length: int = 2000,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Build an endpoint that does not listen yet."""
        self.account = account
        self.lifetime = lifetime
        self.credential = Credential(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20))
        self.identities = Identities(now=now)
        self.identities.add_user(self.credential, account=account)
        self.calls: Counter[str] = Counter()
        self.issued: list[Issued] = []
        self._length = password_length
        self._now = now
        super().__init__(Listener(self._handle))
        self.faults = EcrFaults(self._listener)

    @property
    def mints(self) -> int:
        """How often a token was asked for."""
        return self.calls[TOKEN_ACTION]

    def withdraw(self) -> None:
        """Make every token that was given out invalid."""
        self.issued.clear()

    def is_valid(self, password: str) -> bool:
        """Whether a registry would let that password in now."""
        return any(each.password == password and each.expires_at > self._now() for each in self.issued)

    async def _handle(self, request: BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = headers.get("x-amz-target", "")
        form = {} if target else dict(parse_qsl(body.decode()))
        action = target.removeprefix(_TARGET).removeprefix(_PUBLIC_TARGET) if target else form.get("Action", "")
        self.calls[action] += 1
        try:
            await self.faults.suffer(action, request)
            if action in _UNSIGNED:
                signed = Signed("", "us-east-1", "sts")
            else:
                signed = verify(method=request.method, headers=headers, body=body, find=self.identities.find)
            if target:
                return self._mint(action, signed, public=target.startswith(_PUBLIC_TARGET))
            return self._sts(action, form, signed)
        except SignatureError as error:
            return _refuse(Refusal(error.code, str(error), 400 if target else 403), is_json=bool(target))
        except Refusal as error:
            return _refuse(error, is_json=bool(target))

    def _sts(self, action: str, form: dict[str, str], signed: Signed) -> web.Response:
        found = sts.answer(action, form, self.identities, signed.access_key)
        if found is None:
            raise Refusal("InvalidAction", f"Could not find operation {action}", 400)
        return web.Response(body=found, content_type="text/xml")

    def _mint(self, action: str, signed: Signed, *, public: bool) -> web.Response:
        """Answer a token: in a list, and with its registry's host, unless it is the public registry's."""
        if signed.service != (_PUBLIC_SERVICE if public else "ecr"):
            raise Refusal("InvalidSignatureException", "Credential should be scoped to correct service", 400)
        if public and signed.region != _PUBLIC_REGION:
            raise Refusal("UnrecognizedClientException", f"There is none in {signed.region}", 400)
        if action != TOKEN_ACTION:
            raise Refusal("UnknownOperationException", f"{action} is not served", 400)
        identity = self.identities.identity(signed.access_key)
        issued = self._issue(identity, signed)
        token = base64.b64encode(f"AWS:{issued.password}".encode()).decode()
        suffix = "amazonaws.com.cn" if signed.region.startswith(_CHINA) else "amazonaws.com"
        entry: dict[str, object] = {
            "authorizationToken": token,
            "expiresAt": issued.expires_at.timestamp(),
            "proxyEndpoint": f"https://{identity.account}.dkr.ecr.{signed.region}.{suffix}",
        }
        if public:
            del entry["proxyEndpoint"]
        given = self.faults.distort(entry)
        body = msgspec.json.encode({"authorizationData": given[0] if public and given else given})
        return web.Response(body=body, headers={"Content-Type": _AMZ_JSON})

    def _issue(self, identity: Identity, signed: Signed) -> Issued:
        password = secrets.token_urlsafe(self._length)[: self._length]
        issued = Issued(
            account=identity.account,
            region=signed.region,
            access_key=signed.access_key,
            password=password,
            expires_at=self._now() + timedelta(seconds=self.lifetime),
        )
        self.issued.append(issued)
        return issued


def _refuse(error: Refusal, *, is_json: bool) -> web.Response:
    if is_json:
        body = msgspec.json.encode({"__type": error.code, "message": str(error)})
        return web.Response(body=body, status=error.status, headers={"Content-Type": _AMZ_JSON})
    return web.Response(body=sts.fault(error.code, str(error)), status=error.status, content_type="text/xml")
