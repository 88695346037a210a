"""What lies in deploy/ is what the commands print."""

from pathlib import Path

from typer.testing import CliRunner

from imps_multi.cli.main import app

ROOT = Path(__file__).parents[2]


def test_the_target_role_in_deploy_is_the_printed_one() -> None:
    printed = CliRunner().invoke(app, ["rbac", "--role", "target", "--secret-name", "registry-pull"])
    assert printed.stdout == (ROOT / "deploy/target/role.yaml").read_text()
