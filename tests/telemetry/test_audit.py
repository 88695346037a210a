import io
import json
import os
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
from anyio import wait_all_tasks_blocked

from imps_multi.telemetry.audit import WAITING, AuditLog
from imps_multi.telemetry.logs import configure_logging
from tests.telemetry.records import written

pytestmark = pytest.mark.anyio


async def test_a_write_is_one_line_with_the_promised_keys(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(str(path))
    audit.write(written())
    await audit.flush()
    assert json.loads(path.read_text()) == {
        "time": "2026-01-01T00:00:00.250Z",
        "cluster": "prod-1",
        "namespace": "team-a",
        "name": "registry-pull",
        "uid": "uid-1",
        "operation": "create",
        "policy": "team-a",
        "why": "missing",
        "expiresAt": "2026-01-01T12:00:00Z",
        "result": "ok",
    }


async def test_the_file_is_private_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for operation in ("create", "update"):
        audit = AuditLog(str(path))
        audit.write(written(operation=operation))
        await audit.flush()
    assert [json.loads(line)["operation"] for line in path.read_text().splitlines()] == ["create", "update"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_it_goes_on_in_another_file_or_in_none(tmp_path: Path) -> None:
    audit = AuditLog("")
    for name in ("one", "two", ""):
        audit.go_on_in(str(tmp_path / name) if name else "")
        audit.write(written(operation=name))
        await audit.flush()
    assert [json.loads((tmp_path / name).read_text())["operation"] for name in ("one", "two")] == ["one", "two"]


@pytest.mark.parametrize("anew", [True, False])
async def test_a_rotated_file_is_opened_again(tmp_path: Path, *, anew: bool) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(str(path))
    audit.write(written(operation="create"))
    await audit.flush()
    path.rename(tmp_path / "audit.jsonl.1")
    if anew:
        path.touch()
    audit.write(written(operation="delete"))
    await audit.flush()
    assert json.loads(path.read_text())["operation"] == "delete"
    assert json.loads((tmp_path / "audit.jsonl.1").read_text())["operation"] == "create"


async def test_a_failing_disk_is_reported_once_stops_nothing_and_its_return_is_said(tmp_path: Path) -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    place = tmp_path / "logs"
    audit = AuditLog(str(place / "audit.jsonl"))
    for _ in range(3):
        audit.write(written())
        await audit.flush()
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["Audit log cannot be written"]
    place.mkdir()
    audit.write(written(operation="delete"))
    await audit.flush()
    assert json.loads((place / "audit.jsonl").read_text())["operation"] == "delete"
    last = json.loads(out.getvalue().splitlines()[-1])
    assert (last["event"], last["lines_lost"]) == ("Audit log is written again", 3)


async def test_the_task_writes_what_comes_and_what_is_left_when_cancelled() -> None:
    got: list[bytes] = []
    taken = anyio.Event()

    def take(lines: bytes) -> None:
        got.append(lines)
        anyio.from_thread.run_sync(taken.set)

    audit = AuditLog("there", write_out=take)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(audit.run)
            await wait_all_tasks_blocked()
            audit.write(written(operation="create"))
            await taken.wait()
            audit.write(written(operation="delete"))
            group.cancel_scope.cancel()
    assert [json.loads(line)["operation"] for line in b"".join(got).splitlines()] == ["create", "delete"]


async def test_lines_that_wait_for_a_hanging_disk_are_bounded() -> None:
    got: list[bytes] = []
    audit = AuditLog("there", write_out=got.append)
    record = written()
    for _ in range(WAITING + 3):
        audit.write(record)
    await audit.flush()
    assert sum(one.count(b"\n") for one in got) == WAITING


async def test_without_a_destination_nothing_is_kept() -> None:
    audit = AuditLog("")
    audit.write(written())
    await audit.flush()
    assert audit._waiting == []


async def test_stdout_gets_the_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    audit = AuditLog("stdout")
    audit.write(written())
    await audit.flush()
    assert json.loads(capfdbinary.readouterr().out)["cluster"] == "prod-1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
async def test_a_full_disk_loses_lines_and_says_why() -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    audit = AuditLog("/dev/full")
    audit.write(written())
    await audit.flush()
    assert json.loads(out.getvalue())["message"] == os.strerror(28)
