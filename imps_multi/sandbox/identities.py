"""The AWS side's people: access keys, the roles they take on, and who a key stands for.

State without I/O; the ECR and STS endpoints ask it. Secret keys are made up here and valid nowhere else.
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from imps_multi.sandbox.sigv4 import Credential

__all__ = ["Identities", "Identity", "Session", "Trust"]


class Identity(msgspec.Struct, frozen=True):
    """Who a key stands for."""

    account: str
    arn: str


class Session(msgspec.Struct, frozen=True):
    """A role taken on for a while."""

    credential: Credential
    identity: Identity
    expires_at: datetime


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Who may take a role on, and how the session must be called; what is None is not looked at.

    An external ID must be that very one: none where none is asked for.
    """

    by: str | None = None
    external_id: str = ""
    session_name: str | None = None


class Identities:
    """Every key that the endpoint knows.

    Attributes:
        trust: By a role's ARN who may take it on; a role that is not there anybody may.
        longest: Seconds that a session lives at most.
        web_tokens: By a web identity's token the role that it stands for; while there is none, any token will do.
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._users: dict[str, tuple[Credential, Identity]] = {}
        self._sessions: dict[str, Session] = {}
        self.trust: dict[str, Trust] = {}
        self.longest = 12 * 3600
        self.web_tokens: dict[str, str] = {}

    def add_user(self, credential: Credential, *, account: str, name: str = "imps") -> None:
        """Let a long-lived key be known."""
        self._users[credential.access_key] = (credential, Identity(account, f"arn:aws:iam::{account}:user/{name}"))

    def trusts(self, role_arn: str, access_key: str, *, session_name: str, external_id: str) -> bool:
        """Whether a role lets itself be taken on like this."""
        trust = self.trust.get(role_arn)
        if trust is None:
            return True
        known = trust.by in {None, self.identity(access_key).arn} and trust.session_name in {None, session_name}
        return known and trust.external_id == external_id

    def vouches(self, web_token: str, role_arn: str) -> bool:
        """Whether a web identity's token is good for a role."""
        return not self.web_tokens or self.web_tokens.get(web_token) == role_arn

    def take_role(self, role_arn: str, session_name: str, seconds: int) -> Session:
        """Make temporary keys for a role."""
        account = (*role_arn.split(":"), *[""] * 5)[4]
        role = role_arn.rpartition("/")[2]
        credential = Credential(f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(40))
        identity = Identity(account, f"arn:aws:sts::{account}:assumed-role/{role}/{session_name}")
        session = Session(credential, identity, self._now() + timedelta(seconds=min(seconds, self.longest)))
        self._sessions[credential.access_key] = session
        return session

    def find(self, access_key: str) -> Credential | None:
        """Return a key that is known and not expired."""
        if access_key in self._users:
            return self._users[access_key][0]
        session = self._sessions.get(access_key)
        return session.credential if session is not None and session.expires_at > self._now() else None

    def identity(self, access_key: str) -> Identity:
        """Return who a known key stands for."""
        if access_key in self._users:
            return self._users[access_key][1]
        return self._sessions[access_key].identity
