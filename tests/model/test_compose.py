"""A source's state: what it gives, and what is said of it."""

import pytest
from msgspec import structs

from imps_multi.model.compose import Inputs, compose, source_state
from imps_multi.model.credential import Entry, Interpretation, SourceFault, SourceKind, StaticSource
from imps_multi.model.docker_settings import Setting
from imps_multi.model.hub import HubSnapshot, PolicyRecord, SourceSecret
from imps_multi.model.names import NamespaceName, PolicyName, RegistryKey, SecretName
from imps_multi.model.policy import Policy, SourceRef, TargetSecret
from imps_multi.model.world import Standing, World

REF = SourceRef(NamespaceName("registry-access"), "docker")
NOW, BEFORE = (SourceSecret(REF, kind, {}) for kind in ("now", "before"))
ODD = StaticSource(
    (Entry(RegistryKey("quay.io"), b"{}"),), settings=(Setting("x", None, b"1"),), remark="its password is empty"
)


def inputs(**given: Interpretation) -> Inputs:
    """Make a hub of one source, of which each content is interpreted as it is told."""
    hub = HubSnapshot(synced=True, whole=True, sources={REF: NOW})
    return Inputs(hub=hub, interpret=lambda secret: given[secret.type], last_good={REF: BEFORE})


def test_a_remark_is_a_message_without_a_reason() -> None:
    state = source_state(inputs(now=ODD), REF)
    assert (state.kind, state.reason, state.message) == (SourceKind.STORED, "", "its password is empty")
    assert (state.entries, state.settings) == (ODD.entries, ODD.settings)


def test_what_is_wrong_goes_before_a_remark_of_the_content_that_stays_in_force() -> None:
    state = source_state(inputs(now=SourceFault("no JSON"), before=ODD), REF)
    assert (state.kind, state.reason, state.message) == (SourceKind.STORED, "SourceError", "no JSON")
    assert (state.entries, state.settings) == (ODD.entries, ODD.settings)


@pytest.mark.parametrize("changed", [{"settings": ()}, {"remark": ""}])
def test_a_change_beside_the_logins_is_a_change(changed: dict[str, object]) -> None:
    assert source_state(inputs(now=structs.replace(ODD, **changed)), REF) != source_state(inputs(now=ODD), REF)


def test_of_what_a_second_look_is_still_due_for_nothing_new_is_made() -> None:
    name = PolicyName("team-a")
    policy = Policy(name=name, generation=1, sources=(REF,), secret=TargetSecret(SecretName("pull")))
    sure = structs.replace(inputs(now=ODD).hub, policies={name: PolicyRecord(policy, policy)})
    for doubtful, standing, kind in (
        (frozenset[PolicyName | SourceRef](), Standing.VALID, SourceKind.STORED),
        (frozenset[PolicyName | SourceRef]({name, REF}), Standing.INVALID, SourceKind.UNKNOWN),
    ):
        hub = structs.replace(sure, doubtful=doubtful)
        one = compose(structs.replace(inputs(now=ODD), hub=hub), World()).policies[name]
        assert (one.standing, one.sources[0].kind) == (standing, kind)
        assert one.waiting is bool(doubtful)
