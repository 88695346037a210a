"""What ``doctor`` finds, as values: what was seen of each cluster and of the hub, and what is to be said of it.

Pure. Fed by app with what was looked at; shown by the command. Holds no credential.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from imps_multi.model.policy import source_title
from imps_multi.model.status import CredentialView, ServiceStatus

OK, WARNING, WRONG, UNREACHABLE, SKIPPED = "ok", "warning", "wrong", "unreachable", "skipped"
RANK = {WRONG: 0, UNREACHABLE: 1, WARNING: 2, SKIPPED: 3, OK: 4}
SKEW_SECONDS = 30.0
"""Beyond that, tokens may be refused as not yet valid; AWS refuses at five minutes."""
LEASE_SECONDS = 120.0
"""A Lease that was renewed so lately has a holder that runs."""


class Permission(Struct, frozen=True, order=True):
    """Something that we may have to do in a cluster."""

    group: str
    resource: str
    verb: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        """Return it in kubectl's words."""
        what = f"{self.resource}/{self.name}" if self.name else self.resource
        return f"{self.verb} {what}" + (f" in {self.namespace}" if self.namespace else "")


class Refused(Struct, frozen=True, order=True):
    """A permission that we do not have."""

    permission: Permission
    reason: str = ""


class Examined(Struct, frozen=True):
    """What was seen of a cluster that let us in. ``skew``: seconds that its clock is ahead of ours."""

    version: str
    identity: str
    login: str
    skew: float | None = None
    asked: int = 0
    refused: tuple[Refused, ...] = ()
    imps_renewed: float | None = None
    imps_looked: bool = False


class Away(Struct, frozen=True):
    """Why a cluster could not be looked at. ``answered``: it did answer, and refused."""

    reason: str
    message: str
    answered: bool = False


class Check(Struct, frozen=True, rename="camel"):
    """One thing that was looked at. ``state``: ok, warning, wrong, unreachable, or skipped."""

    subject: str
    check: str
    state: str
    message: str = ""


def of_clusters(found: Mapping[str, Examined | Away], *, now: float, renew: str) -> Iterator[Check]:
    """Say what is to be said of each cluster; ``renew`` is the command that prints the role."""
    first: dict[str, str] = {}
    for name, one in found.items():
        yield from of_one(f"cluster {name}", one, now=now, renew=renew)
        identity = "" if isinstance(one, Away) else one.identity
        twin = first.setdefault(identity, name) if identity else name
        if twin != name:
            why = f"it is the same cluster as {twin}; take one of the entries away"
            yield Check(f"cluster {name}", "identity", WRONG, why)


def of_one(subject: str, one: Examined | Away, *, now: float, renew: str) -> Iterator[Check]:
    """Say what is to be said of one API server."""
    if isinstance(one, Away):
        yield Check(subject, "reachable", WRONG if one.answered else UNREACHABLE, f"{one.reason}: {one.message}")
        return
    yield Check(subject, "reachable", OK, one.version)
    yield Check(subject, "log-in", OK, one.login)
    yield from _permissions(subject, one, renew)
    yield _clock(subject, one.skew)
    yield _imps(subject, one, now)


def of_hub(status: ServiceStatus, *, kind: str, untried: Collection[str] = ()) -> Iterator[Check]:
    """Say what is to be said of the hub, its policies and its sources.

    ``kind``: where it is, for people; ``untried``: the sources of which no token is known, and none is asked for.
    """
    hub, subject = status.hub, f"hub {status.hub.id}"
    for problem in hub.problems:
        where = ":".join([problem.file, *(str(number) for number in (problem.line, problem.column) if number)])
        yield Check(subject, "readable", WARNING if hub.whole else WRONG, f"{where}: {problem.message}")
    if not hub.problems:
        yield Check(subject, "readable", OK if hub.whole else WRONG, kind)
    invalid = 0
    for policy in status.policies:
        for condition in policy.status.conditions:
            if condition.type == "Ready" and condition.reason in {"InvalidSpec", "SourceNotAllowed"}:
                invalid += 1
                yield Check(f"policy {policy.name}", "valid", WRONG, f"{condition.reason}: {condition.message}")
    if not invalid:
        yield Check(subject, "policies", OK, f"{len(status.policies)} valid" if status.policies else "none")
    for credential in status.credentials:
        yield _source(credential, untried)


def sort(checks: Iterable[Check]) -> list[Check]:
    """Put what is wrong first, else in the order in which it was found."""
    return sorted(checks, key=lambda one: RANK[one.state])


def exit_code(checks: Iterable[Check]) -> int:
    """Say how it ends: what is wrong before what could not be reached."""
    states = {check.state for check in checks}
    return 1 if WRONG in states else 3 if UNREACHABLE in states else 0


def _permissions(subject: str, one: Examined, renew: str) -> Iterator[Check]:
    for refused in one.refused:
        why = f" ({refused.reason})" if refused.reason else ""
        yield Check(subject, "permission", WRONG, f"may not {refused.permission}{why}; apply the role: {renew}")
    if not one.refused:
        yield Check(subject, "permissions", OK, f"all {one.asked}")


def _clock(subject: str, skew: float | None) -> Check:
    if skew is None:
        return Check(subject, "clock", SKIPPED, "its answers have no date")
    if abs(skew) <= SKEW_SECONDS:
        return Check(subject, "clock", OK, "as ours")
    way = "ahead of" if skew > 0 else "behind"
    return Check(subject, "clock", WARNING, f"{abs(skew):.0f} seconds {way} ours; one of the two is wrong")


def _imps(subject: str, one: Examined, now: float) -> Check:
    if not one.imps_looked:
        return Check(subject, "IMPS", SKIPPED, "Leases may not be listed, so whether IMPS runs there is not known")
    if one.imps_renewed is None or now - one.imps_renewed > LEASE_SECONDS:
        return Check(subject, "IMPS", OK, "none leads there")
    message = "an IMPS operator leads there and writes the same Secrets; scale it to zero"
    return Check(subject, "IMPS", WRONG, message)


def _source(credential: CredentialView, untried: Collection[str]) -> Check:
    title = source_title(credential.namespace, credential.name)
    subject = f"source {title}"
    if credential.reason and credential.reason != "Waiting":
        return Check(subject, "usable", WRONG, f"{credential.reason}: {credential.message}")
    if credential.message and not credential.reason:
        return Check(subject, "usable", WARNING, credential.message)
    what = ", ".join(credential.registries) or credential.provider
    return Check(
        subject, "usable", OK, f"{what} (no token yet, and none is asked for here)" if title in untried else what
    )
