"""No secret value leaves the service but in the targets' data: planted credentials are searched for everywhere."""

import base64
import json
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest

from imps_multi.sandbox.ecr_faults import Nonsense
from imps_multi.sandbox.sigv4 import Credential
from tests.e2e.manifests import DOCKER_HOST, HOME, docker_source, ecr_source, policy
from tests.e2e.program import Program, command, plan, printed_role, run_once, sync
from tests.e2e.registry import ACCOUNT, HOST, Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.targets import KEY, all_logins
from tests.e2e.waiting import until
from tests.realcluster.bed import RealBed
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster

pytestmark = pytest.mark.real

TEAMS = tuple(f"team-{number}" for number in range(5))
DOCKER = "marked-docker/pass+word=8131"
HEADER = "marked-header-value-60417"
BASIC = "marked-basic~pass&word=2297"
BROKEN = "marked-broken-password-5511"
AWS_SECRET = "markedAWS/secret+key/77341209"
STRANGERS = "marked-strangers-aws-secret-90817"
WRONG_TOKEN = "marked-wrong-token-404-abcdef"
PLANTED = {
    "a docker password": DOCKER,
    "an HTTP header of a docker config": HEADER,
    "a basic-auth password": BASIC,
    "a password in a source that is broken": BROKEN,
    "an AWS secret key": AWS_SECRET,
    "an AWS secret key that is refused": STRANGERS,
    "a kubeconfig token that is refused": WRONG_TOKEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Every text that the program gave away, by where it stood; and every secret it had to do with."""

    texts: Mapping[str, str]
    names: Iterable[str]
    secrets: Mapping[str, str]


def basic_source(name: str, password: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": HOME, "annotations": {"imps-multi.io/registry": "basic.example.com"}},
        "type": "kubernetes.io/basic-auth",
        "stringData": {"username": "robot", "password": password},
    }


def odd_source(name: str) -> Manifest:
    """Make a source that works, and of which much is said: what it holds beside its login, and how that looks."""
    login = {"auth": base64.b64encode(f"<token>:{DOCKER}\n".encode()).decode(), "password": DOCKER}
    config = {"auths": {"odd.example.com:443": login}, "HttpHeaders": {"X-Meta": HEADER}, "credsStore": HEADER}
    return {**docker_source(name, password="x"), "stringData": {KEY: json.dumps(config)}}


def broken_source(name: str, text: str) -> Manifest:
    return {**docker_source(name, password="x"), "stringData": {KEY: text}}


def stranger_source(name: str, registry: Registry) -> Manifest:
    source = ecr_source(name, registry)
    keys = {"accessKeyID": "AKIASTRANGER00000000", "secretKey": STRANGERS}
    return {**source, "stringData": {**source["stringData"], **keys}}


BROKEN_TEXTS = {
    "colonless": json.dumps({"auths": {"a.example.com": {"auth": base64.b64encode(BROKEN.encode()).decode()}}}),
    "cut": '{"auths": {"a.example.com": {"password": "' + BROKEN,
    "doubled": '{"auths": {"a.example.com": {"auth": "YTpi", "auth": "' + BROKEN + '"}}}',
    "headed": json.dumps({"auths": {"a.example.com": {"auth": "YTpi"}}, "HttpHeaders": {"X-Meta": [BROKEN]}}),
    "shapeless": json.dumps({"auths": {"a.example.com": [BROKEN]}}),
    "misplaced": json.dumps({"auths": {f"robot:{BROKEN}@a.example.com": {"auth": "YTpi"}}}),
}


@pytest.fixture(scope="module")
def traces(bring: Callable[..., tuple[RealCluster, ...]], site: Site, registry: Registry) -> Traces:
    """Drive the service through everything that it might want to complain about, at level debug."""
    clusters = east, _ = bring("east", "west")
    marked = Credential("AKIAMARKED0000000000", AWS_SECRET)
    registry.call(partial(registry.ecr.identities.add_user, marked, account=ACCOUNT))
    registry.ecr.credential = marked
    for cluster in clusters:
        cluster.create_namespaces(TEAMS)
    lay(site, registry, clusters)
    east.authorize(SERVICE, printed_role(site))
    texts = {"validate": command(site, "validate", str(site.config), str(site.hub)).out}
    with Program(site) as program:
        texts |= drive(site, registry, program, east)
    texts["plan"] = json.dumps(plan(site))
    run_once(site)
    for path in (*site.output.iterdir(), site.writes):
        texts[path.name] = path.read_text()
    names = [str(path.relative_to(site.root)) for path in site.state.rglob("*")]
    secrets = PLANTED | {f"ECR token {number}": one for number, one in enumerate(registry.passwords)}
    secrets |= {"the kubeconfig token": east.token(SERVICE)}
    return Traces(texts=texts, names=names, secrets=secrets)


def lay(site: Site, registry: Registry, clusters: tuple[RealCluster, ...]) -> None:
    east, west = clusters
    site.configure()
    site.reach_by(east.kubeconfig(SERVICE), west.kubeconfig(SERVICE, token=WRONG_TOKEN))
    site.put(
        "sources.yaml",
        ecr_source("ecr", registry),
        docker_source("docker", password=DOCKER),
        odd_source("odd"),
        basic_source("basic", BASIC),
        stranger_source("stranger", registry),
        *(broken_source(name, text) for name, text in BROKEN_TEXTS.items()),
    )
    everyone = {"names": ["team-*"]}
    site.put("good.yaml", policy("good", sources=["ecr", "docker", "odd", "basic"], namespaces=everyone))
    for name in ("stranger", *BROKEN_TEXTS):
        site.put(f"{name}.yaml", policy(name, sources=[name], namespaces={"names": [f"{name}-*"]}, secret=f"p-{name}"))


def drive(site: Site, registry: Registry, program: Program, east: RealCluster) -> dict[str, str]:
    """Make the service work and complain, and collect what its ports say at each turn."""
    seen: dict[str, str] = {}

    def look(when: str) -> None:
        seen[f"metrics, {when}"], seen[f"status, {when}"] = program.page(), json.dumps(program.status())

    until(lambda: len(all_logins(east)) == len(TEAMS), "the sound targets are there")
    until(lambda: program.cluster("west")["reason"] == "Unauthorized", "the wrong token is refused")
    until(lambda: program.ready_condition("stranger") == ("False", "SourceError"), "the stranger's key is refused")
    look("at first")
    for nonsense in (Nonsense.NO_COLON, Nonsense.EXPIRED):
        registry.call(registry.ecr.faults.talk_nonsense, nonsense)
        complains(program, partial(sync, site, "good"))
        look(nonsense.value)
    registry.wait_for(registry.ecr.faults.heal)
    mints = registry.mints
    sync(site, "good")
    until(lambda: registry.mints > mints, "it is minted again")
    site.put_text("cut.yaml", f"kind: Secret\nstringData: {{password: {BROKEN}")
    until(lambda: not program.status()["hub"]["whole"], "the hub is not whole")
    east.edit_secret(TEAMS[0], "pull", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}})
    look("at last")
    return seen


def complains(program: Program, act: Callable[[], None]) -> None:
    """Wait until a mint failed because of what is done."""

    def failures() -> float:
        return program.metric("imps_credential_refresh_total", result="error")

    before = failures()
    act()
    until(lambda: failures() > before, "a mint fails")


def forms(secret: str) -> set[str]:
    """Return a secret as it may be written: as it is, quoted for URLs and JSON, in base64 alone and within more."""
    found = {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1]}
    for shift in range(3):  # where it begins within three bytes
        coded = base64.b64encode(b"\0" * shift + secret.encode()).decode()[4 * bool(shift) : -4]
        found |= {coded, coded.replace("+", "-").replace("/", "_")}
    return found | {one[: len(one) // 2] for one in found if len(one) > 60}


@pytest.mark.parametrize("user", ["", "AWS:", "robot:", "ab:"])
def test_a_secret_within_a_dumped_target_would_be_found(user: str) -> None:
    inner = base64.b64encode(f"{user}{BASIC}".encode()).decode()
    assert any(form in inner for form in forms(BASIC))
    assert any(
        form in base64.b64encode(json.dumps({"a": {"password": BASIC}}).encode()).decode() for form in forms(BASIC)
    )


def test_the_service_had_all_that_is_searched_for(traces: Traces) -> None:
    assert len(traces.texts) > 12
    assert sum(len(text) for text in traces.texts.values()) > 20_000
    assert {name: len(one) for name, one in traces.secrets.items() if len(one) < 20} == {}


def test_no_secret_stands_in_any_log_metric_status_plan_or_output(traces: Traces) -> None:
    found = {
        f"{what} in {where}"
        for what, secret in traces.secrets.items()
        for where, text in traces.texts.items()
        if any(form in text for form in forms(secret))
    }
    assert found == set()


def test_no_secret_stands_in_a_file_s_name(traces: Traces) -> None:
    shown = "\n".join(traces.names)
    assert [what for what, secret in traces.secrets.items() if any(form in shown for form in forms(secret))] == []


@pytest.mark.usefixtures("traces")
def test_what_is_stored_is_readable_by_its_owner_alone(site: Site) -> None:
    assert {oct(path.stat().st_mode & 0o077) for path in (site.state, *site.state.rglob("*"))} == {"0o0"}


@pytest.mark.usefixtures("traces")
def test_the_metadata_of_a_target_holds_no_secret(real_bed: RealBed, traces: Traces) -> None:
    (east,) = real_bed.clusters("east")
    shown = json.dumps([one["metadata"] for one in east.secrets()])
    assert {DOCKER_HOST, HOST} <= {host for logins in all_logins(east).values() for host in logins}
    assert [what for what, secret in traces.secrets.items() if any(form in shown for form in forms(secret))] == []
