"""What a kubelet's own code makes of many odd docker configs, asked once and written down.

``python -m tests.model.kubelet_answers`` asks again: it has Go build ``tests/realcluster/servers/keyring``, at the
Kubernetes version that the tests run. Feeds ``test_kubelet_answers``, which holds our two readings to it.
"""

import json
import os
import random
import subprocess
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.realcluster.binaries import RECIPE, go_command

ANSWERS = Path(__file__).with_suffix(".jsonl")
CASES = 400
KINDS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
IMAGES = (
    "docker.io/library/nginx",
    "docker.io/team/app",
    "quay.io/app",
    "quay.io/team/app",
    "quay.io/v1/app",
    "quay.io:443/team/app",
    "QUAY.io/app",
    "registry:5000/team/app",
    "127.0.0.1:5000/v1/team",
    "[::1]:5000/team",
    "[::1]/app",
    "localhost/app",
    "registry-1.docker.io/library/nginx",
    "1.dkr.ecr.eu.amazonaws.com/team/app",
)
COMMON = (
    "quay.io",
    "index.docker.io",
    "docker.io",
    "registry:5000",
    "*.io",
    "*.dkr.ecr.*.amazonaws.com",
    "127.0.0.1:5000",
)
ODD = (
    *(
        "[::1]:5000",
        "[::1]",
        "QUAY.io",
        "q*.io",
        "qua[x-z].io",
        "qua[^a].io",
        "qua[y.io",
        "qu?y.io",
        "quay.io:443",
        "*",
    ),
    *(
        "registry-1.docker.io",
        "localhost",
        "quay.io:x",
        "user@quay.io",
        "%41.io",
        "é.io",
        "quay..io",
        "a\\b.io",
        "a^b.io",
    ),
)
SCHEMES = ("", "", "https://", "https://", "http://", "oci://", "HTTPS://", "https:///")
PATHS = (
    "",
    "",
    "/",
    "/v1/",
    "/v2/",
    "/v1",
    "/team",
    "/team/",
    "/team/app",
    "/v1/team",
    "/%zz",
    "/a%20b",
    "/v1/?x#y",
    "?q",
)
LOGINS = ("u:p", "u:", "p", ":p", "u:p:q", "ü:ß", "u:xx", ":", "u:p\n", "AWS:~?>~?>")
HEADERS: tuple[Any, ...] = ({}, {"a": "b"}, {"a": 1}, [], "x", None, {"a": None})


@dataclass(frozen=True, slots=True)
class Answer:
    """One content and what became of it; of the images only those for which there is a login."""

    kind: str
    content: str
    refused: bool
    found: dict[str, list[list[str]]]


def answers() -> list[Answer]:
    """Return what was written down."""
    return [Answer(*json.loads(line)) for line in ANSWERS.read_text().splitlines()]


def _auth(some: random.Random) -> str:
    auth = b64encode(some.choice(LOGINS).encode()).decode()
    odd = (
        auth.rstrip("="),
        f"{auth[:4]}\n{auth[4:]}",
        f"{auth}\r\n",
        f" {auth}",
        f"{auth} ",
        auth.replace("+", "-").replace("/", "_"),
        f"{auth}=",
        auth[:-1],
    )
    return some.choice(odd) if some.random() < 0.25 else auth


def _entry(some: random.Random) -> object:
    if some.random() < 0.03:
        return some.choice([None, "s", 1, [], True])
    odd: dict[str, tuple[float, list[Any]]] = {
        "auth": (0.55, [_auth(some)]),
        "Auth": (0.05, [_auth(some)]),
        "username": (0.3, ["x", "x", "x", "x", "", "a:b", None, 7]),
        "password": (0.3, ["y", "y", "y", "y", "", None, [1], "\u2028<&>"]),
        "email": (0.2, ["e@x", "e@x", "e@x", "", None, 3]),
        "identitytoken": (0.1, ["t", "", None, 4]),
    }
    return {name: some.choice(values) for name, (likely, values) in odd.items() if some.random() < likely}


def _content(some: random.Random) -> tuple[str, str]:
    keys = (
        some.choice(SCHEMES) + some.choice(COMMON if some.random() < 0.6 else ODD) + some.choice(PATHS)
        for _ in range(some.choice([1, 1, 2, 3]))
    )
    auths = {key: _entry(some) for key in keys}
    if some.random() < 0.1:
        return "kubernetes.io/dockercfg", json.dumps(auths)
    document: dict[str, object] = {some.choice(["auths"] * 8 + ["Auths"]): auths}
    if some.random() < 0.15:
        document[some.choice(["HttpHeaders", "httpheaders"])] = some.choice(HEADERS)
    if some.random() < 0.1:
        document["credHelpers"] = {"quay.io": "x"}
    return "kubernetes.io/dockerconfigjson", json.dumps(document, ensure_ascii=False)


def main() -> None:
    """Ask, and write the answers down."""
    some = random.Random(2535)  # noqa: S311 - the same cases every time
    cases = [_content(some) for _ in range(CASES)]
    asked = [
        {"type": kind, "data": {KINDS[kind]: b64encode(content.encode()).decode()}, "images": IMAGES}
        for kind, content in cases
    ]
    done = subprocess.run(  # noqa: S603 - our own program
        [go_command(os.environ), "run", "./keyring"],
        cwd=RECIPE,
        input="\n".join(map(json.dumps, asked)),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    with ANSWERS.open("w") as file:
        for (kind, content), one in zip(cases, told, strict=True):
            found = {image: logins for image, logins in zip(IMAGES, one["found"] or (), strict=False) if logins}
            file.write(json.dumps([kind, content, bool(one["error"]), found]) + "\n")


if __name__ == "__main__":
    main()
