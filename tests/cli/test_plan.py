import io
import json
import sys
import time
from pathlib import Path

import pytest
import yaml

from imps_multi.cli import plan as module
from imps_multi.cli.plan import Kind, exit_code, in_short, summed, waiting
from imps_multi.config.load import ConfigProblem, InvalidConfiguration
from imps_multi.model.hub import Place
from imps_multi.model.plan_result import PlannedWrite, PlanProblem, PlanResult
from tests.cli.running import invoke
from tests.cli.site import Site


def write(operation: str, namespace: str = "team-a", *, cluster: str = "prod-1", held: bool = False) -> PlannedWrite:
    return PlannedWrite(
        cluster=cluster,
        namespace=namespace,
        secret="registry-pull",
        policy="team-a",
        operation=operation,
        why=f"why {operation}",
        held=held,
    )


AWAY = PlanProblem("cluster edge-1", "Unreachable", "connection refused")
REFUSED = PlanProblem("cluster edge-1", "Forbidden", "namespaces may not be read")
WRONG = PlanProblem("policy team-a", "InvalidSpec", "spec.target: is required")


@pytest.mark.parametrize(
    ("result", "fail_on", "code"),
    [
        (PlanResult(), None, 0),
        (PlanResult(writes=[write("update")]), None, 1),
        (PlanResult(writes=[write("update")]), "delete,expand", 0),
        (PlanResult(writes=[write("create")]), "delete", 0),
        (PlanResult(writes=[write("create")]), "expand", 1),
        (PlanResult(writes=[write("delete")]), "delete", 1),
        (PlanResult(writes=[write("mark")]), "delete", 1),
        (PlanResult(writes=[write("release")]), "delete", 1),
        (PlanResult(writes=[write("delete", held=True)]), "delete", 1),
        (PlanResult(unreachable=["edge-1"], problems=[AWAY]), None, 3),
        (PlanResult(unreachable=["edge-1"], problems=[AWAY], writes=[write("create")]), None, 1),
        (PlanResult(unreachable=["edge-1"], problems=[AWAY], writes=[write("create")]), "delete", 3),
        (PlanResult(unreachable=["edge-1"], problems=[REFUSED]), None, 1),
        (PlanResult(problems=[WRONG]), None, 1),
        (PlanResult(problems=[WRONG]), "delete", 0),
        (PlanResult(problems=[WRONG, AWAY], unreachable=["edge-1"]), None, 1),
    ],
)
def test_the_exit_code_tells_differences_before_what_is_out_of_reach(
    result: PlanResult, fail_on: str | None, code: int
) -> None:
    assert exit_code(result, module.kinds_of(fail_on)) == code


def test_kinds_are_read_as_a_list() -> None:
    assert module.kinds_of("delete, expand") == frozenset({Kind.DELETE, Kind.EXPAND})


def test_an_unknown_kind_is_a_usage_error() -> None:
    result = invoke("plan", "--fail-on", "deletes")
    assert result.exit_code == 2
    assert "delete, expand" in result.stderr


def test_writes_that_differ_in_their_namespaces_alone_are_summed_up() -> None:
    writes = [write("create", f"team-{number}") for number in range(5)] + [write("delete", "old", held=True)]
    assert list(summed(writes)) == [
        ("prod-1", "team-a", "create", "5", "team-0, team-1, team-2, +2", "why create"),
        ("prod-1", "team-a", "delete (held)", "1", "old", "why delete"),
    ]


def test_a_plan_is_put_in_short() -> None:
    full = PlanResult(
        writes=[write("create"), write("create", "b"), write("delete"), write("delete", "c", held=True)],
        unreachable=["edge-1"],
        targets=10,
        in_sync=7,
    )
    assert in_short(full) == "7 of 10 targets in sync; 2 to create, 1 to delete, 1 held; could not look at edge-1"
    assert in_short(PlanResult()) == "0 of 0 targets in sync; nothing to do"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> PlanResult:
    result = PlanResult(
        writes=[write("create", "a" * 60), write("delete", held=True)], problems=[WRONG], targets=2, in_sync=0
    )
    monkeypatch.setattr("imps_multi.app.plan_once", lambda _config: result)
    return result


def test_the_table_goes_to_stdout_uncut_and_the_talk_to_stderr(planned: PlanResult) -> None:
    result = invoke("plan", env={"COLUMNS": "40"})
    assert result.exit_code == 1
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["CLUSTER", "POLICY", "OPERATION", "COUNT", "NAMESPACES", "WHY"]
    assert rows[1][4] == planned.writes[0].namespace
    assert "policy team-a: InvalidSpec: spec.target: is required" in result.stderr
    assert "0 of 2 targets in sync" in result.stderr
    assert "\x1b" not in result.output


def test_wide_has_a_line_for_each_write(planned: PlanResult) -> None:
    rows = [line.split() for line in invoke("plan", "-o", "wide").stdout.splitlines()]
    assert rows[0] == ["CLUSTER", "NAMESPACE", "SECRET", "POLICY", "OPERATION", "HELD", "WHY"]
    assert len(rows) == 1 + len(planned.writes)
    assert "held" in rows[2]


def test_json_and_yaml_hold_the_whole_plan_and_nothing_else_on_stdout(planned: PlanResult) -> None:
    as_json = json.loads(invoke("plan", "-o", "json").stdout)
    assert as_json == yaml.safe_load(invoke("plan", "-o", "yaml").stdout)
    assert as_json["inSync"] == planned.in_sync
    assert as_json["writes"][1] == {
        "cluster": "prod-1",
        "namespace": "team-a",
        "secret": "registry-pull",
        "policy": "team-a",
        "operation": "delete",
        "why": "why delete",
        "held": True,
    }


def test_a_configuration_that_is_wrong_exits_2_with_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_config: Path) -> PlanResult:
        raise InvalidConfiguration([ConfigProblem(Place("c.yaml", 1, 2), "hub", "is required")])

    monkeypatch.setattr("imps_multi.app.plan_once", refuse)
    result = invoke("plan")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "c.yaml:1:2: hub: is required\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_waiting_shows_nothing_in_a_pipe_and_a_bar_on_a_terminal_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe, quick, slow = io.StringIO(), Terminal(), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    for stream, patience in ((pipe, 0.0), (quick, 60.0), (slow, 0.0)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(module, "PATIENCE", patience)
        with waiting("Looking"):
            deadline = time.monotonic() + 5
            while stream is slow and "Looking" not in slow.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
    assert (pipe.getvalue(), quick.getvalue()) == ("", "")
    assert "Looking" in slow.getvalue()


def test_nothing_is_planned_for_a_paused_cluster_and_it_is_named(site: Site) -> None:
    pausing = "overrides: [{contexts: ['*'], paused: true}], contexts: ["
    (site.root / "paused.yaml").write_text(site.config.read_text().replace("contexts: [", pausing))
    assert site.run("plan").returncode == 1
    done = site.run("plan", "-c", "paused.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("0 of 0 targets in sync; nothing to do; paused: cluster-000, cluster-001\n")


def test_a_name_that_the_role_does_not_let_us_see_is_told_with_what_to_do(site: Site) -> None:
    site.fault("cluster-001", fault="deny", verb="list", resource="secrets")
    site.fault("cluster-001", fault="deny", verb="watch", resource="secrets")
    done = site.run("plan", "-c", "imps-multi.yaml")
    site.fault("cluster-001", fault="allow")
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("cluster cluster-001: Forbidden: ")]
    assert told.endswith("imps-multi rbac --role target --secret-name registry-pull --config FILE")


def test_a_hub_whose_state_may_not_be_read_ends_it_with_what_to_do(site: Site) -> None:
    hub = "{id: mgmt, kubeconfig: ./fleet.kubeconfig, context: cluster-000}"
    clusters = "[{name: a, kubeconfig: ./fleet.kubeconfig, context: cluster-001}]"
    (site.root / "in-cluster.yaml").write_text(f"hub: {hub}\nclusters: {clusters}\n")
    site.fault("cluster-000", fault="deny", verb="list", resource="secrets")
    done = site.run("plan", "-c", "in-cluster.yaml")
    site.fault("cluster-000", fault="allow")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("the state cannot be read: list state Secrets in imps-system on ")
    assert done.stderr.endswith("renew the role: imps-multi rbac --role hub --config FILE\n")
