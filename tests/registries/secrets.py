"""Source Secrets for the tests of this room."""

from collections.abc import Mapping

from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef

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
