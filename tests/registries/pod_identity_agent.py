"""EKS's pod identity agent on loopback: it gives keys to who shows the token, and notes what it was shown."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from imps_multi.sandbox.sigv4 import Credential


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

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/credentials", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
