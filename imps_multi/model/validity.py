"""What Kubernetes accepts as a name, a label and an annotation, so that a write never fails for it.

Pure. Each function returns None for a valid text, else a sentence part that says what is wrong. The rules are
apimachinery's (``util/validation``). Used by the parsers of manifests and of the configuration file.
"""

import re
from typing import Final

DNS_LABEL_SIZE: Final = 63
DNS_SUBDOMAIN_SIZE: Final = 253
ANNOTATIONS_SIZE: Final = 256 * 1024
"""All annotations of an object together, keys and values, in bytes."""

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN: Final = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_NAME_PART: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_RULE: Final = (
    'may have lower case letters, digits, "-" and "." only, and starts and ends with a letter or digit'
)


def dns_label_problem(text: str) -> str | None:
    """Check a namespace name."""
    if len(text) > DNS_LABEL_SIZE:
        return f"has {len(text)} characters; at most {DNS_LABEL_SIZE} are allowed"
    if _DNS_LABEL.fullmatch(text) is None:
        return 'may have lower case letters, digits and "-" only, and starts and ends with a letter or digit'
    return None


def dns_subdomain_problem(text: str) -> str | None:
    """Check the name of a Secret or of a policy."""
    if len(text) > DNS_SUBDOMAIN_SIZE:
        return f"has {len(text)} characters; at most {DNS_SUBDOMAIN_SIZE} are allowed"
    return None if _DNS_SUBDOMAIN.fullmatch(text) is not None else _SUBDOMAIN_RULE


def source_name_problem(text: str) -> str | None:
    """Check the name of a source in a policy: one that no Secret can have names none, and IMPS then goes by the others.

    So this refuses only what nobody could read in a message.
    """
    if not (text and text.isascii() and text.isprintable()):
        return "it is empty, or has signs that cannot be shown"
    return dns_subdomain_problem(text) if len(text) > DNS_SUBDOMAIN_SIZE else None


def label_key_problem(key: str) -> str | None:
    """Check the key of a label: ``name`` or ``domain/name``."""
    prefix, slash, name = key.rpartition("/")
    if slash and dns_subdomain_problem(prefix) is not None:
        return f'the part before "/" {dns_subdomain_problem(prefix)}'
    if not name:
        return "the name is empty"
    if len(name) > DNS_LABEL_SIZE:
        return f"the name has {len(name)} characters; at most {DNS_LABEL_SIZE} are allowed"
    if _NAME_PART.fullmatch(name) is None:
        return 'may have letters, digits, "-", "_" and "." only, and starts and ends with a letter or digit'
    return None


def annotation_key_problem(key: str) -> str | None:
    """Check the key of an annotation: as a label's, but its domain may have capitals."""
    return label_key_problem(key.lower())


def label_value_problem(value: str) -> str | None:
    """Check the value of a label."""
    if len(value) > DNS_LABEL_SIZE:
        return f"has {len(value)} characters; at most {DNS_LABEL_SIZE} are allowed in a label's value"
    if value and _NAME_PART.fullmatch(value) is None:
        return (
            'a label\'s value may have letters, digits, "-", "_" and "." only, and starts and ends with a letter or '
            "digit"
        )
    return None
