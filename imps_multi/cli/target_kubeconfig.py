"""What ``rbac --with-kubeconfig`` adds: a token that lives on, and the command that makes a kubeconfig of it.

Pure, and offline: the token is made by the cluster when this is applied, so the kubeconfig can only be read there
afterwards. The command needs nothing but kubectl.
"""

import json
import shlex
from typing import Any, Final

from imps_multi.cli.role import MARKS, Account

TOKEN_TYPE: Final = "kubernetes.io/service-account-token"  # noqa: S105  # a type of Secret
ACCOUNT_ANNOTATION: Final = "kubernetes.io/service-account.name"
UNSAFE: Final = frozenset(" '\"\\{}#\n")
"""What a shell, YAML or a template would take for its own."""
COMMENT: Final = """\
# The cluster fills the token in. Then this makes the kubeconfig with which imps-multi reaches it, which is a secret:
#
#   kubectl get secret {secret} --namespace {namespace} --output go-template={template} > {cluster}.kubeconfig
#
# To withdraw it, delete the Secret. Where tokens must be short-lived, leave the Secret away, and have a job renew the
# token of a tokenFile: kubectl create token {name} --namespace {namespace} --duration 24h
"""
CA: Final = '{{index .data "ca.crt"}}'
TOKEN: Final = "{{.data.token | base64decode}}"  # noqa: S105  # a place for one


def token_manifest(account: Account) -> str:
    """Return the token's Secret as YAML."""
    import yaml

    namespace, name = account
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": _secret(name),
            "namespace": namespace,
            "labels": dict(MARKS),
            "annotations": {ACCOUNT_ANNOTATION: name},
        },
        "type": TOKEN_TYPE,
    }
    return yaml.safe_dump(document, sort_keys=False, explicit_start=True, width=120)


def how_to(account: Account, *, server: str, cluster: str) -> str:
    """Return as a comment what to do with the token."""
    namespace, name = account
    template = shlex.quote(_template(name, server=server, cluster=cluster))
    return COMMENT.format(secret=_secret(name), namespace=namespace, name=name, template=template, cluster=cluster)


def _secret(account: str) -> str:
    return f"{account}-token"


def _template(user: str, *, server: str, cluster: str) -> str:
    """Return a kubeconfig as one line of JSON, with kubectl's go-templates where the Secret's content belongs."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": "CA"}}],
        "users": [{"name": user, "user": {"token": "TOKEN"}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    return json.dumps(config).replace('"CA"', f'"{CA}"').replace('"TOKEN"', f'"{TOKEN}"')


def checked_server(text: str) -> str:
    """Return a server's URL.

    Raises:
        ValueError: it is none.
    """
    from urllib.parse import urlsplit

    try:
        url = urlsplit(text)
        fine = url.scheme in {"https", "http"} and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        fine = False
    if not fine or not UNSAFE.isdisjoint(text):
        raise ValueError(f'"{text}" is no URL of an API server, such as https://10.0.0.1:6443')
    return text
