"""A pass with tokens of Google's: a key's account and the machine's own, each minted once and kept over a restart."""

import time

import pytest

from tests.e2e.manifests import HOME, policy
from tests.e2e.program import printed_role, run_once
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import all_logins
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.registries.fake_google import ACCOUNT, OWN, account_key, fake_google

pytestmark = pytest.mark.real


def gcp_source(name: str, **data: str) -> Manifest:
    """Return a source for Google's registries."""
    metadata = {"name": name, "namespace": HOME}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "imps-multi.io/gcp",
        "stringData": data,
    }


def test_tokens_of_a_key_and_of_the_machine_are_delivered_and_outlive_the_process(
    real_cluster: RealCluster, site: Site
) -> None:
    real_cluster.create_namespaces(["team-0", "team-1"])
    site.reach([real_cluster])
    site.configure()
    site.put("hub.yaml", policy("everyone", sources=["key", "own"], namespaces={"names": ["team-*"]}))
    real_cluster.authorize(SERVICE, printed_role(site))
    with fake_google(time.time()) as google:
        key = gcp_source("key", serviceAccountKey=account_key(google.url), locations="europe,us")
        site.put("sources.yaml", key, gcp_source("own", registries="eu.gcr.io"))
        environment = {
            "GCE_METADATA_HOST": google.url.removeprefix("http://"),
            "CLOUDSDK_CONFIG": "/nowhere",
            "GOOGLE_APPLICATION_CREDENTIALS": "",
        }
        first = run_once(site, environment=environment)
        tokens = {principal: token for token, (principal, _) in google.given.items()}
        second = run_once(site, environment=environment)
    given = {
        "europe-docker.pkg.dev": ("oauth2accesstoken", tokens[ACCOUNT]),
        "us-docker.pkg.dev": ("oauth2accesstoken", tokens[ACCOUNT]),
        "eu.gcr.io": ("oauth2accesstoken", tokens[OWN]),
    }
    assert (first.code, second.code) == (0, 0), first.err
    assert all_logins(real_cluster) == {"team-0": given, "team-1": given}
    assert len(google.asked) == 2
