"""Who may ask, and what: bearer tokens, denials, and the `rules` of a ClusterRole.

Checked before anything else is done with a request. With no token configured everybody may do everything. With one,
who sends none is system:anonymous, who may do nothing, and a user without granted rules may do all that is not
denied. Tests change it while the server runs.
"""

from collections.abc import Iterable, Mapping

import msgspec

from imps_multi.sandbox.routes import Target
from imps_multi.sandbox.status import ApiError, forbidden, unauthorized

__all__ = ["Access", "Denial", "PolicyRule"]

ANONYMOUS = "system:anonymous"


class PolicyRule(msgspec.Struct, frozen=True, rename="camel"):
    """One rule of a ClusterRole, as its manifest has it."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")

    def allows(self, verb: str, target: Target) -> bool:
        """Whether it allows that verb on that target."""
        resource = target.resource.plural + (f"/{target.subresource}" if target.subresource else "")
        return (
            _among(verb, self.verbs)
            and _among(resource, self.resources)
            and _among(target.resource.group, self.api_groups)
            and (not self.resource_names or target.name in self.resource_names)
        )


def _among(value: str, allowed: tuple[str, ...]) -> bool:
    return value in allowed or "*" in allowed


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused although a rule may allow it; empty fields match all."""

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    user: str = ""

    def strikes(self, user: str, verb: str, target: Target) -> bool:
        """Whether it refuses that."""
        return (
            self.verb in {"", verb}
            and self.resource in {"", target.resource.plural}
            and self.namespace in {"", target.namespace}
            and self.name in {"", target.name}
            and self.user in {"", user}
        )


class Access:
    """The authentication and authorisation of one server."""

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._users = dict(tokens or {})
        self._open = not self._users
        self._refused: set[str] = set()
        self._denials: list[Denial] = []
        self._granted: dict[str, tuple[PolicyRule, ...]] = {}

    # -- switches --------------------------------------------------------------------------------------------------

    def refuse(self, *tokens: str) -> None:
        """Answer 401 to these tokens, or to everybody when none is named."""
        self._refused.update(tokens or {"*"})

    def accept(self) -> None:
        """End every refusal of tokens."""
        self._refused.clear()

    def deny(
        self, *, verb: str = "", resource: str = "", namespace: str = "", name: str = "", user: str = ""
    ) -> Denial:
        """Answer 403 to what matches; what is left empty matches all."""
        denial = Denial(verb=verb, resource=resource, namespace=namespace, name=name, user=user)
        self._denials.append(denial)
        return denial

    def allow(self, denial: Denial | None = None) -> None:
        """End one denial, or all."""
        self._denials = [each for each in self._denials if denial is not None and each != denial]

    def grant(self, user: str, rules: Iterable[object]) -> None:
        """Let a user do what the rules of a ClusterRole say, and nothing else."""
        self._granted[user] = tuple(msgspec.convert(list(rules), list[PolicyRule]))

    # -- what the server asks --------------------------------------------------------------------------------------

    def user(self, authorization: str) -> str:
        """Return who sends that header.

        Raises:
            ApiError: 401.
        """
        if "*" in self._refused:
            raise unauthorized()
        scheme, _, token = authorization.partition(" ")
        if not token:
            return ANONYMOUS
        if scheme.lower() != "bearer" or token in self._refused:
            raise unauthorized()
        if self._open:
            return ANONYMOUS
        user = self._users.get(token)
        if user is None:
            raise unauthorized()
        return user

    def allows(self, user: str, verb: str, target: Target) -> bool:
        """Whether a user may do that."""
        if any(denial.strikes(user, verb, target) for denial in self._denials):
            return False
        if user == ANONYMOUS and not self._open:
            return False
        rules = self._granted.get(user)
        return rules is None or any(rule.allows(verb, target) for rule in rules)

    def check(self, user: str, verb: str, target: Target) -> None:
        """Let a request through.

        Raises:
            ApiError: 403.
        """
        if not self.allows(user, verb, target):
            raise _refusal(user, verb, target)


def _refusal(user: str, verb: str, target: Target) -> ApiError:
    resource = target.resource
    scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    what = f'User "{user}" cannot {verb} resource "{resource.plural}" in API group "{resource.group}" {scope}'
    return forbidden(resource, target.name, what)
