"""EKS's pod identity agent on loopback: it gives keys to who shows the token, and notes what it was shown."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from imps_multi.sandbox.sigv4 import Credential

from .loopback import QuietHandler, serving


@contextmanager
def pod_identity_agent(credential: Credential) -> Iterator[tuple[str, list[str]]]:
    """Give the agent's URL, and the list of tokens that it was shown."""
    shown: list[str] = []
    answer = json.dumps(
        {
            "AccessKeyId": credential.access_key,
            "SecretAccessKey": credential.secret_key,
            "Token": credential.session_token,
            "Expiration": "2099-01-01T00:00:00Z",
        }
    ).encode()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.answer(200, answer)

    with serving(Handler) as url:
        yield f"{url}/v1/credentials", shown
