"""What the printed target role opens: whoever holds it reaches the Secrets of the names in it, and reads no other."""

import pytest
import yaml

from tests.e2e.program import command
from tests.e2e.site import Site
from tests.realcluster.client import Client, Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

ALL, ONE_NAMESPACE = "/api/v1/secrets", "/api/v1/namespaces/team-a/secrets"
OURS, OTHER = "metadata.name=pull", "metadata.name=database"
OK, FORBIDDEN = 200, 403
WATCH = {"watch": "true", "timeoutSeconds": "1"}


def secret(name: str) -> Manifest:
    metadata = {"name": name, "namespace": "team-a", "labels": {"app.kubernetes.io/managed-by": "imps-multi"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "theirs"}}


@pytest.fixture
def holder(real_cluster: RealCluster, site: Site) -> Client:
    """Give an identity that is not the service's, and holds the role as it is printed."""
    real_cluster.create_namespaces(["team-a"])
    real_cluster.apply(secret("pull"), secret("database"))
    printed = command(site, "rbac", "--role", "target", "--secret-name", "pull", "--secret-name", "pull-other")
    assert printed.code == 0, printed.err
    real_cluster.authorize("tenant", yaml.safe_load_all(printed.out))
    return real_cluster.client("tenant")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        pytest.param(f"{ONE_NAMESPACE}/pull", {}, OK, id="get ours"),
        pytest.param(ALL, {"fieldSelector": OURS}, OK, id="list ours"),
        pytest.param(ALL, {"fieldSelector": OURS, **WATCH}, OK, id="watch ours"),
        pytest.param(f"{ONE_NAMESPACE}/database", {}, FORBIDDEN, id="get another"),
        pytest.param(ALL, {}, FORBIDDEN, id="list all"),
        pytest.param(ALL, {"labelSelector": "app.kubernetes.io/managed-by=imps-multi"}, FORBIDDEN, id="list by label"),
        pytest.param(ALL, {"fieldSelector": OTHER}, FORBIDDEN, id="list another name"),
        pytest.param(ALL, {"fieldSelector": "metadata.name!=pull"}, FORBIDDEN, id="list all but ours"),
        pytest.param(ALL, {"fieldSelector": "metadata.namespace=team-a"}, FORBIDDEN, id="list by namespace"),
        pytest.param(ALL, {"fieldSelector": OTHER, **WATCH}, FORBIDDEN, id="watch another name"),
        pytest.param(ALL, WATCH, FORBIDDEN, id="watch all"),
        pytest.param(ONE_NAMESPACE, {}, FORBIDDEN, id="list one namespace"),
        pytest.param(ONE_NAMESPACE, {"fieldSelector": OTHER}, FORBIDDEN, id="list another name in one namespace"),
    ],
)
def test_no_secret_can_be_read_but_those_of_the_names_in_the_role(
    holder: Client, path: str, query: dict[str, str], code: int
) -> None:
    answer = holder.ask("GET", path, query=query)
    assert answer.status == code
    assert code == OK or "database" not in str(answer.json.get("items"))


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_no_secret_of_another_name_can_be_changed(holder: Client, real_cluster: RealCluster, method: str) -> None:
    before = real_cluster.secret("team-a", "database")
    body = secret("database") if method == "PUT" else None
    assert holder.ask(method, f"{ONE_NAMESPACE}/database", body=body).status == FORBIDDEN
    assert holder.ask("DELETE", ONE_NAMESPACE).status == FORBIDDEN
    assert real_cluster.secret("team-a", "database") == before
