"""What can be wrong with policies and source Secrets, and between them, before any of it runs.

Pure. Fed by ``checking`` with the manifests of every file that was given, as one hub.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from imps_multi.hubs.manifests import Manifest, findings
from imps_multi.model.credential import (
    Entry,
    Interpretation,
    MintSource,
    SourceFault,
    SourceKind,
    SourceState,
    StaticSource,
)
from imps_multi.model.fields import Fields
from imps_multi.model.hub import Place, SourceSecret, inline_secret
from imps_multi.model.hub_fold import duplicates
from imps_multi.model.inline_source import ECR, inline_ecr
from imps_multi.model.matching import glob_match, nearest_name
from imps_multi.model.merge_remarks import merge_remarks, too_large
from imps_multi.model.names import POLICY_KIND, NamespaceName
from imps_multi.model.planning import TOO_LARGE
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.policy_parse import parse_policy, with_default_clusters
from imps_multi.model.source_parse import parse_source
from imps_multi.ports import Interpreter
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.guard import ANYWHERE
from imps_multi.registries.rules import AmbientRule

_DOCKER_KEYS = (".dockerconfigjson", ".dockercfg")


class Finding(Struct, frozen=True, order=True):
    """Something that is wrong, or, as a warning, that may be."""

    place: Place
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN: message``."""
        return f"{self.place}: {'warning: ' if self.warning else ''}{self.message}"


class Rules(Struct, frozen=True):
    """What a configuration says about policies and sources; None where there is none to say it."""

    default_clusters: tuple[str, ...] | None = None
    source_namespaces: tuple[str, ...] = ("*",)
    ambient_namespaces: tuple[str, ...] | None = None
    """None: every Secret of the directory may use the process's own cloud identity."""
    ambient_roles: tuple[str, ...] = ("*",)
    endpoints: tuple[str, ...] = ANYWHERE


def check_manifests(manifests: Sequence[Manifest], rules: Rules) -> Iterator[Finding]:
    """Find what is wrong in each object, and between them."""
    for problem in duplicates(manifest.object for manifest in manifests):
        yield Finding(problem.place, problem.message)
    interpret = _interpreter(rules)
    sources = {_ref(one): one for one in manifests if one.object.kind != POLICY_KIND}
    given: dict[SourceRef, Interpretation] = {}
    policies: list[Manifest] = []
    for manifest in manifests:
        wrong = [Finding(problem.place, problem.message) for problem in findings(manifest)]
        yield from wrong
        if manifest.object.kind == POLICY_KIND:
            policies += [] if wrong else [manifest]
        elif not wrong:
            given[_ref(manifest)] = found = _interpreted(manifest, interpret)
            yield from _source(manifest, found)
    for manifest in policies:
        yield from _policy(manifest, sources, rules)
        yield from _refused(manifest, given)
        yield from _inline(manifest, interpret)
        yield from _overlaps(manifest, given, interpret)


def _policy(manifest: Manifest, sources: Mapping[SourceRef, Manifest], rules: Rules) -> Iterator[Finding]:
    policy = parse_policy(manifest.object.content)
    assert isinstance(policy, Policy)  # it has no findings
    yield from (Finding(manifest.place(one.path), str(one), warning=True) for one in policy.remarks)
    yield from _clusters(manifest, policy, rules)
    for index, ref in _refs(manifest):
        path = f"spec.registry.credentials[{index}]"
        if not any(glob_match(pattern, ref.namespace) for pattern in rules.source_namespaces):
            message = f"{path}: sources.namespaces of the configuration does not allow namespace {ref.namespace}"
            yield Finding(manifest.place(path), message)
        elif ref not in sources:
            near = nearest_name(str(ref), map(str, sources))
            hint = f" (did you mean {near}?)" if near else ""
            yield Finding(
                manifest.place(path), f"{path}: there is no Secret {ref} in what was given{hint}", warning=True
            )


def _refused(manifest: Manifest, given: Mapping[SourceRef, Interpretation]) -> Iterator[Finding]:
    """Say which sources are not for this policy; where it may take them is known in the clusters only."""
    for index, ref in _refs(manifest):
        source = given.get(ref)
        allowed = source.bounds.policies if isinstance(source, StaticSource | MintSource) else None
        if allowed is not None and not any(glob_match(pattern, manifest.object.name) for pattern in allowed):
            path = f"spec.registry.credentials[{index}]"
            message = f"{path}: allow-policies of {ref} does not name {manifest.object.name}"
            yield Finding(manifest.place(path), message)


def _clusters(manifest: Manifest, policy: Policy, rules: Rules) -> Iterator[Finding]:
    path = "spec.target.clusters"
    if rules.default_clusters is not None:
        qualified = with_default_clusters(policy, rules.default_clusters)
        if isinstance(qualified, InvalidPolicy):
            yield from (Finding(manifest.place(one.path), str(one)) for one in qualified.problems)
    elif policy.clusters is None:
        message = f"{path}: is not there, so the configuration must have defaultClusters"
        yield Finding(manifest.place(path), message, warning=True)


def _refs(manifest: Manifest) -> Iterable[tuple[int, SourceRef]]:
    """Return the Secrets that a policy names, each with its index."""
    return (
        (index, SourceRef(NamespaceName(item["namespace"]), item["name"]))
        for index, item in _listed(manifest)
        if item.get(ECR) is None
    )


def _listed(manifest: Manifest) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return enumerate(manifest.object.content["spec"]["registry"]["credentials"])


def _inline(manifest: Manifest, interpret: Interpreter) -> Iterator[Finding]:
    """Ask of each source in a policy whether the configuration lets it do what it says."""
    for index, item in _listed(manifest):
        path = f"spec.registry.credentials[{index}].{ECR}"
        ref = inline_ecr(Fields(), item.get(ECR), path) if item.get(ECR) is not None else None
        given = interpret(inline_secret(ref)) if ref is not None else None
        told = _told(given) if given is not None else ""
        if told:
            words = _words(told)
            where = next((f"{path}.{key}" for key in item[ECR] if key in words), path)
            yield Finding(manifest.place(where), f"{where}: {told}", warning=not isinstance(given, SourceFault))


def _overlaps(
    manifest: Manifest, given: Mapping[SourceRef, Interpretation], interpret: Interpreter
) -> Iterator[Finding]:
    """Say where sources of one policy name the same registry; what is not known here says nothing."""
    policy = parse_policy(manifest.object.content)
    assert isinstance(policy, Policy)  # it has no findings
    known = {ref: interpret(inline_secret(ref)) for ref in policy.sources if ref.inline} | dict(given)
    sources = [_as_resolved(ref, known[ref]) for ref in policy.sources if ref in known]
    path = "spec.registry.credentials"
    for remark in merge_remarks(sources):
        yield Finding(manifest.place(path), f"{path}: {remark}", warning=True)
    if too_large(sources):
        yield Finding(manifest.place(path), f"{path}: {TOO_LARGE}")


def _as_resolved(ref: SourceRef, given: Interpretation) -> SourceState:
    match given:
        case StaticSource():
            return SourceState(ref, SourceKind.STORED, given.entries, settings=given.settings)
        case MintSource():
            entries = tuple(Entry(registry, b"{}") for registry in given.registries)
            return SourceState(ref, SourceKind.MINTED, entries)
        case SourceFault():
            return SourceState(ref, SourceKind.UNKNOWN)


def _interpreted(manifest: Manifest, interpret: Interpreter) -> Interpretation:
    secret = parse_source(manifest.object)
    assert isinstance(secret, SourceSecret)  # it has no findings
    return interpret(secret)


def _source(manifest: Manifest, given: Interpretation) -> Iterator[Finding]:
    if told := _told(given):
        where = _where(manifest, told)
        message = f"{where}: {told}" if where else told
        yield Finding(manifest.place(where), message, warning=not isinstance(given, SourceFault))


def _told(given: Interpretation) -> str:
    return given.message if isinstance(given, SourceFault) else given.remark


def _where(manifest: Manifest, message: str) -> str:
    """Return the path of the key that a fault names, if it names one that is there."""
    secret = parse_source(manifest.object)
    assert isinstance(secret, SourceSecret)  # it has no findings
    words = _words(message)
    if annotation := next((name for name in secret.annotations if "annotation" in words and name in words), ""):
        return f"metadata.annotations[{annotation}]"
    key = next((key for key in sorted(secret.data, key=len, reverse=True) if key in words), None)
    if key is None and "type" in words:
        return "type" if "type" in manifest.object.content else ""
    key = key or next((each for each in _DOCKER_KEYS if each in secret.data), None)  # what is wrong stands within it
    if key is None:
        return ""
    plain = manifest.object.content.get("stringData") or {}
    return f"{'stringData' if key in plain else 'data'}[{key}]"


def _words(message: str) -> set[str]:
    return {word.strip("\"',:;()") for word in message.split()}


def _ref(manifest: Manifest) -> SourceRef:
    return SourceRef(NamespaceName(manifest.object.namespace), manifest.object.name)


def _interpreter(rules: Rules) -> Interpreter:
    ambient = AmbientRule(
        everybody=rules.ambient_namespaces is None,
        namespaces=rules.ambient_namespaces or (),
        role_arns=rules.ambient_roles,
    )
    return interpreter(ambient=ambient, endpoints=rules.endpoints)
