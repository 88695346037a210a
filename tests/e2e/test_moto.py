"""A pass against moto's ECR and STS, another implementation of AWS's protocols than the sandbox's."""

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from tests.e2e.manifests import DOCKER_HOST, HOME, docker_source, policy
from tests.e2e.program import printed_role, run_once
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import Logins, all_logins
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

ACCOUNT = "210987654321"
HOST = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
Environ = dict[str, Any]  # WSGI's own


class Moto:
    """Moto's application, whose tokens all are one and ended in 2015; a token that is given replaces them."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self.token = ""

    def __call__(self, environ: Environ, start: Any) -> Iterable[bytes]:
        body, status, headers = run_wsgi_app(self._application, environ)
        content = b"".join(body)
        if self.token and b"authorizationToken" in content:
            answer = json.loads(content)
            for entry in answer["authorizationData"]:
                entry["authorizationToken"] = base64.b64encode(f"AWS:{self.token}".encode()).decode()
                entry["expiresAt"] = time.time() + 12 * 3600
            content = json.dumps(answer).encode()
            headers["Content-Length"] = str(len(content))
        return Response(content, status, headers)(environ, start)


@contextmanager
def served(moto: Moto) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, moto, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def role_source() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ecr", "namespace": HOME},
        "stringData": {
            "region": "eu-central-1",
            "accountID": ACCOUNT,
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/pull",
            "externalID": "external",
        },
    }


def test_a_token_comes_by_a_role_and_one_that_ended_is_refused(real_cluster: RealCluster, site: Site) -> None:
    real_cluster.create_namespaces(["team-0"])
    site.reach([real_cluster])
    site.configure()
    site.put("hub.yaml", policy("everyone", sources=["ecr", "docker"], namespaces={"names": ["team-*"]}))
    site.put("sources.yaml", role_source(), docker_source("docker", password="docker-password"))
    real_cluster.authorize(SERVICE, printed_role(site))
    docker: Logins = {DOCKER_HOST: ("robot", "docker-password")}
    moto = Moto()
    with served(moto) as url:
        environment = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIDAMBIENT", "AWS_SECRET_ACCESS_KEY": "ambient"}
        refused = run_once(site, environment=environment)
        assert (refused.code, all_logins(real_cluster)) == (1, {"team-0": docker})
        assert "expiry is past" in refused.err
        moto.token = secrets.token_urlsafe(1500)
        finished = run_once(site, environment=environment)
        assert (finished.code, all_logins(real_cluster)) == (0, {"team-0": docker | {HOST: ("AWS", moto.token)}})
