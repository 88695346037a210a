"""Source Secrets for the tests of this room."""

from collections.abc import Mapping

from imps_multi.model.credential import MintIdentity, MintSource
from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule

MARK = "MARKEDVALUE"
KEYS = {"accessKeyID": "AKIDEXAMPLE", "secretKey": MARK}
ECR = {"region": "eu-west-1", "accountID": "123456789012"}
ROLE = "arn:aws:iam::210987654321:role/pull"


def source(
    kind: str,
    data: Mapping[str, str | bytes],
    annotations: Mapping[str, str] | None = None,
    namespace: str = "registry-access",
) -> SourceSecret:
    content = {key: value.encode() if isinstance(value, str) else value for key, value in data.items()}
    return SourceSecret(SourceRef(NamespaceName(namespace), "source"), kind, content, annotations or {})


def ecr(namespace: str = "registry-access", **data: str) -> SourceSecret:
    return source("banzaicloud.io/aws-ecr-login-config", {**ECR, **data}, namespace=namespace)


def listed() -> tuple[str, ...]:
    return ("127.0.0.1",)


def identity_of(kind: str, data: Mapping[str, str], *, listed: tuple[str, ...] = ("127.0.0.1",)) -> MintIdentity:
    """Return whom a source mints for, where everything is allowed at these endpoints."""
    given = interpreter(ambient=AmbientRule(everybody=True), endpoints=listed)(source(kind, data))
    assert isinstance(given, MintSource), given
    return given.identity
