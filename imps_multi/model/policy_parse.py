"""An ImagePullSecret from its manifest: a valid ``Policy``, or everything that is wrong with it.

Pure. Fed by ``hub_fold`` and by ``validate``. Accepts every manifest that IMPS accepts and that could ever work there.
Unknown fields: under ``spec.target`` they are a problem, since a typo would widen or narrow a selection; elsewhere
under ``spec`` they are one where they look like a known field, else ignored as an API server prunes them.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from msgspec.structs import replace

from imps_multi.model.fields import Fields, did_you_mean, join, near_field, shown
from imps_multi.model.inline_source import ECR, inline_ecr
from imps_multi.model.names import (
    APPROVE_ANNOTATION,
    DOMAIN,
    IMPS_LAST_APPLIED,
    IMPS_OWNER_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POLICY_API_VERSION,
    POLICY_KIND,
    SYNC_ANNOTATION,
    NamespaceName,
    PolicyName,
    SecretName,
    Uid,
)
from imps_multi.model.policy import (
    ConflictPolicy,
    DeletionPolicy,
    InvalidPolicy,
    Policy,
    SourceRef,
    SpecProblem,
    TargetSecret,
)
from imps_multi.model.selection import ClusterSelection
from imps_multi.model.selection_parse import cluster_selection, namespace_selection, pod_selection
from imps_multi.model.validity import (
    ANNOTATIONS_SIZE,
    annotation_key_problem,
    dns_label_problem,
    dns_subdomain_problem,
    label_key_problem,
    label_value_problem,
    source_name_problem,
)

SPEC_FIELDS: Final = ("registry", "target", "conflictPolicy", "deletionPolicy", "suspend")
TARGET_FIELDS: Final = ("clusters", "namespaces", "namespacesWithPods", "secret")
GENERATION_BYTES: Final = 6
"""So many bytes of digest make a generation that every JSON reader keeps exact."""

_SOURCE_FIELDS: Final = ("name", "namespace", ECR)
_NO_SOURCE: Final = (
    "is no source: write {name: …, namespace: …} of a Secret, whatever its kind, or {ecr: {region: …, accountID: …}}"
)
_SOURCE_NAMESPACE: Final = ": the namespace of the source Secret in the hub"
_CLUSTERS_NEEDED: Final = (
    'is required here, as the configuration has no defaultClusters: write clusters: {names: ["*"]} for every cluster '
    "of the fleet"
)


def parse_policy(content: Mapping[str, Any], *, generation: int | None = None) -> Policy | InvalidPolicy:
    """Read one manifest. Without a ``generation`` (a directory has none) it is a digest of the content."""
    fields = Fields()
    _identity(fields, content)
    metadata = fields.mapping(content.get("metadata"), "metadata")
    annotations = fields.text_map(metadata.get("annotations"), "metadata.annotations")
    name = _required_name(fields, metadata.get("name"), "metadata.name")
    given = _required(fields, content, "spec")
    spec = given or {}
    _stray_fields(fields, spec, "spec", SPEC_FIELDS)
    sources = _sources(fields, _required(fields, given, "spec.registry"))
    given_target = _required(fields, given, "spec.target")
    target = given_target or {}
    fields.known_only(target, "spec.target", TARGET_FIELDS)
    given_secret = _required(fields, given_target, "spec.target.secret")
    secret = _target_secret(fields, given_secret)
    policy = Policy(
        name=PolicyName(name),
        generation=generation if generation is not None else content_generation(spec, annotations),
        sources=sources,
        secret=secret,
        namespaces=namespace_selection(fields, target.get("namespaces"), "spec.target.namespaces"),
        pods=pod_selection(fields, target.get("namespacesWithPods"), "spec.target.namespacesWithPods"),
        clusters=cluster_selection(fields, target.get("clusters"), "spec.target.clusters"),
        conflict_policy=fields.choice(spec.get("conflictPolicy"), "spec.conflictPolicy", ConflictPolicy.FAIL),
        deletion_policy=fields.choice(
            spec.get("deletionPolicy"), "spec.deletionPolicy", DeletionPolicy.WHEN_UNREFERENCED
        ),
        suspend=fields.truth(spec.get("suspend"), "spec.suspend"),
        uid=_uid(metadata.get("uid")),
        created=_timestamp(metadata.get("creationTimestamp")),
        sync_request=annotations.get(SYNC_ANNOTATION, ""),
        approve_request=annotations.get(APPROVE_ANNOTATION, ""),
        remarks=_secret_remarks(given_secret or {}),
    )
    return policy if not fields.problems else _invalid(policy, fields.problems)


def with_default_clusters(policy: Policy, names: tuple[str, ...]) -> Policy | InvalidPolicy:
    """Give a policy without ``target.clusters`` the configured default; without one, it is invalid."""
    if policy.clusters is not None:
        return policy
    if not names:
        return _invalid(policy, (SpecProblem("spec.target.clusters", _CLUSTERS_NEEDED),))
    return replace(policy, clusters=ClusterSelection(names=names))


def content_generation(spec: Mapping[str, object], annotations: Mapping[str, str]) -> int:
    """Digest what a policy says into a positive integer: its spec, and whether a sync is asked for.

    An approval is no new content: what it approves is a generation.
    """
    asked = {key: annotations[key] for key in (SYNC_ANNOTATION,) if key in annotations}
    text = json.dumps([_plain(spec), asked], sort_keys=True, separators=(",", ":"), default=str)
    return int.from_bytes(blake2b(text.encode(), digest_size=GENERATION_BYTES).digest()) or 1


def _plain(value: object) -> object:
    """Turn every key into a text, so that keys of several types can be sorted."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _invalid(policy: Policy, problems: tuple[SpecProblem, ...]) -> InvalidPolicy:
    return InvalidPolicy(
        name=policy.name,
        generation=policy.generation,
        problems=problems,
        secret_name=policy.secret.name or None,
    )


def _identity(fields: Fields, content: Mapping[str, Any]) -> None:
    for field, expected in (("apiVersion", POLICY_API_VERSION), ("kind", POLICY_KIND)):
        value = content.get(field)
        if value != expected:
            said = shown(value) if isinstance(value, str) else "something else"
            fields.problem(field, f"must be {expected}, is {said}")


def _required(fields: Fields, parent: Mapping[str, object] | None, path: str) -> dict[str, object] | None:
    """Read a required mapping under its parent; None where it is not there, or its parent is not: told once."""
    if parent is None:
        return None
    value = parent.get(path.rpartition(".")[2])
    if value is None:
        fields.problem(path, "is required")
        return None
    content = fields.mapping(value, path)
    return content if isinstance(value, Mapping) else None


def _required_name(
    fields: Fields,
    value: object,
    path: str,
    *,
    problem_of: Callable[[str], str | None] = dns_subdomain_problem,
    meaning: str = "",
) -> str:
    """Read the name of an object; an invalid one is kept, so that the problem can be told by it."""
    if value is None:
        fields.problem(path, f"is required{meaning}")
        return ""
    name = fields.text(value, path)
    if name is None:
        return ""
    problem = problem_of(name)
    if problem is not None:
        fields.problem(path, f"{shown(name)} is not valid: {problem}")
    return name


def _stray_fields(fields: Fields, content: Mapping[str, object], path: str, known: Collection[str]) -> None:
    for name in content:
        if name in known:
            continue
        if name in TARGET_FIELDS:
            fields.problem(join(path, name), "belongs under spec.target")
        elif near_field(name, known) is not None:
            fields.problem(join(path, name), f"unknown field{did_you_mean(name, known)}")


def _sources(fields: Fields, registry: Mapping[str, object] | None) -> tuple[SourceRef, ...]:
    if registry is None:
        return ()
    _stray_fields(fields, registry, "spec.registry", ("credentials",))
    path = "spec.registry.credentials"
    listed = fields.items(registry.get("credentials"), path)
    if not registry.get("credentials"):
        fields.problem(
            path, "is required: name at least one source Secret, as {name: …, namespace: …}, or write {ecr: …}"
        )
    refs = [_source(fields, item, at) for at, item in listed]
    return tuple(dict.fromkeys(ref for ref in refs if ref is not None))


def _source(fields: Fields, value: object, path: str) -> SourceRef | None:
    content = fields.mapping(value, path)
    if content.get(ECR) is not None:
        return _inline(fields, content, path)
    _stray_fields(fields, content, path, _SOURCE_FIELDS)
    if content and not any(near_field(name, _SOURCE_FIELDS) for name in content if name != ECR):
        for name in content:
            fields.problem(join(path, name), _NO_SOURCE)
        return None
    name = _required_name(fields, content.get("name"), f"{path}.name", problem_of=source_name_problem)
    namespace = _required_name(
        fields, content.get("namespace"), f"{path}.namespace", problem_of=dns_label_problem, meaning=_SOURCE_NAMESPACE
    )
    return SourceRef(NamespaceName(namespace), name) if name and namespace else None


def _inline(fields: Fields, content: Mapping[str, object], path: str) -> SourceRef | None:
    for name in content:
        if name != ECR:
            fields.problem(join(path, name), f"stands beside {ECR}; a source is a Secret or inline, so write two items")
    return inline_ecr(fields, content[ECR], join(path, ECR))


def _target_secret(fields: Fields, secret: Mapping[str, object] | None) -> TargetSecret:
    if secret is None:
        return TargetSecret(SecretName(""))
    path = "spec.target.secret"
    fields.known_only(secret, path, ("name", "labels", "annotations"))
    name = _required_name(fields, secret.get("name"), f"{path}.name")
    labels = _pairs(
        fields,
        secret.get("labels"),
        f"{path}.labels",
        lambda key, value: label_key_problem(key) or label_value_problem(value),
    )
    annotations = _pairs(
        fields, secret.get("annotations"), f"{path}.annotations", lambda key, _: annotation_key_problem(key)
    )
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > ANNOTATIONS_SIZE:
        fields.problem(f"{path}.annotations", f"are more than {ANNOTATIONS_SIZE} bytes together; shorten them")
    labels.pop(MANAGED_BY_LABEL, None)  # charts put theirs everywhere, and IMPS takes such a policy
    labels.pop(IMPS_OWNER_LABEL, None)  # IMPS's own marks, which IMPS writes over whatever a policy says
    annotations.pop(IMPS_LAST_APPLIED, None)
    return TargetSecret(SecretName(name), tuple(sorted(labels.items())), tuple(sorted(annotations.items())))


def _secret_remarks(secret: Mapping[str, object]) -> tuple[SpecProblem, ...]:
    labels = secret.get("labels")
    if not isinstance(labels, Mapping) or labels.get(MANAGED_BY_LABEL, MANAGED_BY) == MANAGED_BY:
        return ()
    path = join("spec.target.secret.labels", MANAGED_BY_LABEL)
    return (SpecProblem(path, f"is written as {MANAGED_BY}, whatever a policy says; take it away"),)


def _pairs(fields: Fields, value: object, path: str, problem_of: Callable[[str, str], str | None]) -> dict[str, str]:
    """Read the labels or the annotations that targets are to carry."""
    pairs = fields.text_map(value, path)
    for key, text in pairs.items():
        if key.startswith(f"{DOMAIN}/"):
            fields.problem(join(path, key), "is imps-multi's own mark; take it away")
        elif (problem := problem_of(key, text)) is not None:
            fields.problem(join(path, key), f"is not valid: {problem}")
    return pairs


def _uid(value: object) -> Uid | None:
    return Uid(value) if isinstance(value, str) and value else None


def _timestamp(value: object) -> float | None:
    """Read an RFC 3339 time; it only decides between rivals, so one that cannot be read is as if absent."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if read is None else _timestamp(read)
