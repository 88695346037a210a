"""What a kubeconfig's contexts become, and how what is wrong with one is said."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from imps_multi.kube.connection import BasicLogin, BearerToken, Connection, ExecSpec, KeyPair, TokenFile
from imps_multi.kube.in_cluster import in_cluster_connection, in_cluster_files
from imps_multi.kube.kubeconfig import Kubeconfig, KubeconfigError, load
from tests.kube.scripted import MARKER


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def document(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "east", "context": {"cluster": "c", "user": "u"}}],
        **rest,
    }


class Written:
    """Kubeconfigs in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "fleet.kubeconfig"

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def loaded(self, content: object, environment: dict[str, str] | None = None) -> Kubeconfig:
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        return load(self.file(self.path.name, text), environment=environment or {})

    def connection(self, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Connection:
        return self.loaded(document(cluster, user)).connection("east")

    def problem(self, content: object) -> str:
        """Return what is said about a file or its context, less the path that it begins with."""
        with pytest.raises(KubeconfigError) as caught:
            self.loaded(content).connection("east")
        error = caught.value
        assert error.path == self.path
        assert str(error) == f"{self.path}: {error.message}"
        assert MARKER not in str(error)
        return error.message


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


# -- what a context gives ----------------------------------------------------------------------------------------------


def test_the_address_and_the_trust_of_a_cluster(written: Written) -> None:
    connection = written.connection(
        {
            "server": "https://api.example:6443/k8s/c-1/",
            "certificate-authority-data": encoded(b"PEM"),
            "tls-server-name": "inside",
            "proxy-url": "http://user:pw@proxy:1",
        }
    )
    assert connection.server == "https://api.example:6443/k8s/c-1"
    assert (connection.ca, connection.server_name, connection.proxy) == (b"PEM", "inside", "http://user:pw@proxy:1")
    assert connection.place == f'{written.path}: context "east"'


def test_files_are_found_beside_the_kubeconfig_and_data_goes_first(written: Written) -> None:
    written.file("ca.pem", "CA")
    written.file("cert.pem", "CERT")
    written.file("key.pem", "KEY")
    user = {"client-certificate": "cert.pem", "client-key": str(written.directory / "key.pem")}
    connection = written.connection({"certificate-authority": "ca.pem"}, user)
    assert (connection.ca, connection.certificate) == (b"CA", KeyPair(b"CERT", b"KEY"))
    connection = written.connection({"certificate-authority": "no", "certificate-authority-data": encoded(b"D")}, user)
    assert connection.ca == b"D"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, None),
        ({"token": MARKER}, BearerToken(MARKER)),
        ({"username": "u", "password": MARKER}, BasicLogin("u", MARKER)),
        ({"token": MARKER, "username": "u", "exec": {"command": "x"}}, BearerToken(MARKER)),
    ],
)
def test_who_we_are(written: Written, user: dict[str, Any], expected: object) -> None:
    assert written.connection(None, user).credential == expected


def test_a_token_file_goes_before_a_token_and_is_not_read(written: Written) -> None:
    connection = written.connection(None, {"tokenFile": "token", "token": MARKER})
    assert connection.credential == TokenFile(str(written.directory / "token"), MARKER)


def test_an_exec_plugin_with_all_that_it_is_told(written: Written) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./plugin",
        "args": ["get", "token"],
        "env": [{"name": "A", "value": MARKER}],
        "installHint": "install it",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {"certificate-authority-data": encoded(b"CA"), "extensions": [extension]}
    spec = written.connection(cluster, {"exec": plugin}).credential
    assert spec == ExecSpec(
        api_version="client.authentication.k8s.io/v1",
        command=str(written.directory / "plugin"),
        args=("get", "token"),
        env=(("A", MARKER),),
        install_hint="install it",
        cluster='{"server":"https://api.example:6443","certificate-authority-data":"Q0E=","config":{"audience":"a"}}',
    )


def test_a_command_without_a_slash_is_left_for_the_path(written: Written) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": None}
    assert written.connection(None, {"exec": plugin}).credential == ExecSpec(
        api_version="client.authentication.k8s.io/v1beta1", command="aws"
    )


def test_acting_as_somebody_else(written: Written) -> None:
    user = {"as": "jane", "as-uid": "7", "as-groups": ["g1", "g2"], "as-user-extra": {"Scopes/x": ["view"]}}
    assert written.connection(None, user).impersonation == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "g1"),
        ("Impersonate-Group", "g2"),
        ("Impersonate-Extra-scopes%2fx", "view"),
    )


@pytest.mark.parametrize(
    ("server", "cluster", "expected"),
    [
        ("api:6443", {"insecure-skip-tls-verify": True}, "https://api:6443"),
        ("api:8080", {}, "http://api:8080"),
        ("https://[fd00::1]:6443", {}, "https://[fd00::1]:6443"),
    ],
)
def test_a_server_without_a_scheme(written: Written, server: str, cluster: dict[str, Any], expected: str) -> None:
    assert written.connection({"server": server, **cluster}).server == expected


def test_the_environments_proxy_serves_where_the_cluster_names_none(written: Written) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:1"}
    assert written.loaded(document(), environment).connection("east").proxy == "http://proxy:1"
    own = document({"proxy-url": "http://own:1"})
    assert written.loaded(own, environment).connection("east").proxy == "http://own:1"
    assert written.loaded(document(), {**environment, "NO_PROXY": ".example"}).connection("east").proxy == ""


def test_json_with_tabs_is_a_kubeconfig_too(written: Written) -> None:
    text = '{\n\t"contexts": [\n\t\t{"name": "a"}],\n\t"current-context": "a"}'
    loaded = written.loaded(text)
    assert (loaded.contexts, loaded.current_context) == (("a",), "a")


# -- contexts ----------------------------------------------------------------------------------------------------------


def test_contexts_are_listed_and_matched_in_the_order_of_the_file(written: Written) -> None:
    names = ["prod-2", "dev", "prod-1", "prod-old"]
    loaded = written.loaded(document(contexts=[{"name": name, "context": {"cluster": "c"}} for name in names]))
    assert loaded.contexts == tuple(names)
    assert loaded.matching(["prod-*"], ["*-old"]) == ("prod-2", "prod-1")
    assert loaded.matching(["*"]) == tuple(names)
    assert loaded.matching([]) == ()


def test_a_broken_context_leaves_the_others_alone(written: Written) -> None:
    contexts = [{"name": "east", "context": {"cluster": "gone"}}, {"name": "west", "context": {"cluster": "c"}}]
    loaded = written.loaded(document(contexts=contexts))
    assert loaded.connection("west").server == "https://api.example:6443"
    with pytest.raises(KubeconfigError):
        loaded.connection("east")


def test_the_files_that_contexts_point_to(written: Written) -> None:
    user = {"client-certificate": "cert", "client-key": "key", "client-key-data": encoded(b"K"), "tokenFile": "token"}
    loaded = written.loaded(document({"certificate-authority": "/ca"}, user))
    directory = written.directory
    assert loaded.files() == (Path("/ca"), directory / "cert", directory / "token")
    assert loaded.files(["east"]) == loaded.files()
    assert loaded.files([]) == ()


# -- fingerprints and what is shown ------------------------------------------------------------------------------------


def test_the_fingerprint_follows_everything_that_makes_another_client(written: Written) -> None:
    written.file("ca.pem", "CA")
    written.file("token", "T1")
    cluster: dict[str, Any] = {"certificate-authority": "ca.pem"}
    user: dict[str, Any] = {"tokenFile": "token"}
    first = written.connection(cluster, user).fingerprint
    assert written.connection(cluster, user).fingerprint == first
    written.file("token", "T2")
    assert written.connection(cluster, user).fingerprint == first
    others = [
        written.connection({**cluster, "server": "https://other:1"}, user).fingerprint,
        written.connection({**cluster, "proxy-url": "http://p:1"}, user).fingerprint,
        written.connection({**cluster, "tls-server-name": "n"}, user).fingerprint,
        written.connection(cluster, {"token": MARKER}).fingerprint,
        written.connection(cluster, {"token": MARKER + "2"}).fingerprint,
        written.connection(cluster, {**user, "as": "jane"}).fingerprint,
    ]
    written.file("ca.pem", "CA2")
    others.append(written.connection(cluster, user).fingerprint)
    assert len({first, *others}) == len(others) + 1


def test_the_place_is_not_in_the_fingerprint(written: Written, tmp_path: Path) -> None:
    elsewhere = Written(tmp_path / "elsewhere")
    elsewhere.directory.mkdir()
    assert elsewhere.connection().fingerprint == written.connection().fingerprint


@pytest.mark.parametrize(
    "user",
    [
        {"token": MARKER},
        {"username": "u", "password": MARKER},
        {"tokenFile": "t", "token": MARKER},
        {"client-certificate-data": encoded(MARKER.encode()), "client-key-data": encoded(MARKER.encode())},
        {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "x",
                "args": [MARKER],
                "env": [{"name": "A", "value": MARKER}],
            }
        },
    ],
)
def test_no_repr_shows_a_credential(written: Written, user: dict[str, Any]) -> None:
    connection = written.connection({"proxy-url": f"http://u:{MARKER}@p:1"}, user)
    assert MARKER not in repr(connection)
    assert MARKER not in repr([connection.credential, connection.certificate])
    assert MARKER not in connection.fingerprint


# -- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is empty"),
        (f"contexts: [{MARKER}", "is not YAML: line 2, column 1: "),
        (f"token: {MARKER}\n\tx: 1", "is not YAML: line 2, column 1: found a tab"),
        ("a: " + "[" * 200_000, "is nested more than 100 deep"),
        ('{"a": ' + "[" * 200_000, "is nested more than 100 deep"),
        ('{"current-context": "\\ud800"}', "is no kubeconfig: half of a surrogate pair is no character"),
        ('{"\\udc00": 1}', "is no kubeconfig: half of a surrogate pair is no character"),
        ("- " * 200_000, "is nested more than 100 deep"),
        (f"contexts:{' ' * 300}5", "is no kubeconfig: Expected `array | null`, got `int` - at `$.contexts`"),
        ("- a", "is no kubeconfig: Expected `object`, got `array`"),
        ("contexts: 5", "is no kubeconfig: Expected `array | null`, got `int` - at `$.contexts`"),
        (document(user={"token": 12345}), "is no kubeconfig: Expected `str`, got `int` - at `$.users[0].user.token`"),
        (document(contexts=[{"name": "west"}]), 'there is no context "east" (did you mean "west"?)'),
        (document(clusters=[]), 'context "east" names cluster "c", which is not there'),
        (document(users=None), 'context "east" names user "u", which is not there'),
        (document(users=[{"name": "u"}, {"name": "u"}]), 'users has the name "u" twice'),
        (document({"server": ""}), 'cluster of context "east": server is no URL'),
        (document({"server": "ftp://x"}), 'cluster of context "east": server is no URL'),
        (document({"server": f"https://u:{MARKER}@x"}), 'cluster of context "east": server is no URL'),
        (document({"server": "https://x:port"}), 'cluster of context "east": server is no URL'),
        (
            document({"insecure-skip-tls-verify": True, "certificate-authority-data": encoded(b"x")}),
            'cluster of context "east": insecure-skip-tls-verify and certificate-authority exclude each other',
        ),
        (
            document({"certificate-authority-data": "%%" + MARKER}),
            'cluster of context "east": certificate-authority-data is not base64',
        ),
        (document({"proxy-url": f"socks5://{MARKER}"}), 'cluster of context "east": proxy-url is no URL of the form'),
        (
            document(user={"client-certificate-data": encoded(b"x")}),
            'user of context "east": client-certificate and client-key come together or not at all',
        ),
        (document(user={"token": f"{MARKER}\nx"}), 'user of context "east": token has characters that cannot'),
        (
            document(user={"auth-provider": {"name": "gcp", "config": {"access-token": MARKER}}}),
            'user of context "east": auth-provider was taken out of Kubernetes in 1.26; use',
        ),
        (document(user={"exec": {"apiVersion": "x"}}), 'user of context "east": exec.command is missing'),
        (document(user={"exec": {"command": "x"}}), 'user of context "east": exec.apiVersion is none of'),
        (
            document(
                user={
                    "exec": {
                        "command": "x",
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "interactiveMode": "Always",
                    }
                }
            ),
            'user of context "east": exec.interactiveMode is Always, and there is nobody to ask',
        ),
        (document(user={"as-groups": ["g"]}), 'user of context "east": as-uid, as-groups and as-user-extra need an as'),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_values(
    written: Written, content: object, expected: str
) -> None:
    assert written.problem(content).startswith(expected)


def test_a_missing_file_is_named(written: Written) -> None:
    missing = written.directory / "no.pem"
    said = written.problem(document({"certificate-authority": "no.pem"}))
    assert said == (
        f'cluster of context "east": certificate-authority: {missing} cannot be read: No such file or directory'
    )


def test_a_kubeconfig_that_is_not_there(written: Written) -> None:
    with pytest.raises(KubeconfigError, match="cannot be read: No such file or directory"):
        load(written.path)


# -- in a pod ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pods_own_cluster(tmp_path: Path, host: str, server: str) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443", "HTTPS_PROXY": "http://p:1"}
    connection = in_cluster_connection(environment=environment, mount=tmp_path)
    assert (connection.server, connection.ca, connection.proxy) == (server, b"CA", "")
    assert connection.credential == TokenFile(str(tmp_path / "token"))
    assert in_cluster_files(tmp_path) == (tmp_path / "ca.crt", tmp_path / "token")


def test_outside_of_a_pod_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="not in a pod"):
        in_cluster_connection(environment={}, mount=tmp_path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/zero", "is larger than 67108864 bytes"),
        ("\0", "cannot be read: not a path"),
        ("/", "cannot be read: Is a"),
    ],
)
def test_what_is_no_file_of_a_sensible_size_is_refused(path: str, said: str) -> None:
    with pytest.raises(KubeconfigError, match=said):
        load(Path(path))
