"""Checks of single values in a configuration file, each with a message that says what to write.

Pure; used by ``model`` alone.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from imps_multi.model.validity import dns_label_problem, dns_subdomain_problem, label_key_problem, label_value_problem

LARGEST_PORT: Final = 65535
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]*):(?P<port>[0-9]{1,5})")


def _mark(value: str) -> str:
    problem = "must not be empty" if not value else label_value_problem(value)
    if problem is not None:
        raise ValueError(f"cannot be the value of a label, which it becomes: {problem}")
    return value


def _secret_name(value: str) -> str:
    if (problem := dns_subdomain_problem(value)) is not None:
        raise ValueError(f"cannot be the name of a Secret: it {problem}")
    return value


def _namespace(value: str) -> str:
    if (problem := dns_label_problem(value)) is not None:
        raise ValueError(f"cannot be the name of a namespace: it {problem}")
    return value


def _label_key(value: str) -> str:
    if (problem := label_key_problem(value)) is not None:
        raise ValueError(f"the key is not valid: {problem}")
    return value


def _label_value(value: str) -> str:
    if (problem := label_value_problem(value)) is not None:
        raise ValueError(f"the value is not valid: {problem}")
    return value


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
Mark = Annotated[str, AfterValidator(_mark)]
"""A hub's id: it becomes a label's value."""
SecretNameText = Annotated[str, AfterValidator(_secret_name)]
NamespaceText = Annotated[str, AfterValidator(_namespace)]
Labels = dict[Annotated[str, AfterValidator(_label_key)], Annotated[str, AfterValidator(_label_value)]]
NoBoolean = BeforeValidator(_no_boolean)
"""YAML's ``yes`` and ``true`` are no numbers, though Python takes them for 1."""
Endpoint = Annotated[str, Field(min_length=1), AfterValidator(_endpoint)]
Address = Annotated[str, AfterValidator(_address)]
