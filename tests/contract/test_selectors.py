"""fieldSelector and labelSelector: the whole grammar, and what is not in it."""

import pytest

from tests.contract.client import Api
from tests.contract.conftest import NAMESPACE, SECRETS
from tests.contract.manifests import namespace, opaque, pod, secret

pytestmark = pytest.mark.anyio

LABELLED = {
    "bare": {},
    "big": {"size": "10"},
    "blank": {"env": ""},
    "dev": {"env": "dev", "team": "red"},
    "prod": {"env": "prod", "team": "blue", "example.com/tier": "1"},
    "small": {"size": "2"},
}


@pytest.fixture
async def labelled(api: Api) -> Api:
    """Give a namespace of Secrets with labels."""
    for name, labels in LABELLED.items():
        await api.made(SECRETS, {"metadata": {"name": name, "labels": labels}})
    return api


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", "bare big blank dev prod small"),
        ("env", "blank dev prod"),
        ("!env", "bare big small"),
        ("env=prod", "prod"),
        ("env==prod", "prod"),
        ("env=", "blank"),
        ("env!=prod", "bare big blank dev small"),
        ("env in (prod,dev)", "dev prod"),
        ("env in ( prod , dev )", "dev prod"),
        ("env in (prod)", "prod"),
        ("env in ()", "blank"),
        ("env in (,dev)", "blank dev"),
        ("env notin (prod,dev)", "bare big blank small"),
        ("env notin (prod),env", "blank dev"),
        ("env,team=red", "dev"),
        ("env, !team", "blank"),
        ("example.com/tier=1", "prod"),
        ("size>5", "big"),
        ("size<5", "small"),
        ("size>1,size<11", "big small"),
        ("env>1", ""),
        ("env=prod,env=dev", ""),
    ],
)
async def test_labels_select(labelled: Api, selector: str, names: str) -> None:
    answer = await labelled.get(SECRETS, labelSelector=selector)
    assert answer.names == names.split()


@pytest.mark.parametrize(
    "selector",
    [
        "env=prod=dev",
        "env in",
        "env in prod",
        "env in (prod",
        "=prod",
        "env prod",
        "!env=prod",
        "env=prod dev",
        "-env",
        "env=-prod",
        f"env={'x' * 64}",
        "a/b/c",
        "size>five",
        "env,,team",
        "(env)",
    ],
)
async def test_a_label_selector_outside_the_grammar_is_a_bad_request(api: Api, selector: str) -> None:
    answer = await api.get(SECRETS, labelSelector=selector)
    assert answer.refusal == (400, "BadRequest")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=pull", "pull pull"),
        ("metadata.name==pull", "pull pull"),
        ("metadata.name!=pull", "other"),
        ("metadata.name=none", ""),
        (f"metadata.namespace={NAMESPACE}", "other pull"),
        (f"metadata.namespace!={NAMESPACE}", "pull"),
        (f"metadata.name=pull,metadata.namespace={NAMESPACE}", "pull"),
        ("metadata.name=pull,metadata.name=other", ""),
        ("type=Opaque", "other"),
        ("type!=Opaque", "pull pull"),
        ("", "other pull pull"),
    ],
)
async def test_fields_select_among_all_namespaces(api: Api, selector: str, names: str) -> None:
    await api.made("/api/v1/namespaces", namespace("team-b"))
    await api.made(SECRETS, secret("pull"))
    await api.made(SECRETS, opaque("other"))
    await api.made("/api/v1/namespaces/team-b/secrets", secret("pull"))
    answer = await api.get("/api/v1/secrets", fieldSelector=selector)
    assert answer.names == names.split()


@pytest.mark.parametrize("selector", ["data=x", "metadata.labels=x", "metadata.name", "status.phase=Active"])
async def test_a_field_that_cannot_be_selected_by_is_a_bad_request(api: Api, selector: str) -> None:
    assert (await api.get(SECRETS, fieldSelector=selector)).refusal == (400, "BadRequest")


async def test_both_selectors_hold_together(labelled: Api) -> None:
    answer = await labelled.get(SECRETS, fieldSelector="metadata.name!=dev", labelSelector="team")
    assert answer.names == ["prod"]


async def test_pods_are_selected_by_their_phase(api: Api) -> None:
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for name in ("done", "waiting"):
        await api.made(pods, pod(name))
    assert (await api.merge(f"{pods}/done/status", {"status": {"phase": "Succeeded"}})).status == 200
    assert (await api.get(pods, fieldSelector="status.phase=Succeeded")).names == ["done"]
    live = await api.get(pods, fieldSelector="status.phase!=Succeeded,status.phase!=Failed")
    assert live.names == ["waiting"]


async def test_namespaces_are_selected_by_name_and_phase(api: Api) -> None:
    answer = await api.get("/api/v1/namespaces", fieldSelector=f"metadata.name={NAMESPACE},status.phase=Active")
    assert answer.names == [NAMESPACE]
