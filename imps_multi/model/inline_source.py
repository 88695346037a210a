"""A source that stands in the policy itself, since nothing in it is secret: the process's own identity asks.

Pure. Fed by ``policy_parse``; gives a ``SourceRef`` that holds the keys which an ECR Secret would hold, under a name
that follows from them: equal sources of two policies are one source, and an edited one is another. Whether the
configuration lets it take on its roles is the catalogue's question, not asked here.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from imps_multi.model.dockerconfig import DockerConfigError, registry_key
from imps_multi.model.ecr_fields import LONGEST_CHAIN, ROLE, SHAPES, Shape
from imps_multi.model.fields import Fields, join
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef

ECR: Final = "ecr"
DIGEST_BYTES: Final = 6
TEXTS: Final = {
    "region": "region",
    "roleARN": "roleArn",
    "externalID": "externalID",
    "sessionName": "sessionName",
    "profile": "profile",
    "endpoint": "endpoint",
    "ecrEndpointURL": "ecrEndpointURL",
    "stsEndpointURL": "stsEndpointURL",
}
"""Fields that are texts, each with the key of a Secret that says the same."""
FIELDS: Final = ("accountID", "accountIDs", "registryHosts", "roleChain", "public", *TEXTS)
SECRET_KEYS: Final = ("accessKeyID", "secretKey", "sessionToken")

_ACCOUNT: Final = Shape(r"[0-9]{12}", "an AWS account number: 12 digits, leading zeros included, in quotes")
_LINK: Final = Shape(ROLE.pattern.replace("[!-~]", "[!-+\\--~]"), ROLE.what)
"""A role of a chain. A comma parts the roles in a Secret's chain, so no name in a chain may have one."""
_HOST: Final = Shape(r"[!-+\--~]+", "a registry's host (host[/path], globs)")
_ELSEWHERE: Final = "is secret: put it in a source Secret, and name that one with {name: …, namespace: …}"


def inline_ecr(fields: Fields, value: object, path: str) -> SourceRef | None:
    """Read what stands under ``ecr``; None where anything is wrong with it, which is then a problem."""
    before = len(fields.problems)
    given = fields.mapping(value, path)
    data = _Reader(fields, given, path).data() if isinstance(value, Mapping | None) else {}
    return _ref(data) if len(fields.problems) == before else None


def _ref(data: Mapping[str, str]) -> SourceRef:
    """Name a source by what it says; no Secret in the hub can have such a name."""
    content = tuple(sorted(data.items()))
    digest = blake2b(msgspec.json.encode(content), digest_size=DIGEST_BYTES).hexdigest()
    where = ("public",) if "public" in data else (data["region"], data["accountID"])
    return SourceRef(NamespaceName(""), ":".join((ECR, *where, digest)), content)


class _Reader:
    """Reads one source, and notes what is wrong in it."""

    def __init__(self, fields: Fields, given: Mapping[str, object], path: str) -> None:
        self._fields = fields
        self._path = path
        self._given = {key: item for key, item in given.items() if item is not None}

    def data(self) -> dict[str, str]:
        """Return the keys and values of a Secret that says the same."""
        self._strangers()
        texts = {key: self._text(name, SHAPES.get(key)) for name, key in TEXTS.items()}
        one, more = self._text("accountID", _ACCOUNT), self._list("accountIDs", _ACCOUNT)
        account, *others = [*dict.fromkeys(filter(None, (one, *more))), ""]
        lists = {"accountIDs": others, "registryHosts": self._hosts(), "roleChain": self._chain()}
        data = texts | {"accountID": account} | {key: ",".join(filter(None, items)) for key, items in lists.items()}
        self._of_a_role("externalID", "sessionName")
        if self._fields.truth(self._given.get("public"), self._at("public")):
            self._publicly(data)
        else:
            self._required("region")
            self._required("accountID", "accountIDs")
        return {key: text for key, text in data.items() if text}

    def _at(self, name: str) -> str:
        return join(self._path, name)

    def _strangers(self) -> None:
        for key in SECRET_KEYS:
            if key in self._given:
                self._fields.problem(self._at(key), _ELSEWHERE)
        self._fields.known_only({key: None for key in self._given if key not in SECRET_KEYS}, self._path, FIELDS)

    def _publicly(self, data: dict[str, str]) -> None:
        """The public registry has one region, and is nobody's account."""
        if "fips" in data["endpoint"]:
            self._fields.problem(self._at("endpoint"), "is not dualstack: the public registry has no FIPS endpoint")
        data |= {"public": "true", "region": "", "accountID": "", "accountIDs": ""}

    def _required(self, *names: str) -> None:
        if not any(self._given.get(name, []) != [] for name in names):
            self._fields.problem(self._at(names[0]), "is required")

    def _of_a_role(self, *names: str) -> None:
        for name in names:
            if name in self._given and not (self._given.get("roleARN") or self._given.get("roleChain")):
                self._fields.problem(self._at(name), "stands without roleARN or roleChain")

    def _text(self, name: str, shape: Shape | None) -> str:
        return self._shaped(self._given[name], self._at(name), shape) if name in self._given else ""

    def _list(self, name: str, shape: Shape) -> tuple[str, ...]:
        listed = self._fields.items(self._given.get(name), self._at(name))
        texts = [self._shaped(item, at, shape) for at, item in listed]
        return tuple(dict.fromkeys(texts))

    def _shaped(self, value: object, path: str, shape: Shape | None) -> str:
        """Read a text; an empty one where it is not what it must be."""
        text = self._fields.text(value, path)
        if text == "":
            self._fields.problem(path, "is empty; take it away")
        elif text is not None and shape is not None and not re.fullmatch(shape.pattern, text):
            self._fields.problem(path, f"is not {shape.what}")
            return ""
        return text or ""

    def _hosts(self) -> tuple[str, ...]:
        hosts = self._list("registryHosts", _HOST)
        for index, host in enumerate(hosts):
            try:
                registry_key(host or "none")
            except DockerConfigError:
                self._fields.problem(f"{self._at('registryHosts')}[{index}]", f"is not {_HOST.what}")
        return hosts

    def _chain(self) -> tuple[str, ...]:
        roles = self._list("roleChain", _LINK)
        if len(roles) > LONGEST_CHAIN:
            self._fields.problem(self._at("roleChain"), f"holds more than {LONGEST_CHAIN} roles")
        return roles
