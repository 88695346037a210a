"""What doctor says of what was seen."""

import pytest

from imps_multi.model.diagnosis import (
    LEASE_SECONDS,
    Away,
    Check,
    Examined,
    Permission,
    Refused,
    exit_code,
    of_clusters,
    of_hub,
    sort,
)
from imps_multi.model.status import (
    Condition,
    CredentialView,
    HubView,
    PolicyStatus,
    PolicyView,
    ProblemView,
    ServiceStatus,
)

NOW = 1_800_000_000.0
ROLE = "imps-multi rbac --role target"


def examined(**given: object) -> Examined:
    """Look at a cluster in which all is right."""
    plain = {"version": "v1", "identity": "uid-1", "login": "token", "skew": 0.0, "asked": 9, "imps_looked": True}
    return Examined(**{**plain, **given})  # type: ignore[arg-type]  # a table's words


def said(one: Examined | Away) -> dict[str, tuple[str, str]]:
    """Return state and message by check."""
    found = of_clusters({"a": one}, now=NOW, renew=ROLE)
    return {check.check: (check.state, check.message) for check in found}


def test_a_cluster_in_which_all_is_right_is_fine() -> None:
    assert said(examined()) == {
        "reachable": ("ok", "v1"),
        "log-in": ("ok", "token"),
        "permissions": ("ok", "all 9"),
        "clock": ("ok", "as ours"),
        "IMPS": ("ok", "none leads there"),
    }


@pytest.mark.parametrize(("answered", "state"), [(True, "wrong"), (False, "unreachable")])
def test_a_cluster_that_refuses_is_wrong_and_one_that_is_silent_unreachable(answered: bool, state: str) -> None:  # noqa: FBT001  # a table's column
    assert said(Away("Unauthorized", "401", answered=answered)) == {"reachable": (state, "Unauthorized: 401")}


def test_a_permission_that_is_missing_comes_with_the_command_that_grants_it() -> None:
    missing = Refused(Permission("", "secrets", "delete", "pull"), "no rule")
    state, message = said(examined(refused=(missing,)))["permission"]
    assert (state, message) == ("wrong", f"may not delete secrets/pull (no rule); apply the role: {ROLE}")


@pytest.mark.parametrize(
    ("skew", "state", "message"),
    [
        (20.0, "ok", "as ours"),
        (90.0, "warning", "90 seconds ahead of ours; one of the two is wrong"),
        (-400.0, "warning", "400 seconds behind ours; one of the two is wrong"),
        (None, "skipped", "its answers have no date"),
    ],
)
def test_a_clock_that_differs_is_a_warning(skew: float | None, state: str, message: str) -> None:
    assert said(examined(skew=skew))["clock"] == (state, message)


@pytest.mark.parametrize(
    ("renewed", "looked", "state"),
    [(NOW - 10, True, "wrong"), (NOW - LEASE_SECONDS - 1, True, "ok"), (None, True, "ok"), (None, False, "skipped")],
)
def test_an_imps_that_leads_there_is_wrong(renewed: float | None, looked: bool, state: str) -> None:  # noqa: FBT001  # a table's column
    assert said(examined(imps_renewed=renewed, imps_looked=looked))["IMPS"][0] == state


def test_two_names_for_one_cluster_are_found() -> None:
    checks = list(of_clusters({"a": examined(), "b": examined()}, now=NOW, renew=ROLE))
    assert (
        Check("cluster b", "identity", "wrong", "it is the same cluster as a; take one of the entries away") in checks
    )
    apart = of_clusters({"a": examined(identity=""), "b": examined(identity="")}, now=NOW, renew=ROLE)
    assert all(check.check != "identity" for check in apart)


def test_a_hub_tells_its_problems_policies_and_sources() -> None:
    condition = Condition("Ready", "False", "InvalidSpec", "spec: bad", "t", 1)
    hub = HubView("mgmt", synced=True, whole=False, problems=[ProblemView("a.yaml", 3, 1, "not YAML")])
    status = ServiceStatus(
        "1",
        hub,
        policies=[PolicyView("p", 1, "pull", PolicyStatus(conditions=[condition]))],
        credentials=[
            CredentialView("ns", "good", "static", "stored", ["r.example"]),
            CredentialView("", "ecr:public:0a1b", "ecr", "unknown", reason="Waiting"),
            CredentialView("ns", "minted", "ecr", "fresh", ["r.example"], refreshed_at="2026-01-01T00:00:00Z"),
            CredentialView("ns", "odd", "static", "stored", ["r.example"], message="key note is unknown"),
            CredentialView("ns", "bad", "static", "unknown", reason="SourceError", message="no key"),
        ],
    )
    assert [
        (one.subject, one.state, one.message) for one in of_hub(status, kind="directory x", untried={"ns/minted"})
    ] == [
        ("hub mgmt", "wrong", "a.yaml:3:1: not YAML"),
        ("policy p", "wrong", "InvalidSpec: spec: bad"),
        ("source ns/good", "ok", "r.example"),
        ("source ecr:public:0a1b", "ok", "ecr"),
        ("source ns/minted", "ok", "r.example (no token yet, and none is asked for here)"),
        ("source ns/odd", "warning", "key note is unknown"),
        ("source ns/bad", "wrong", "SourceError: no key"),
    ]


def test_a_hub_in_which_all_is_right_is_fine() -> None:
    whole = ServiceStatus("1", HubView("mgmt", synced=True, whole=True))
    assert [(one.state, one.message) for one in of_hub(whole, kind="directory x")] == [
        ("ok", "directory x"),
        ("ok", "none"),
    ]


def test_what_is_wrong_comes_before_what_is_away() -> None:
    fine, away, wrong = (Check("a", "x", state) for state in ("ok", "unreachable", "wrong"))
    assert sort([fine, away, wrong]) == [wrong, away, fine]
    assert [exit_code(checks) for checks in ([fine], [fine, away], [away, wrong])] == [0, 3, 1]
