"""Checks of single values in a configuration file, each with a message that says what to write.

Pure; used by ``model`` alone.
"""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from imps_multi.model.validity import dns_label_problem, dns_subdomain_problem, label_key_problem, label_value_problem

LARGEST_PORT: Final = 65535
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]*):(?P<port>[0-9]{1,5})")


def _free(problem_of: Callable[[str], str | None], says: str) -> AfterValidator:
    """Refuse a value of which ``problem_of`` tells a problem; ``says`` stands before that."""

    def check(value: str) -> str:
        if (problem := problem_of(value)) is not None:
            raise ValueError(f"{says} {problem}")
        return value

    return AfterValidator(check)


def _mark_problem(value: str) -> str | None:
    return label_value_problem(value) if value else "must not be empty"


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic takes a ValueError as the field's fault
    return value


def _address(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if value and (found is None or int(found["port"]) > LARGEST_PORT):
        raise ValueError('must be host:port, :port or [IPv6]:port, or "" for none')
    return value


def _endpoint(value: str) -> str:
    if set("/@#") & set(value) or not value.isascii() or value != "".join(value.split()):
        raise ValueError("must be HOST or HOST:PORT, globs allowed, without https:// and without a path")
    return value


Text = Annotated[str, Field(min_length=1)]
Mark = Annotated[str, _free(_mark_problem, "cannot be the value of a label, which it becomes:")]
"""A hub's id: it becomes a label's value."""
SecretNameText = Annotated[str, _free(dns_subdomain_problem, "cannot be the name of a Secret: it")]
NamespaceText = Annotated[str, _free(dns_label_problem, "cannot be the name of a namespace: it")]
Labels = dict[
    Annotated[str, _free(label_key_problem, "the key is not valid:")],
    Annotated[str, _free(label_value_problem, "the value is not valid:")],
]
NoBoolean = BeforeValidator(_no_boolean)
"""YAML's ``yes`` and ``true`` are no numbers, though Python takes them for 1."""
Endpoint = Annotated[str, Field(min_length=1), AfterValidator(_endpoint)]
Address = Annotated[str, AfterValidator(_address)]
