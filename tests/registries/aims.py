"""Every key of every kind of source that names a URL, so that an attack is tried on each of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from .fake_azure import CLIENT, TENANT
from .fake_google import account_key, pem
from .secrets import ECR, KEYS, MARK, ROLE

ECR_TYPE = "banzaicloud.io/aws-ecr-login-config"
PRINCIPAL = {"tenantID": TENANT, "clientID": CLIENT, "clientSecret": MARK}


@dataclass(frozen=True)
class Aim:
    """A key that holds a URL; ``data`` gives the whole Secret that aims it there."""

    kind: str
    key: str
    data: Callable[[str], dict[str, str]]

    @property
    def provider(self) -> str:
        """Who mints for it."""
        return "ecr" if self.kind == ECR_TYPE else self.kind.partition("/")[2]

    def __str__(self) -> str:
        """Name the test."""
        return f"{self.provider}-{self.key}"


AIMS = (
    Aim(ECR_TYPE, "ecrEndpointURL", lambda url: {**ECR, **KEYS, "ecrEndpointURL": url}),
    Aim(ECR_TYPE, "stsEndpointURL", lambda url: {**ECR, **KEYS, "roleArn": ROLE, "stsEndpointURL": url}),
    Aim(
        "imps-multi.io/oauth2",
        "tokenURL",
        lambda url: {"tokenURL": url, "clientID": "c", "clientSecret": MARK, "registries": "a.io"},
    ),
    Aim(
        "imps-multi.io/github",
        "apiURL",
        lambda url: {"apiURL": url, "appID": "1", "installationID": "2", "privateKey": pem(), "registries": "a.io"},
    ),
    Aim(
        "imps-multi.io/azure",
        "authorityHost",
        lambda url: {"registries": "a.azurecr.io", "authorityHost": url, **PRINCIPAL},
    ),
    Aim(
        "imps-multi.io/gcp",
        "serviceAccountKey",
        lambda url: {"location": "europe", "serviceAccountKey": _key(url)},
    ),
)


def _key(url: str) -> str:
    return json.dumps({**json.loads(account_key("https://oauth2.googleapis.com")), "token_uri": url})
