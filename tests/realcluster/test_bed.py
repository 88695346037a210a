"""The bed keeps its promises, and a real kube-apiserver behaves as the design takes for granted."""

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path

import pytest

from tests.realcluster.bed import RealBed
from tests.realcluster.client import Client, Manifest, RefusedError
from tests.realcluster.cluster import RealCluster
from tests.realcluster.kubeconfig import joined
from tests.realcluster.rights import cluster_role, rule

pytestmark = pytest.mark.real

Three = tuple[RealCluster, RealCluster, RealCluster]
SECRETS = "/api/v1/secrets"


def pull_secret(namespace: str, name: str = "pull") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {".dockerconfigjson": '{"auths":{}}'},
    }


def status(client: Client, method: str, path: str, **query: str) -> int:
    return client.ask(method, path, query=query).status


def test_clusters_are_apart_in_data_authority_and_tokens(real_clusters: Three) -> None:
    east, north, _ = real_clusters
    east.create_namespaces(["only-east"])
    assert east.namespace("only-east") is not None
    assert north.namespace("only-east") is None
    assert east.ca_pem != north.ca_pem
    borrowed = Client(north.port, ca_pem=north.ca_pem, token=east.admin_token)
    assert status(borrowed, "GET", SECRETS) == 401
    borrowed.close()
    mistaken = Client(north.port, ca_pem=east.ca_pem, token=north.admin_token)
    with pytest.raises(ssl.SSLCertVerificationError):
        mistaken.ask("GET", SECRETS)


def test_users_start_without_rights(real_cluster: RealCluster) -> None:
    assert [status(real_cluster.client(user), "GET", SECRETS) for user in ("service", "tenant", "stranger")] == [
        403
    ] * 3
    assert status(real_cluster.client(None), "GET", SECRETS) in {401, 403}


def test_resource_names_allow_list_and_watch_of_one_name_in_all_namespaces(real_cluster: RealCluster) -> None:
    """The target role rests on this: a field selector on the name makes a list a request for that name."""
    named = rule("secrets", "get list watch update patch delete", names=["pull"])
    real_cluster.authorize("service", [cluster_role("imps-target", named, rule("secrets", "create"))])
    real_cluster.create_namespaces(["team-a"])
    service = real_cluster.client("service")
    watched = {"watch": "true", "timeoutSeconds": "1"}
    streamed = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    by_name, other_name = "metadata.name=pull", "metadata.name=other"
    assert {
        "create any": service.create(pull_secret("team-a", "other"))["kind"],
        "create ours": service.create(pull_secret("team-a"))["kind"],
        "list all": status(service, "GET", SECRETS),
        "list ours": status(service, "GET", SECRETS, fieldSelector=by_name),
        "list ours by label": status(service, "GET", SECRETS, fieldSelector=by_name, labelSelector="a=b"),
        "list other": status(service, "GET", SECRETS, fieldSelector=other_name),
        "watch ours": status(service, "GET", SECRETS, fieldSelector=by_name, **watched),
        "stream ours": status(service, "GET", SECRETS, fieldSelector=by_name, **watched, **streamed),
        "watch other": status(service, "GET", SECRETS, fieldSelector=other_name, **watched),
        "get ours": status(service, "GET", "/api/v1/namespaces/team-a/secrets/pull"),
        "get other": status(service, "GET", "/api/v1/namespaces/team-a/secrets/other"),
        "delete other": status(service, "DELETE", "/api/v1/namespaces/team-a/secrets/other"),
        "delete ours": status(service, "DELETE", "/api/v1/namespaces/team-a/secrets/pull"),
    } == {
        "create any": "Secret",
        "create ours": "Secret",
        "list all": 403,
        "list ours": 200,
        "list ours by label": 200,
        "list other": 403,
        "watch ours": 200,
        "stream ours": 200,
        "watch other": 403,
        "get ours": 200,
        "get other": 403,
        "delete other": 403,
        "delete ours": 200,
    }


def test_a_stream_of_one_name_ends_its_first_part_with_a_bookmark(real_cluster: RealCluster) -> None:
    real_cluster.create_namespaces(["team-a"])
    real_cluster.apply(pull_secret("team-a"))
    stream = real_cluster.client().ask(
        "GET",
        SECRETS,
        query={
            "watch": "true",
            "timeoutSeconds": "1",
            "fieldSelector": "metadata.name=pull",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        },
    )
    events = [json.loads(line) for line in stream.body.splitlines()]
    assert [event["type"] for event in events][:2] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"


def test_requests_are_counted_and_attributed(real_cluster: RealCluster) -> None:
    real_cluster.authorize("service", [cluster_role("writer", rule("secrets", "create get"))])
    real_cluster.create_namespaces(["team-a"])
    before, mark = real_cluster.requests(), real_cluster.audit.mark()
    service = real_cluster.client("service")
    service.create(pull_secret("team-a"))
    with pytest.raises(RefusedError, match="AlreadyExists"):
        service.create(pull_secret("team-a"))
    service.get("/api/v1/namespaces/team-a/secrets/pull")
    during = real_cluster.requests() - before
    assert (during.writes("secrets"), during.of("secrets", "POST"), during.of("namespaces", "POST")) == (2, 2, 0)
    entries = real_cluster.audit.since(mark)
    assert [(entry.user, entry.verb, entry.namespace, entry.code) for entry in entries] == [
        ("service", "create", "team-a", 201),
        ("service", "create", "team-a", 409),
        ("service", "get", "team-a", 200),
    ]
    assert [entry.changes for entry in entries] == [True, True, False]


def test_a_frozen_cluster_hangs_and_a_thawed_one_answers(real_clusters: Three) -> None:
    east, north, _ = real_clusters
    east.freeze()
    with pytest.raises(TimeoutError):
        east.client(timeout=0.5).get("/version")
    assert north.client().get("/version")["major"] == "1"
    east.thaw()
    assert east.client().get("/version")["minor"] == "36"


def test_a_killed_cluster_comes_back_on_its_port_with_its_data(real_cluster: RealCluster) -> None:
    real_cluster.create_namespaces(["kept"])
    address, pid = real_cluster.url, real_cluster.pid
    real_cluster.kill()
    with pytest.raises(OSError, match="refused"):
        real_cluster.client().get("/version")
    real_cluster.start()
    assert real_cluster.url == address
    assert real_cluster.pid != pid
    assert real_cluster.namespace("kept") is not None


def test_an_old_resource_version_expires_by_a_restart_and_a_compaction(
    real_bed: RealBed, real_cluster: RealCluster
) -> None:
    old = real_cluster.client().get(SECRETS)["metadata"]["resourceVersion"]
    real_cluster.create_namespaces([f"later-{number}" for number in range(5)])
    real_bed.compact()
    real_cluster.restart()
    answer = real_cluster.client().ask("GET", SECRETS, query={"resourceVersion": old, "resourceVersionMatch": "Exact"})
    assert (answer.status, answer.reason) == (410, "Expired")


def test_a_namespace_stays_terminating_until_it_is_finished(real_cluster: RealCluster) -> None:
    real_cluster.create_namespaces(["leaving"])
    real_cluster.apply(pull_secret("leaving"))
    real_cluster.terminate_namespace("leaving")
    leaving = real_cluster.namespace("leaving")
    assert leaving is not None
    assert leaving["status"]["phase"] == "Terminating"
    refused = real_cluster.client().ask(
        "POST", "/api/v1/namespaces/leaving/secrets", body=pull_secret("leaving", "new")
    )
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    real_cluster.finish_namespace("leaving")
    assert real_cluster.namespace("leaving") is None
    assert real_cluster.secrets() == []


def test_a_wipe_leaves_nothing_behind(real_cluster: RealCluster) -> None:
    real_cluster.authorize("tenant", [cluster_role("tenants", rule("secrets", "list"))])
    real_cluster.create_namespaces([f"team-{number}" for number in range(20)], labels={"a": "b"})
    real_cluster.apply(pull_secret("team-1"), pull_secret("default"))
    real_cluster.freeze()
    real_cluster.wipe()
    namespaces = {item["metadata"]["name"] for item in real_cluster.client().items("/api/v1/namespaces")}
    assert namespaces == {"default", "kube-node-lease", "kube-public", "kube-system"}
    assert real_cluster.secrets() == []
    with pytest.raises(RefusedError, match="403"):
        real_cluster.client("tenant").get(SECRETS)


def test_client_certificates_are_accepted(real_clusters: Three) -> None:
    """The kubeconfigs are whole: what they hold is enough to log in, and contexts of several can stand in one file."""
    east, north, _ = real_clusters
    config = joined(east.kubeconfig(), north.kubeconfig(by="certificate"))
    assert [context["name"] for context in config["contexts"]] == [east.name, north.name]
    shown = north.kubeconfig("tenant", by="certificate")["users"][0]["user"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert whoami(north, shown, review) == "tenant"


def whoami(cluster: RealCluster, shown: dict[str, str], review: Manifest) -> str:
    context = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    with tempfile.TemporaryDirectory() as scratch:
        certificate, key = Path(scratch) / "crt", Path(scratch) / "key"
        certificate.write_bytes(base64.b64decode(shown["client-certificate-data"]))
        key.write_bytes(base64.b64decode(shown["client-key-data"]))
        context.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=10)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    connection.request("POST", path, body=json.dumps(review), headers={"Content-Type": "application/json"})
    answer = json.load(connection.getresponse())
    connection.close()
    name: str = answer["status"]["userInfo"]["username"]
    return name
