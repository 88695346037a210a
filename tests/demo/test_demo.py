"""The demonstration as a process of its own: it logs into a file, listens to signals and changes its environment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import sys
from imps_multi.demo.running import Plan, run_plan
from imps_multi.demo.stage import Pace, Stage
from imps_multi.demo.story import STORY
brisk = Pace(lifetime=11.5, pause=0.0, patience=10.0)
"""
PATIENCE = 90


def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with traps in it: whoever follows them does not end well."""
    nowhere = "http://127.0.0.1:9"
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "COVERAGE_PROCESS_START"}}
    return kept | {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path),
        "HTTP_PROXY": nowhere,
        "http_proxy": nowhere,
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_PROFILE": "nobody",
        "PYTHONWARNINGS": "error",
    }


def start(tmp_path: Path, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-c", PRELUDE + script],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    with process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


def left_behind(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.iterdir() if path.name.startswith("imps-multi-demo-")]


def test_the_story_happens_as_announced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code, out, err = finish(start(tmp_path, "sys.exit(run_plan(Plan(pace=brisk)))"))
    assert (code, err) == (0, ""), out
    for words in (
        "1. Credentials fan out",
        "✓ 42 Secrets are right",
        "✓ ECR was asked once for all of them.",
        "✓ All 42 Secrets hold token #2",
        "every UID is what it was; 42 writes",
        "✓ The service reports prod-asia as Degraded (Unreachable), and only that one.",
        "✓ prod-eu and prod-us hold token #3",
        "✓ Found, and all its 14 Secrets right",
        "✓ Its Secret is there after",
        "✓ Repaired after",
        "✓ Back after",
        "✓ It is reported as a conflict",
        "✓ The brake holds 34 removals",
        "✓ The hold is gone; nothing was lost.",
        "44 Secrets in 3 clusters",
        "0 deletes",
        "✓ Everything that was announced happened.",
    ):
        assert words in out
    assert "✗" not in out
    assert left_behind(tmp_path) == []


def test_a_service_that_may_not_write_makes_its_scene_fail_and_the_others_go_on(tmp_path: Path) -> None:
    script = """
def sabotage(stage: Stage) -> None:
    for verb in ("update", "patch"):
        stage.clusters["prod-eu"].faults.fail(403, verb=verb, namespace="app-03")

fan_out, appears, tampering = STORY[0], STORY[4], STORY[5]
pace = Pace(pause=0.0, patience=3.0)
sys.exit(run_plan(Plan(pace=pace, acts=(fan_out, tampering, appears), prepare=sabotage)))
"""
    code, out, err = finish(start(tmp_path, script))
    assert (code, err) == (1, "")
    assert "✗ the edited Secret was not repaired (waited 3 s)" in out
    assert "✓ Its Secret is there after" in out
    assert "✗ Did not happen as announced: Secrets are tampered with." in out
    assert "Everything that was announced happened." not in out
    (kept,) = left_behind(tmp_path)
    log = tmp_path / kept / "imps-multi.log"
    assert f"The service's log is {log};" in " ".join(out.split())
    assert "Forbidden" in log.read_text(encoding="utf-8")


def test_a_service_that_cannot_start_is_the_end_of_the_story(tmp_path: Path) -> None:
    script = """
sys.exit(run_plan(Plan(pace=brisk, prepare=lambda stage: stage.kubeconfig.unlink())))
"""
    code, out, err = finish(start(tmp_path, script))
    assert (code, err) == (1, "")
    assert "✗ the service failed" in out
    assert "fleet.kubeconfig" in out


def test_a_mistake_in_the_story_itself_is_told_in_one_line(tmp_path: Path) -> None:
    script = """
from imps_multi.demo.story import Act

async def stumble(scene):
    raise KeyError("nothing of that name")

sys.exit(run_plan(Plan(acts=(Act("Stumbling", stumble),))))
"""
    code, out, err = finish(start(tmp_path, script))
    assert (code, err) == (1, "")
    assert "✗ the demonstration itself failed: KeyError('nothing of that name')" in out
    assert "Traceback" not in out


def test_it_ends_when_its_reader_leaves(tmp_path: Path) -> None:
    process = start(tmp_path, "sys.exit(run_plan(Plan()))")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    with process:
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE) == 130
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "sys.exit(run_plan(Plan()))")
    assert process.stdout is not None
    for line in process.stdout:
        if "2. The token rotates" in line:
            break
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, err) == (130, "")
    assert "Interrupted" in out
    assert left_behind(tmp_path) == []


def test_kept_it_stays_up_until_interrupted_and_says_what_to_try(tmp_path: Path) -> None:
    process = start(tmp_path, "sys.exit(run_plan(Plan(keep=True, acts=STORY[:1], pace=brisk)))")
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if "imps-multi.log" in line:
            break
    (root,) = left_behind(tmp_path)
    assert process.poll() is None
    assert f"  cd {tmp_path / root}\n" in told
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "Everything that was announced happened." in out
    assert left_behind(tmp_path) == []
