import json
import os
from base64 import b64encode
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imps_multi.app.assembly import rules
from imps_multi.cli.main import app
from imps_multi.config.load import load
from imps_multi.model.credential import MintSource, SourceFault
from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef
from tests.cli.running import invoke

MARK = "MARKED-s3cr3t"
POLICY = """\
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata: {name: team-a}
spec:
  registry:
    credentials:
      - {name: dockerhub, namespace: registry-access}
  target:
    clusters: {names: ["*"]}
    namespaces: {names: ["team-*"]}
    secret: {name: registry-pull}
"""
SOURCE = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: dockerhub, namespace: registry-access}}
type: kubernetes.io/dockerconfigjson
stringData:
  .dockerconfigjson: '{{"auths": {{"registry.example.com": {{"username": "u", "password": "{MARK}"}}}}}}'
"""
KUBECONFIG = f"""\
apiVersion: v1
kind: Config
clusters:
  - {{name: a, cluster: {{server: "https://127.0.0.1:1"}}}}
users:
  - {{name: u, user: {{token: {MARK}}}}}
contexts:
  - {{name: prod-a, context: {{cluster: a, user: u}}}}
"""
CONFIG = """\
hub: {id: mgmt, directory: ./hub}
clusters:
  - {kubeconfig: ./fleet.kubeconfig, contexts: ["prod-*"]}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which everything is right."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "policy.yaml").write_text(POLICY)
    (tmp_path / "hub" / "source.yaml").write_text(SOURCE)
    (tmp_path / "fleet.kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(*paths: str, code: int = 2) -> list[str]:
    """Validate; return what is printed, after a look at the exit code and for secrets."""
    result = invoke("validate", *paths)
    assert result.exit_code == code, result.output
    assert MARK not in result.output
    return result.stdout.splitlines()


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_what_is_right_prints_nothing_but_a_summary_on_stderr(place: Path) -> None:
    assert place.exists()
    result = invoke("validate", "config.yaml", "hub", "fleet.kubeconfig")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "4 files (1 configuration, 1 policy, 1 source): no error\n"


def test_a_files_content_tells_what_it_is_whatever_its_name(place: Path) -> None:
    (place / "hub" / "policy.yaml").rename(place / "one.txt")
    (place / "config.yaml").rename(place / "two.txt")
    (place / "fleet.kubeconfig").rename(place / "three.txt")
    change(place / "two.txt", "./fleet.kubeconfig", "./three.txt")
    assert lines("one.txt", "two.txt", "three.txt", code=0) == []


def test_every_error_of_every_file_is_told_at_once_each_with_its_place(place: Path) -> None:
    change(place / "hub" / "policy.yaml", 'names: ["team-*"]', 'name: ["team-*"]')
    change(place / "hub" / "policy.yaml", "secret: {name: registry-pull}", "secret: {}")
    change(place / "hub" / "source.yaml", '"auths"', '"auths')
    change(place / "config.yaml", "id: mgmt", "id: mgmt, idd: x")
    assert [line.split(" ")[0] for line in lines("config.yaml", "hub")] == [
        "config.yaml:1:17:",
        "hub/policy.yaml:10:18:",
        "hub/policy.yaml:11:5:",
        "hub/source.yaml:6:3:",
    ]


def test_an_unknown_field_of_a_configuration_has_its_place_path_and_a_suggestion(place: Path) -> None:
    change(place / "config.yaml", "directory:", "directry:")
    first = lines("config.yaml")[0]
    assert first.startswith("config.yaml:1:")
    assert "hub.directry: unknown field (did you mean directory?)" in " ".join(lines("config.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"password"', '"password', "hub/source.yaml:6:3: stringData[.dockerconfigjson]: "),
        ("stringData:", "data:", "hub/source.yaml:6:3: data[.dockerconfigjson]: is not valid base64"),
        ('"username": "u", "password"', '"auth"', "hub/source.yaml:6:3: stringData[.dockerconfigjson]: "),
        ("kubernetes.io/dockerconfigjson", "kubernetes.io/tls", "must be of type kubernetes.io/dockerconfigjson"),
        (".dockerconfigjson:", "config.json:", "key .dockerconfigjson is missing"),
    ],
)
def test_a_source_that_cannot_be_used_is_an_error_that_names_the_key(
    place: Path, before: str, after: str, said: str
) -> None:
    change(place / "hub" / "source.yaml", before, after)
    (line,) = lines("hub")
    assert said in line


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "registry.example.com",
            "https://index.docker.io/v1",
            "'https://index.docker.io/v1': no image is ever looked up",
        ),
        ('"username": "u", ', "", "'registry.example.com': the user name is empty"),
        ('{"auths"', '{"credsStore": "x", "auths"', "credsStore is kept, for tools that mount the Secret"),
    ],
)
def test_what_works_but_looks_wrong_is_a_warning_at_its_key(place: Path, before: str, after: str, said: str) -> None:
    change(place / "hub" / "source.yaml", before, after)
    (line,) = lines("hub", code=0)
    assert line.startswith(f"hub/source.yaml:6:3: warning: stringData[.dockerconfigjson]: {said}")


def test_a_bound_that_is_mistyped_is_an_error_at_its_annotation(place: Path) -> None:
    name = "name: dockerhub, namespace: registry-access"
    change(place / "hub" / "source.yaml", name, f"{name}, annotations: {{imps-multi.io/allow-policy: infra}}")
    (line,) = lines("hub")
    assert line.startswith("hub/source.yaml:3:")
    assert ": metadata.annotations[imps-multi.io/allow-policy]: annotation imps-multi.io/allow-policy is " in line


@pytest.mark.parametrize(("allowed", "code"), [("infra,team-b", 2), ("team-?", 0), ("", 2)])
def test_a_source_that_is_not_for_a_policy_is_an_error(place: Path, allowed: str, code: int) -> None:
    name = "name: dockerhub, namespace: registry-access"
    bound = f"{name}, annotations: {{imps-multi.io/allow-policies: '{allowed}'}}"
    change(place / "hub" / "source.yaml", name, bound)
    refused = "spec.registry.credentials[0]: allow-policies of registry-access/dockerhub does not name team-a"
    assert lines("hub", code=code) == ([f"hub/policy.yaml:7:9: {refused}"] if code else [])


def test_a_registry_that_two_sources_of_a_policy_name_is_a_warning(place: Path) -> None:
    (place / "hub" / "more.yaml").write_text(SOURCE.replace("name: dockerhub", "name: other"))
    change(
        place / "hub" / "policy.yaml",
        "      - {name: dock",
        "      - {name: other, namespace: registry-access}\n      - {name: dock",
    )
    assert lines("hub", code=0) == [
        (
            "hub/policy.yaml:6:5: warning: spec.registry.credentials: "
            "registry-access/dockerhub names registry.example.com too, which an earlier source gives"
        )
    ]


def test_a_merged_secret_that_no_api_server_takes_is_an_error(place: Path) -> None:
    auth = b64encode(b"u:" + b"p" * 40_000).decode()
    config = json.dumps({"auths": {f"{number}.example.com": {"auth": auth} for number in range(12)}})
    content = b64encode(config.encode()).decode()
    head = SOURCE.partition("stringData")[0]
    (place / "hub" / "source.yaml").write_text(f"{head}data: {{.dockerconfigjson: {content}}}\n")
    (line,) = lines("hub")
    assert line == "hub/policy.yaml:6:5: spec.registry.credentials: the merged Secret is over 1 MiB"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            "serviceAccountKey: '{MARK}'",
            "hub/gcp.yaml:7:3: stringData[serviceAccountKey]: key serviceAccountKey is not the",
        ),
        ("locatoin: europe", "hub/gcp.yaml:7:3: stringData[locatoin]: key locatoin is unknown; did you mean location?"),
        (
            "impersonate: nobody",
            "hub/gcp.yaml:7:3: stringData[impersonate]: key impersonate is not a service account's",
        ),
        (
            'credentials: \'{"type": "external_account", "credential_source": {"executable": "MARK"}}\'',
            "hub/gcp.yaml:7:3: stringData[credentials]: key credentials has a credential_source with executable",
        ),
    ],
)
def test_a_source_for_google_is_checked_key_by_key(place: Path, keys: str, said: str) -> None:
    head = "apiVersion: v1\nkind: Secret\nmetadata: {name: gcp, namespace: registry-access}\ntype: imps-multi.io/gcp\n"
    good = f"{head}stringData:\n  registries: eu.gcr.io\n"
    (place / "hub" / "gcp.yaml").write_text(good)
    assert lines("hub", code=0) == []
    (place / "hub" / "gcp.yaml").write_text(f"{good}  {keys.replace('MARK', MARK)}\n")
    (line,) = lines("hub")
    assert line.startswith(said)


def test_a_source_that_is_not_given_is_a_warning_with_the_nearest_name(place: Path) -> None:
    change(place / "hub" / "policy.yaml", "name: dockerhub", "name: dockrhub")
    assert lines("hub", code=0) == [
        (
            "hub/policy.yaml:7:9: warning: spec.registry.credentials[0]: there is no Secret registry-access/dockrhub "
            "in what was given (did you mean registry-access/dockerhub?)"
        )
    ]


AMBIENT = """\
apiVersion: v1
kind: Secret
metadata: {name: ecr, namespace: registry-access}
type: banzaicloud.io/aws-ecr-login-config
stringData: {region: eu-west-1, accountID: "123456789012"}
"""


@pytest.mark.parametrize(
    ("hub", "namespaces", "fine"),
    [
        ("directory: ./hub", "", True),
        ("directory: ./hub", "namespaces: [registry-access]", True),
        ("directory: ./hub", "namespaces: []", False),
        ("kubeconfig: ./fleet.kubeconfig, context: prod-a", "", False),
        ("kubeconfig: ./fleet.kubeconfig, context: prod-a, namespace: registry-access", "", True),
        ("kubeconfig: ./fleet.kubeconfig, context: prod-a, namespace: registry-access", "namespaces: []", False),
        ("kubeconfig: ./fleet.kubeconfig, context: prod-a", "namespaces: ['registry-*']", True),
    ],
)
def test_whose_secrets_may_use_the_process_s_own_identity_is_as_the_service_has_it(
    place: Path, hub: str, namespaces: str, *, fine: bool
) -> None:
    (place / "hub" / "source.yaml").write_text(SOURCE + "---\n" + AMBIENT)
    change(place / "config.yaml", "directory: ./hub", hub)
    with (place / "config.yaml").open("a") as file:
        file.write(f"sources: {{ambientIdentity: {{{namespaces}}}}}\n")
    found = lines("config.yaml", "hub", code=0 if fine else 2)
    assert any("sources.ambientIdentity.namespaces" in line for line in found) is not fine
    rule = rules(load(place / "config.yaml", {}).configuration).interpret
    secret = SourceSecret(
        SourceRef(NamespaceName("registry-access"), "ecr"),
        "banzaicloud.io/aws-ecr-login-config",
        {"region": b"eu-west-1", "accountID": b"123456789012"},
    )
    assert isinstance(rule(secret), MintSource if fine else SourceFault)


INLINE = "{ecr: {region: eu-west-1, accountID: '123456789012', roleARN: 'arn:aws:iam::123456789012:role/pull'}}"


def test_what_looks_wrong_in_an_inline_source_is_a_warning(place: Path) -> None:
    odd = INLINE.replace("region:", "registryHosts: [a.io, 'b.io:443'], region:")
    more = INLINE.replace("region: eu-west-1", "registryHosts: [a.io], region: eu-west-2")
    both = f"{odd}\n      - {more}"
    change(place / "hub" / "policy.yaml", "{name: dockerhub, namespace: registry-access}", both)
    overlap, covers = lines("hub", code=0)
    assert overlap.startswith("hub/policy.yaml:6:5: warning: spec.registry.credentials: ")
    assert overlap.endswith(" names a.io too, which an earlier source gives")
    assert covers.startswith("hub/policy.yaml:7:10: warning: spec.registry.credentials[0].ecr: 'b.io:443': covers")


def test_an_inline_source_needs_no_secret_and_may_use_the_process_s_own_identity(place: Path) -> None:
    change(place / "hub" / "policy.yaml", "{name: dockerhub, namespace: registry-access}", INLINE)
    (place / "config.yaml").write_text(CONFIG + "sources: {namespaces: [other], ambientIdentity: {namespaces: []}}\n")
    assert lines("config.yaml", code=0) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("region: eu-west-1", "regoin: eu-west-1", "credentials[0].ecr.regoin: unknown field (did you mean region?)"),
        (
            "roleARN: 'arn",
            "secretKey: 'x', roleARN: 'arn",
            "credentials[0].ecr.secretKey: is secret: put it in a source",
        ),
        (
            "/pull'",
            "/pull', ecrEndpointURL: 'https://x'",
            "credentials[0].ecr.ecrEndpointURL: key ecrEndpointURL names",
        ),
        (":role/pull", ":role/admin", "credentials[0].ecr.roleARN: key roleARN names a role that the process's own"),
    ],
)
def test_a_wrong_inline_source_says_where_and_what_to_do(place: Path, before: str, after: str, said: str) -> None:
    change(
        place / "hub" / "policy.yaml", "{name: dockerhub, namespace: registry-access}", INLINE.replace(before, after)
    )
    (place / "config.yaml").write_text(CONFIG + "sources: {ambientIdentity: {roleARNs: ['*:role/pull']}}\n")
    found = lines("config.yaml")
    assert [line for line in found if "/hub/policy.yaml:7:" in line and said in line], found


def test_an_object_that_stands_twice_is_an_error_that_names_both_places(place: Path) -> None:
    (place / "hub" / "again.yaml").write_text(POLICY)
    (line,) = lines("hub")
    assert line.startswith("hub/policy.yaml:1:1: ImagePullSecret team-a stands at hub/again.yaml:1:1 already")


def test_a_path_that_is_given_twice_is_looked_at_once(place: Path) -> None:
    assert place.exists()
    assert lines("hub", "hub/policy.yaml", "./hub", code=0) == []


def test_an_empty_directory_is_an_error(place: Path) -> None:
    (place / "none").mkdir()
    (line,) = lines("none")
    assert line == "none: holds no manifest: there is no *.yaml, *.yml or *.json directly in it"
    change(place / "config.yaml", "./hub", "./none")
    assert any("holds no manifest" in line for line in lines("config.yaml"))


def test_a_hub_directory_that_is_not_there_is_an_error_at_its_field(place: Path) -> None:
    change(place / "config.yaml", "./hub", "./hubb")
    (line,) = lines("config.yaml")
    assert line.startswith("config.yaml:1:17: hub.directory: ")


def test_a_policy_without_clusters_needs_the_configurations_default(place: Path) -> None:
    change(place / "hub" / "policy.yaml", '    clusters: {names: ["*"]}\n', "")
    assert [line.split(": ")[1] for line in lines("hub", code=0)] == ["warning"]
    (line,) = lines("config.yaml")
    assert "spec.target.clusters: is required here" in line
    (place / "config.yaml").write_text(f'{CONFIG}defaultClusters: ["*"]\n')
    assert lines("config.yaml", code=0) == []


def test_a_namespace_that_may_not_hold_sources_is_an_error(place: Path) -> None:
    (place / "config.yaml").write_text(f"{CONFIG}sources: {{namespaces: [elsewhere]}}\n")
    (line,) = lines("config.yaml")
    assert line.endswith("sources.namespaces of the configuration does not allow namespace registry-access")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("https://127.0.0.1:1", "ftp://127.0.0.1:1", 'cluster of context "prod-a": server is no URL'),
        ("cluster: a, user", "cluster: b, user", 'names cluster "b", which is not there'),
        ("name: prod-a", "name: test-a", "no context of"),
        ("contexts:", "contexts: [", "fleet.kubeconfig"),
    ],
)
def test_a_broken_kubeconfig_is_an_error_of_the_configuration(place: Path, before: str, after: str, said: str) -> None:
    change(place / "fleet.kubeconfig", before, after)
    found = lines("config.yaml")
    assert found
    assert all(line.startswith("config.yaml:3:") and said in line for line in found)


def test_a_key_that_stands_twice_hides_no_other_error_of_its_file(place: Path) -> None:
    change(place / "hub" / "policy.yaml", "kind: Image", "kind: ImagePullSecret\nkind: Image")
    change(place / "hub" / "policy.yaml", "secret: {name: registry-pull}", "secret: {nam: registry-pull}")
    assert [line.partition(": ")[::2] for line in lines("hub")] == [
        ("hub/policy.yaml:3:1", 'the key "kind" stands at line 2, column 1 already'),
        ("hub/policy.yaml:12:5", "spec.target.secret.name: is required"),
        ("hub/policy.yaml:12:14", "spec.target.secret.nam: unknown field (did you mean name?)"),
    ]


def test_a_broken_file_is_not_taken_for_the_lack_of_what_is_in_it(place: Path) -> None:
    change(place / "hub" / "source.yaml", "apiVersion: v1", "apiVersion: v1\napiVersion: v1")
    (line,) = lines("hub")
    assert line == 'hub/source.yaml:2:1: the key "apiVersion" stands at line 1, column 1 already'


def test_no_kind_of_mistake_hides_another(place: Path) -> None:
    """Keys that stand twice, wrong fields, kubeconfigs, clashing names and manifests are all told in one run."""
    (place / "config.yaml").write_text(
        "hub: {id: mgmt, directory: ./hub, directory: ./hub}\n"
        "clusters:\n"
        '  - {kubeconfig: ./fleet.kubeconfig, contexts: ["prod-*"]}\n'
        '  - {kubeconfig: ./fleet.kubeconfig, contexts: ["tset-*"]}\n'
        '  - {kubeconfig: ./fleet.kubeconfig, context: ["prod-*"]}\n'
        "  - {name: prod-a, kubeconfig: ./fleet.kubeconfig, context: prod-a}\n"
        "telemetry: {logLevel: loud}\n"
    )
    change(place / "hub" / "policy.yaml", "secret: {name: registry-pull}", "secret: {}")
    assert sorted(line.split(" ")[0].removeprefix(f"{place}/") for line in lines("config.yaml")) == [
        "config.yaml:1:35:",
        "config.yaml:4:49:",
        "config.yaml:5:38:",
        "config.yaml:5:5:",
        "config.yaml:6:5:",
        "config.yaml:7:13:",
        "hub/policy.yaml:11:5:",
    ]


def test_a_kubeconfig_can_be_checked_by_itself(place: Path) -> None:
    change(place / "fleet.kubeconfig", "https://127.0.0.1:1", "ftp://127.0.0.1:1")
    (line,) = lines("fleet.kubeconfig")
    assert line.startswith('fleet.kubeconfig:8:5: cluster of context "prod-a"')


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"\x00", b"{" * 5000, b"", b"- a\n- b\n", b"just a text"])
def test_a_file_that_is_nothing_of_ours_is_an_error_and_no_crash(place: Path, content: bytes) -> None:
    (place / "odd.yaml").write_bytes(content)
    found = lines("odd.yaml")
    assert found
    assert all(line.startswith("odd.yaml") for line in found)


def test_a_file_that_is_not_there_is_an_error(place: Path) -> None:
    assert place.exists()
    assert lines("missing.yaml") == ["missing.yaml: cannot be read: No such file or directory"]


def test_an_object_of_another_kind_is_a_warning(place: Path) -> None:
    (place / "hub" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    (line,) = lines("hub", code=0)
    assert line.startswith("hub/map.yaml:2:1: warning: ")


def test_an_environment_variable_that_is_not_set_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(place / "config.yaml", "id: mgmt", "id: '${HUB_NAME}'")
    monkeypatch.delenv("HUB_NAME", raising=False)
    assert any("environment variable HUB_NAME is not set" in line for line in lines("config.yaml"))
    monkeypatch.setenv("HUB_NAME", "mgmt")
    assert lines("config.yaml", code=0) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "registries: a.azurecr.io, b.azurecr.io",
            "7:3: stringData[registries]: key registries does not hold one login",
        ),
        ("clientSecert: x", "7:3: stringData[clientSecert]: key clientSecert is unknown; did you mean clientSecret?"),
        ("registries: a.azurecr.io", "1:1: key tenantID is missing; a service principal logs in with it"),
    ],
)
def test_a_fault_of_an_azure_source_stands_at_its_key(place: Path, line: str, says: str) -> None:
    azure = SOURCE.partition("type:")[0] + f"type: imps-multi.io/azure\nstringData:\n  clientSecret: {MARK}\n  {line}\n"
    (place / "hub" / "source.yaml").write_text(azure)
    assert any(printed.startswith(f"hub/source.yaml:{says}") for printed in lines("hub"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:4566", ""),
        ("https://10.0.0.7/token", ""),
        ("https://sts.corp/token", ""),
        ("http://sts.corp/token", "key tokenURL must begin with https://"),
        ("https://user@sts.corp", "key tokenURL is not a URL of the form"),
    ],
)
def test_without_a_configuration_an_endpoint_s_form_is_all_that_is_looked_at(place: Path, url: str, says: str) -> None:
    data = f"  tokenURL: {url}\n  clientID: a\n  clientSecret: {MARK}\n  registries: a.io\n"
    source = SOURCE.partition("type:")[0] + f"type: imps-multi.io/oauth2\nstringData:\n{data}"
    (place / "hub" / "source.yaml").write_text(source)
    errors = [line for line in lines("hub", code=2 if says else 0) if "warning" not in line]
    assert len(errors) == bool(says)
    assert all(f"stringData[tokenURL]: {says}" in line for line in errors)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{CONFIG}---\n{CONFIG}", "must be one YAML mapping with hub and clusters"),
        ("Hub: {id: mgmt, directory: ./hub}\nClusters: []\n", "Hub: unknown field (did you mean hub?)"),
    ],
)
def test_a_configuration_is_told_as_one_though_its_first_fields_are_wrong(place: Path, text: str, said: str) -> None:
    (place / "config.yaml").write_text(text)
    assert said in "\n".join(lines("config.yaml"))


def test_a_directory_may_hold_configurations_and_kubeconfigs_too(place: Path) -> None:
    (place / "fleet.kubeconfig").rename(place / "fleet.yaml")
    change(place / "config.yaml", "./fleet.kubeconfig", "./fleet.yaml")
    assert lines(".", code=0) == []
    change(place / "config.yaml", "id: mgmt", "id: a b")
    assert lines(".")[0].startswith("config.yaml:1:7: hub.id: cannot be")


def test_a_configuration_in_its_own_hub_is_said_to_be_in_the_way(place: Path) -> None:
    change(place / "config.yaml", "./hub", ".")
    (line,) = lines("config.yaml")
    assert line == f"{place}/config.yaml:1:1: lies in the hub's directory and is no manifest; move it elsewhere"


def test_an_error_of_a_cluster_has_the_path_of_its_entry(place: Path) -> None:
    change(place / "fleet.kubeconfig", "user: u}", "user: nobody}")
    (line,) = lines("config.yaml")
    assert line.startswith("config.yaml:3:5: clusters[0]: cluster prod-a: ")


def test_manifests_can_be_piped_in(place: Path) -> None:
    assert place.exists()
    result = CliRunner().invoke(app, ["validate", "-"], input=POLICY.replace("secret: {", "sercet: {"))
    assert (result.exit_code, result.stderr) == (2, "1 file (1 policy): 2 errors\n")
    assert "stdin:11:5: spec.target.sercet: unknown field (did you mean secret?)" in result.stdout


def test_links_that_go_round_in_a_circle_cannot_be_read(place: Path) -> None:
    (place / "hub" / "a.yaml").symlink_to("b.yaml")
    (place / "hub" / "b.yaml").symlink_to("a.yaml")
    said = [f"hub/{name}.yaml: cannot be read: Too many levels of symbolic links" for name in "ab"]
    assert [line.replace(":1:1", "") for line in lines("hub")] == said
    assert lines("hub/a.yaml") == said[:1]


def test_findings_come_as_data_too(place: Path) -> None:
    change(place / "config.yaml", "id: mgmt", "id: a b")
    result = invoke("validate", "config.yaml", "-o", "json")
    (found,) = json.loads(result.stdout)
    assert (found.pop("message").split(":")[0], result.exit_code) == ("hub.id", 2)
    assert found == {"file": "config.yaml", "line": 1, "column": 7, "warning": False}


def test_an_exception_for_contexts_that_are_not_there_is_a_warning(place: Path) -> None:
    change(place / "config.yaml", "]}", "], excludeContexts: [gone], overrides: [{contexts: [prod-b], paused: true}]}")
    told = [
        line.replace(f"{place}/", "").partition(" (did")[0].partition("; it")[0]
        for line in lines("config.yaml", code=0)
    ]
    assert [line.partition(": ")[2] for line in told] == [
        "warning: clusters[0].excludeContexts[0]: no context of fleet.kubeconfig matches gone",
        "warning: clusters[0].overrides[0].contexts[0]: no context of fleet.kubeconfig matches prod-b",
    ]


@pytest.mark.parametrize(
    ("path", "said"), [("hub", "hub is a directory; name a file in it"), ("no/a.log", "no is no directory; make it")]
)
def test_a_place_that_takes_no_audit_log_is_an_error(place: Path, path: str, said: str) -> None:
    (place / "config.yaml").write_text(f"{CONFIG}telemetry: {{auditLog: {path}}}\n")
    (line,) = lines("config.yaml")
    assert line.startswith(f"config.yaml:4:13: telemetry.auditLog: {place}/{said}")
    (place / "config.yaml").write_text(f"{CONFIG}telemetry: {{auditLog: a.log}}\n")
    assert lines("config.yaml", code=0) == []


def test_a_working_directory_that_is_gone_is_no_surprise(place: Path) -> None:
    (place / "gone").mkdir()
    os.chdir(place / "gone")
    (place / "gone").rmdir()
    assert lines("config.yaml") == ["config.yaml: cannot be read: No such file or directory"]
    assert lines(str(place / "config.yaml"), code=0) == []


def test_a_name_that_no_file_can_have_is_said_and_not_stumbled_over(place: Path) -> None:
    long = "x" * 300
    assert lines(long) == [f"{long}: cannot be read: File name too long"]
    (place / "config.yaml").write_text(f"{CONFIG}telemetry: {{auditLog: {long}/a}}\n".replace("./hub", long))
    assert [line.split(": ")[1] for line in lines("config.yaml")] == ["hub.directory", "telemetry.auditLog"]
    assert f"{long}: cannot be read: File name too long" in invoke("status", "--config", long).stderr
