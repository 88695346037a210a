import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from imps_multi.hubs.durable import write_item
from imps_multi.kube import kubeconfig
from imps_multi.kube.connection import BearerToken
from imps_multi.model.history import History, encode
from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.policy import Policy, SourceRef, TargetSecret
from imps_multi.model.stored_policy import StoredPolicy, encode_policy
from tests.cli.running import invoke

POLICY = """\
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata: {{name: {name}}}
spec:
  registry: {{credentials: [{{name: hub, namespace: default}}]}}
  target: {{clusters: {clusters}, namespaces: {{names: ["*"]}}, secret: {{name: {secret}}}}}
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: prod, context: {cluster: a, user: u}}, {name: test, context: {cluster: a, user: u}}]
"""
CONFIG = """\
hub: {id: mgmt, directory: ./hub, stateDirectory: ./state, formerSecretNames: [former]}
clusters:
  - kubeconfig: ./fleet.kubeconfig
    contexts: ["*"]
    overrides: [{contexts: [prod], labels: {env: prod}}]
"""
ALL = ["get", "list", "watch", "update", "patch", "delete"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with policies for all clusters, for one by name, for one by label, and an invalid one."""
    hub = tmp_path / "hub"
    hub.mkdir()
    hub.joinpath("all.yaml").write_text(POLICY.format(name="all", clusters="{names: ['*']}", secret="everywhere"))
    hub.joinpath("test.yaml").write_text(POLICY.format(name="test", clusters="{names: [test]}", secret="in-test"))
    labels = "{labels: [{matchLabels: {env: prod}}]}"
    hub.joinpath("prod.yaml").write_text(POLICY.format(name="prod", clusters=labels, secret="in-prod"))
    hub.joinpath("bad.yaml").write_text(POLICY.format(name="bad", clusters="{label: []}", secret="of-invalid"))
    (tmp_path / "fleet.kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return str(tmp_path / "config.yaml")


def manifests(*words: str) -> dict[str, Any]:
    """Print the role; return the manifests by kind."""
    result = invoke("rbac", "--role", "target", *words)
    assert result.exit_code == 0, result.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(result.stdout)}


def names(*words: str) -> list[str]:
    (rule,) = (rule for rule in manifests(*words)["ClusterRole"]["rules"] if "resourceNames" in rule)
    found: list[str] = rule["resourceNames"]
    return found


def test_the_role_grants_secrets_by_name_and_nothing_more_than_is_used() -> None:
    role = manifests("--secret-name", "pull", "--secret-name", "other")["ClusterRole"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["other", "pull"], "verbs": ALL},
    ]


def test_the_role_comes_with_all_that_kubectl_needs_in_its_order() -> None:
    result = invoke("rbac", "--role", "target", "--secret-name", "pull")
    found = list(yaml.safe_load_all(result.stdout))
    assert [one["kind"] for one in found] == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"]
    assert found[1]["metadata"] | {"labels": None} == {"name": "imps-multi", "namespace": "imps-system", "labels": None}
    assert found[3]["roleRef"]["name"] == found[2]["metadata"]["name"]
    assert found[3]["subjects"] == [{"kind": "ServiceAccount", "namespace": "imps-system", "name": "imps-multi"}]


def test_the_role_can_be_bound_to_other_accounts() -> None:
    words = ["--secret-name", "pull", "--service-account", "a/one", "--service-account", "a/two"]
    result = invoke("rbac", "--role", "target", *words)
    found = list(yaml.safe_load_all(result.stdout))
    assert [one["kind"] for one in found].count("Namespace") == 1
    assert [subject["name"] for subject in found[-1]["subjects"]] == ["one", "two"]


def test_a_configuration_gives_the_names_of_its_policies_valid_or_not_and_of_the_past(config: str) -> None:
    assert names("--config", config) == ["everywhere", "former", "in-prod", "in-test", "of-invalid"]
    assert names("--config", config, "--secret-name", "extra")[1] == "extra"


def test_one_cluster_gets_only_the_names_that_may_be_written_there(config: str) -> None:
    assert names("--config", config, "--cluster", "prod") == ["everywhere", "former", "in-prod", "of-invalid"]
    assert names("--config", config, "--cluster", "test") == ["everywhere", "former", "in-test", "of-invalid"]


def test_names_that_the_state_store_remembers_are_in_the_role(config: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    past = History(names=frozenset({SecretName("renamed-from")}))
    gone = Policy(
        name=PolicyName("gone"),
        generation=1,
        sources=(SourceRef(NamespaceName("default"), "hub"),),
        secret=TargetSecret(SecretName("of-deleted")),
    )
    write_item(tmp_path / "state" / "policies", "history", encode(PolicyName("all"), past))
    write_item(tmp_path / "state" / "policies", "policy", encode_policy(StoredPolicy(gone, deleted=True)))
    assert {"renamed-from", "of-deleted"} <= set(names("--config", config))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --config FILE, or --secret-name NAME"),
        (("--secret-name", "Upper"), '"Upper" is no name of a Secret'),
        (("--secret-name", "a", "--cluster", "prod"), "--cluster needs --config"),
        (("--secret-name", "a", "--service-account", "b"), "write NAMESPACE/NAME"),
        (("--secret-name", "a", "--service-account", "b/"), "is no ServiceAccount"),
    ],
)
def test_words_that_do_not_fit_exit_2(words: tuple[str, ...], said: str) -> None:
    result = invoke("rbac", "--role", "target", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_cluster_that_is_not_configured_exits_2_with_the_nearest_name(config: str) -> None:
    result = invoke("rbac", "--role", "target", "--config", config, "--cluster", "prd")
    assert result.exit_code == 2
    assert result.stderr == 'there is no cluster "prd" (did you mean "prod"?)\n'


def test_a_hub_that_cannot_be_read_whole_gives_no_role_with_names_missing(config: str, tmp_path: Path) -> None:
    (tmp_path / "hub" / "broken.yaml").write_text("a: [")
    result = invoke("rbac", "--role", "target", "--config", config)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "names may be missing" in result.stderr


def test_a_hub_in_a_cluster_that_is_away_exits_3(config: str, tmp_path: Path) -> None:
    text = (
        Path(config)
        .read_text()
        .replace("directory: ./hub, stateDirectory: ./state", "kubeconfig: ./away, context: prod")
    )
    (tmp_path / "away").write_text(KUBECONFIG.replace("https:", "http:"))
    (tmp_path / "c.yaml").write_text(text)
    result = invoke("rbac", "--role", "target", "-c", str(tmp_path / "c.yaml"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("the hub cannot be reached: ")


def test_a_hub_without_a_name_exits_2(config: str, tmp_path: Path) -> None:
    for path in (tmp_path / "hub").iterdir():
        path.unlink()
    Path(config).write_text(CONFIG.replace(", formerSecretNames: [former]", ""))
    result = invoke("rbac", "--role", "target", "--config", config)
    assert result.exit_code == 2
    assert "gives no Secret name" in result.stderr


def test_the_admission_policy_names_accounts_type_and_names() -> None:
    words = ("--secret-name", "b", "--secret-name", "a", "--service-account", "x/y", "--admission-policy")
    printed = manifests(*words)
    spec = printed["ValidatingAdmissionPolicy"]["spec"]
    assert spec["matchConditions"][0]["expression"] == "request.userInfo.username in ['system:serviceaccount:x:y']"
    assert spec["validations"][0]["expression"].endswith("object.type == 'kubernetes.io/dockerconfigjson'")
    assert spec["validations"][1]["expression"].endswith("object.metadata.name in ['a', 'b']")
    assert printed["ValidatingAdmissionPolicyBinding"]["spec"]["policyName"] == "imps-multi-target"


def test_the_admission_policy_is_for_targets() -> None:
    result = invoke("rbac", "--role", "hub", "--source-namespace", "a", "--admission-policy")
    assert result.exit_code == 2


@pytest.mark.parametrize("role", [("target", "--secret-name", "a"), ("hub", "--source-namespace", "a")])
def test_a_kubeconfig_is_made_of_a_token_that_lives_on(role: tuple[str, ...], tmp_path: Path) -> None:
    """What kubectl would put into the template is put in here."""
    result = invoke("rbac", "--role", *role, "--with-kubeconfig", "https://10.0.0.1:6443")
    assert result.exit_code == 0, result.stderr
    token = next(one for one in yaml.safe_load_all(result.stdout) if one["kind"] == "Secret")
    assert (token["type"], token["metadata"]["namespace"]) == ("kubernetes.io/service-account-token", "imps-system")
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "imps-multi"}
    (line,) = (line for line in result.stdout.splitlines() if "kubectl get secret" in line)
    assert line in result.stderr, "kubectl takes the comment from a pipe and shows it to nobody"
    words = shlex.split(line.lstrip("# "))
    assert words[-1] == f"{role[0]}.kubeconfig"
    assert words[:5] == ["kubectl", "get", "secret", token["metadata"]["name"], "--namespace"]
    template = next(word for word in words if word.startswith("go-template="))
    filled = template.removeprefix("go-template=").replace('{{index .data "ca.crt"}}', "Q0E=")
    (tmp_path / "kubeconfig").write_text(filled.replace("{{.data.token | base64decode}}", "tok"))
    read = kubeconfig.load(tmp_path / "kubeconfig")
    connection = read.connection(role[0])
    assert (connection.server, connection.ca, connection.credential) == (
        "https://10.0.0.1:6443",
        b"CA",
        BearerToken("tok"),
    )


@pytest.mark.parametrize("server", ["10.0.0.1", "https://", "https://a b", "https://a'b", "ftp://a", "https://a:x"])
def test_a_server_is_the_url_of_one(server: str) -> None:
    result = invoke("rbac", "--role", "target", "--secret-name", "a", "--with-kubeconfig", server)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no URL of an API server" in result.stderr
