"""Records and reports for the tests of this room."""

from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName
from imps_multi.model.report import ClusterReport, Contact, Phase, PolicyTally
from imps_multi.ports import WriteRecord


def written(
    *, cluster: str = "prod-1", operation: str = "create", result: str = "ok", time: float = 1767225600.25
) -> WriteRecord:
    return WriteRecord(
        time=time,
        cluster=ClusterName(cluster),
        namespace=NamespaceName("team-a"),
        name=SecretName("registry-pull"),
        uid="uid-1",
        operation=operation,
        policy=PolicyName("team-a"),
        why="missing",
        expires_at=1767268800.0,
        result=result,
    )


def report(
    name: str = "prod-1",
    *,
    phase: Phase = Phase.UP,
    reason: str = "",
    synced: bool = True,
    last_contact: float | None = 100.0,
    policies: dict[str, PolicyTally] | None = None,
) -> ClusterReport:
    return ClusterReport(
        settings=ClusterSettings(name=ClusterName(name)),
        contact=Contact(phase=phase, reason=reason, last_contact=last_contact),
        synced=synced,
        policies={PolicyName(policy): tally for policy, tally in (policies or {}).items()},
    )
