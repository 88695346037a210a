import json
import re
import subprocess
import sys

import pytest
import yaml

import imps_multi
from imps_multi.cli.reserved import RESERVED
from tests.cli.running import invoke

COMMANDS = "run demo validate plan status clusters doctor sync approve leave rbac crd schema completion version".split()  # noqa: SIM905 - a list of words


def test_help_lists_every_command_with_a_whole_sentence() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert re.findall(r"^  ([a-z]+)  .*\.$", result.stdout, re.MULTILINE) == COMMANDS
    assert "..." not in result.stdout.split("Commands:")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str) -> None:
    for flag in ("-h", "--help"):
        result = invoke(command, flag)
        assert result.exit_code == 0
        assert result.stdout.startswith(f"Usage: imps-multi {command}")
        assert "\\" not in result.stdout  # a mark for line breaks that nobody took out


def test_the_version_can_be_asked_for_as_an_option() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"imps-multi {imps_multi.__version__}\n")
    assert result.stdout == invoke("version").stdout
    assert invoke("--version", "nothing", "--of=this").exit_code == 0


def test_no_word_at_all_shows_the_help_and_is_a_usage_error() -> None:
    result = invoke()
    assert result.exit_code == 2
    assert "Usage: imps-multi" in result.output


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_command_is_an_error_whatever_follows_it(name: str) -> None:
    for more in ((), ("--help",), ("POLICY", "--keep")):
        result = invoke(name, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"imps-multi {name} is not in this version\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plann",), "Did you mean 'plan'?"),
        (("version", "-o", "yml"), '"yml" is not one of table, wide, json, yaml'),
        (("validate",), "Missing argument 'PATH'"),
        (("run", "--config"), "requires an argument"),
        (("sync",), "Missing argument 'POLICY'"),
        (("run", "--fast"), "No such option"),
    ],
)
def test_a_usage_error_exits_2_and_says_why_on_stderr(words: tuple[str, ...], said: str) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_the_version_comes_in_every_form() -> None:
    assert invoke("version").stdout == f"imps-multi {imps_multi.__version__}\n"
    assert invoke("version", "-o", "wide").stdout.startswith(f"imps-multi {imps_multi.__version__} (Python 3.")
    as_json = json.loads(invoke("version", "-o", "json").stdout)
    assert as_json == yaml.safe_load(invoke("version", "-o", "yaml").stdout)
    assert as_json["version"] == imps_multi.__version__


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")]
)
def test_each_shell_gets_its_completion_script(shell: str, word: str) -> None:
    script = invoke("completion", shell).stdout
    assert word in script
    assert "imps-multi" in script
    assert "_IMPS_MULTI_COMPLETE" in script


def test_the_schema_is_json_with_every_part_of_the_file() -> None:
    schema = json.loads(invoke("schema", "config").stdout)
    assert {"hub", "clusters", "telemetry", "safety"} <= set(schema["properties"])


def test_the_definition_is_the_one_of_image_pull_secrets() -> None:
    definition = yaml.safe_load(invoke("crd").stdout)
    assert definition["metadata"]["name"] == "imagepullsecrets.images.banzaicloud.io"


def test_the_package_can_be_run_as_a_module() -> None:
    command = [sys.executable, "-m", "imps_multi", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - fixed words
    assert done.stdout == f"imps-multi {imps_multi.__version__}\n"


def test_what_is_printed_for_kubectl_comes_in_both_its_forms() -> None:
    crd = yaml.safe_load(invoke("crd").stdout)
    assert json.loads(invoke("crd", "-o", "json").stdout) == crd
    role = ("rbac", "--role", "target", "--secret-name", "pull")
    listed = json.loads(invoke(*role, "-o", "json").stdout)
    assert listed["kind"] == "List"
    assert listed["items"] == [each for each in yaml.safe_load_all(invoke(*role).stdout) if each]
    schema = json.loads(invoke("schema", "config").stdout)
    assert yaml.safe_load(invoke("schema", "config", "-o", "yaml").stdout) == schema


@pytest.mark.parametrize("command", ["sync", "approve"])
def test_an_empty_name_is_a_usage_error(command: str) -> None:
    result = invoke(command, "")
    assert (result.exit_code, result.stderr) == (2, f"{command} what? Its name is empty\n")
