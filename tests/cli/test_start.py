from pathlib import Path

import pytest

from tests.cli.running import modules_of

HEAVY = {
    "kubernetes_asyncio",
    "aiobotocore",
    "botocore",
    "aiohttp",
    "anyio",
    "asyncio",
    "rich",
    "watchfiles",
    "structlog",
}
POLICY = """
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata: {name: team-a}
spec:
  registry: {credentials: [{name: hub, namespace: default}]}
  target: {clusters: {names: ["*"]}, namespaces: {names: ["*"]}, secret: {name: pull}}
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("run", "--help"), ("version",), ("version", "-o", "json"), ("completion", "zsh"), ("crd",)]
)
def test_what_only_prints_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    code, output, modules = modules_of(*words)
    assert (code, bool(output)) == (0, True)
    assert modules & (HEAVY | {"pydantic", "yaml"}) == set()


def test_completing_a_word_loads_nothing_heavy() -> None:
    asked = {"_IMPS_MULTI_COMPLETE": "complete_bash", "COMP_WORDS": "imps-multi va", "COMP_CWORD": "1"}
    code, output, modules = modules_of(env=asked)
    assert (code, output) == (0, "validate\n")
    assert modules & (HEAVY | {"pydantic", "yaml"}) == set()


def test_validating_manifests_loads_neither_the_configurations_models_nor_a_loop(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    code, _, modules = modules_of("validate", str(tmp_path))
    assert code == 0
    assert modules & (HEAVY | {"pydantic"}) == set()


def test_validating_a_configuration_loads_no_client(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "policy.yaml").write_text(POLICY)
    (tmp_path / "config.yaml").write_text("hub: {id: h, directory: ./hub}\nclusters: []\n")
    code, _, modules = modules_of("validate", str(tmp_path / "config.yaml"))
    assert code == 0
    assert modules & (HEAVY - {"anyio", "asyncio"}) == set()
    assert modules & {"email", "importlib.metadata"} == set()  # pydantic would look for plugins with them
