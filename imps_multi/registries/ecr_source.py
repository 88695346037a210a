"""An ECR source Secret as a mint: whose identity, which endpoint, under which registry hosts.

Pure. Fed by the catalogue; the request it makes is read by the ECR provider alone. White space around a value is
dropped in every key, since all of them are pasted.
"""

from collections.abc import Mapping
from typing import Final

from imps_multi.model.credential import MintSource
from imps_multi.model.dockerconfig import DockerConfigError, registry_key
from imps_multi.model.ecr_fields import ACCOUNT_DIGITS, ECR_TYPE, LONGEST_CHAIN, ROLE, SHAPES
from imps_multi.model.hub import SourceSecret
from imps_multi.model.matching import glob_match
from imps_multi.model.names import RegistryKey
from imps_multi.model.policy import SourceRef
from imps_multi.registries.aws_hosts import ENDPOINTS, PUBLIC_REGION, Endpoint, public_hosts, registry_host
from imps_multi.registries.guard import guarded
from imps_multi.registries.minted_fields import known_keys, mint_source
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, items, matching, required, text

PROVIDER: Final = "ecr"
DOCUMENTED_LIFE: Final = 12 * 3600.0
"""How long an ECR token lives by AWS's documentation, in seconds."""

_KEYS: Final = frozenset(
    {
        "region",
        "accountID",
        "accountIDs",
        "registryHosts",
        "accessKeyID",
        "secretKey",
        "sessionToken",
        "roleArn",
        "externalID",
        "sessionName",
        "profile",
        "roleChain",
        "endpoint",
        "public",
        "ecrEndpointURL",
        "stsEndpointURL",
    }
)
_MARKS: Final = frozenset(key.lower() for key in _KEYS - {"region"})
"""An Opaque Secret with one of these keys is meant for ECR, however it spells them."""
_REQUEST: Final = (
    "region",
    "accessKeyID",
    "secretKey",
    "sessionToken",
    "profile",
    "roleChain",
    "roleArn",
    "externalID",
    "sessionName",
    "endpoint",
    "ecrEndpointURL",
    "stsEndpointURL",
)
_INLINE: Final = {"roleArn": "roleARN"}
"""What an inline source calls a key otherwise."""


def is_ecr(secret: SourceSecret) -> bool:
    """Say whether a Secret is meant for ECR: by its type, or Opaque with the keys of one, as in IMPS 0.1."""
    return secret.type == ECR_TYPE or (
        secret.type in {"", "Opaque"} and not _MARKS.isdisjoint(map(str.lower, secret.data))
    )


def ecr_source(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:
    """Interpret an ECR source.

    Raises:
        UnusableSecretError: a key is missing, wrong, not allowed or not supported.
    """
    data = secret.data
    ignored = known_keys(data, _KEYS)
    public = _shaped(data, "public") == "true"
    if not public:
        required(data, "region")
    request = {key: value for key in _REQUEST if (value := _shaped(data, key))}
    _whole(data, request)
    endpoint = ENDPOINTS[request.get("endpoint", "")]
    if public:
        _publicly(request, endpoint)
    _may_borrow(secret.ref, request, ambient)
    for key in ("ecrEndpointURL", "stsEndpointURL"):
        if key in request:
            guarded(key, request[key], endpoints)
    named = _named_hosts(data)
    hosts = public_hosts(endpoint) if public else _account_hosts(data, request["region"], endpoint)
    remark = "; ".join(filter(None, (ignored, _doubt(data))))
    return mint_source(secret, PROVIDER, request, named or hosts, remark)


def _publicly(request: dict[str, str], endpoint: Endpoint) -> None:
    """Aim a request at the public registry, which has one region and needs no account."""
    if endpoint.fips:
        raise UnusableSecretError("key endpoint is not dualstack: the public registry has no FIPS endpoint")
    request |= {"region": PUBLIC_REGION, "public": "true"}


def _doubt(data: Mapping[str, bytes]) -> str:
    """Say what looks wrong and works nonetheless; IMPS took it.

    Its README has an account number of nine digits: YAML takes leading zeros from a bare number, too.
    """
    if all(len(account) == ACCOUNT_DIGITS for account in _accounts(data)):
        return ""
    return "an AWS account number has 12 digits, leading zeros included; accountID or accountIDs differs"


def _shaped(data: Mapping[str, bytes], key: str) -> str:
    value = text(data, key)
    if key == "roleChain":
        return ",".join(_chain(value))
    return matching(key, value, *SHAPES[key]) if value and key in SHAPES else value


def _chain(value: str) -> tuple[str, ...]:
    roles = items(value)
    for role in roles:
        matching("roleChain", role, ROLE.pattern, "a comma list of roles' ARNs")
    if len(roles) > LONGEST_CHAIN:
        raise UnusableSecretError(f"key roleChain holds more than {LONGEST_CHAIN} roles")
    return roles


def _whole(data: Mapping[str, bytes], request: Mapping[str, str]) -> None:
    """See that keys which need one another are there together."""
    for key in ("accessKeyID", "secretKey"):
        if key in data and key not in request:
            raise UnusableSecretError(
                f"key {key} is empty; leave accessKeyID and secretKey out to use the process's own identity"
            )
    for key, other in (
        ("accessKeyID", "secretKey"),
        ("secretKey", "accessKeyID"),
        ("sessionToken", "accessKeyID"),
    ):
        if key in request and other not in request:
            raise UnusableSecretError(f"key {key} is there without {other}")
    for key in ("externalID", "sessionName"):
        if key in request and request.keys().isdisjoint({"roleArn", "roleChain"}):
            raise UnusableSecretError(f"key {key} is there without roleArn or roleChain")
    if "profile" in request and "accessKeyID" in request:
        raise UnusableSecretError("key profile is there together with accessKeyID; only one of them can sign")


def _may_borrow(ref: SourceRef, request: Mapping[str, str], ambient: AmbientRule) -> None:
    """See that a source may use what is the process's own: its identity, its profiles, its ways to other accounts.

    An inline one may: policies are of the hub's own administrators. Which roles is asked of it as of any other.
    """
    why = _borrowed(request)
    if not why:
        return
    here = ambient.everybody or bool(ref.inline)
    if not here and not any(glob_match(glob, ref.namespace) for glob in ambient.namespaces):
        raise UnusableSecretError(f"{why}, or add the namespace to sources.ambientIdentity.namespaces")
    for key, role in roles(request):
        if not any(glob_match(glob, role) for glob in ambient.role_arns):
            named = _INLINE.get(key, key) if ref.inline else key
            raise UnusableSecretError(
                f"key {named} names a role that the process's own identity may not take on; "
                "add it to sources.ambientIdentity.roleARNs"
            )


def _borrowed(request: Mapping[str, str]) -> str:
    """Say what of the process's own a source would use, and what to do instead; empty if nothing."""
    named = next((key for key in ("profile", "roleChain") if key in request), None)
    if named:
        return f"key {named} is there, and a Secret of this namespace may not use it; take it out"
    if "accessKeyID" in request:
        return ""
    return (
        "keys accessKeyID and secretKey are missing, and a Secret of this namespace may not use the process's own "
        "identity; add the keys"
    )


def roles(request: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the roles to take on one after the other, each with the key that names it."""
    last = (("roleArn", request["roleArn"]),) if "roleArn" in request else ()
    return (*(("roleChain", role) for role in items(request.get("roleChain", ""))), *last)


def _accounts(data: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (text(data, "accountID"), *items(text(data, "accountIDs"))))))


def _account_hosts(data: Mapping[str, bytes], region: str, endpoint: Endpoint) -> tuple[RegistryKey, ...]:
    required(data, "accountID")
    accounts = _accounts(data)
    for account in accounts:
        if not (account.isascii() and account.isdigit()):
            raise UnusableSecretError("key accountID or accountIDs does not hold AWS account numbers (12 digits each)")
    return tuple(registry_host(account, region, endpoint) for account in accounts)


def _named_hosts(data: Mapping[str, bytes]) -> tuple[RegistryKey, ...]:
    given = items(text(data, "registryHosts"))
    try:
        return tuple(map(registry_key, given))
    except DockerConfigError:
        raise UnusableSecretError("key registryHosts does not hold registry hosts (host[/path], globs)") from None
