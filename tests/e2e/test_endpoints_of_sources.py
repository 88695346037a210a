"""A pass with sources that name endpoints of their own: what is minted arrives, what is abused says why and no more."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.manifests import HOME, policy
from tests.e2e.program import printed_role, run_once
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.registries.fake_github import FakeGithub
from tests.registries.token_server import Heard, Said, TokenServer, said, token_server

pytestmark = pytest.mark.real
CANARY = "CANARY-IN-AN-ANSWER"
SECRET = "CLIENT-SECRET-OF-A-SOURCE"


def source(name: str, kind: str, **data: str) -> Manifest:
    metadata = {"name": name, "namespace": HOME}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": f"imps-multi.io/{kind}",
        "stringData": data,
    }


def client(name: str, url: str) -> Manifest:
    return source(
        name, "oauth2", tokenURL=url, clientID="puller", clientSecret=SECRET, registries=f"{name}.example.com"
    )


def answering(server: TokenServer, github: FakeGithub, elsewhere: str) -> Callable[[Heard], Said]:
    """Be a token endpoint, GitHub, one that quotes what it was sent, and one that sends on."""

    def answer(heard: Heard) -> Said:
        if heard.path.startswith("/app/"):
            return github.answer(heard)
        if heard.path == "/quoting":
            return Said(400, f"{CANARY} {heard.headers} {heard.body.decode()}".encode())
        if heard.path == "/away":
            return Said(307, CANARY.encode(), {"Location": elsewhere})
        return said(access_token=f"token-{len(server.heard)}", token_type="Bearer", expires_in=3600)

    return answer


def test_minted_tokens_arrive_and_abuse_says_why_without_a_word_of_an_answer(
    real_cluster: RealCluster, site: Site
) -> None:
    real_cluster.create_namespaces(["team-0"])
    site.reach([real_cluster])
    site.configure(sources={"endpoints": ["127.0.0.1", "*.vpc.example", "169.254.*"]})
    abused = {
        "quoting": "OAuth2 client credentials: refused (HTTP 400)",
        "away": "redirects are not followed",
        "metadata": "names a link-local, metadata or reserved address",
        "elsewhere": "list its host in sources.endpoints",
    }
    with token_server() as server, token_server() as other:
        github = FakeGithub(now=time.time())
        server.answer = answering(server, github, other.url)
        site.put(
            "sources.yaml",
            client("good", f"{server.url}/token"),
            source(
                "app",
                "github",
                apiURL=server.url,
                appID="12345",
                installationID="678",
                privateKey=github.pem(),
                registries="ghcr.example.com",
            ),
            client("quoting", f"{server.url}/quoting"),
            client("away", f"{server.url}/away"),
            client("metadata", "https://169.254.169.254/latest"),
            client("elsewhere", "https://evil.example/token"),
        )
        site.put("good.yaml", policy("good", sources=["good", "app"], namespaces={"names": ["team-*"]}))
        for name in abused:
            site.put(f"{name}.yaml", policy(name, sources=[name], namespaces={"names": ["team-*"]}, secret=name))
        real_cluster.authorize(SERVICE, printed_role(site))
        done = run_once(site)
        assert other.heard == []
    assert done.code == 1
    given = all_logins(real_cluster)["team-0"]
    assert given["ghcr.example.com"] == ("x-access-token", "ghs_all")
    assert given["good.example.com"][0] == "oauth2accesstoken"
    shown = done.out + done.err
    assert [why for why in abused.values() if why not in shown] == []
    for kept in (shown, *(content.decode(errors="replace") for content in site.state_files().values())):
        assert CANARY not in kept
    assert SECRET not in shown
