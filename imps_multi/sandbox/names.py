"""What a name, a label and an annotation may look like, by the rules of k8s.io/apimachinery `pkg/util/validation`.

Pure; each function returns the complaints, none for a good value. Used where objects and selectors are checked.
"""

import re

__all__ = [
    "annotation_key_faults",
    "dns_label_faults",
    "dns_subdomain_faults",
    "label_key_faults",
    "label_value_faults",
]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_MAX_LABEL = 63
_MAX_SUBDOMAIN = 253


def dns_label_faults(value: str) -> list[str]:
    """Check an RFC 1123 label."""
    faults = [f"must be no more than {_MAX_LABEL} characters"] if len(value) > _MAX_LABEL else []
    if not _LABEL.fullmatch(value):
        faults.append("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'")
    return faults


def dns_subdomain_faults(value: str) -> list[str]:
    """Check an RFC 1123 subdomain."""
    faults = [f"must be no more than {_MAX_SUBDOMAIN} characters"] if len(value) > _MAX_SUBDOMAIN else []
    if not _SUBDOMAIN.fullmatch(value):
        faults.append("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'")
    return faults


def label_key_faults(key: str) -> list[str]:
    """Check a qualified name: an optional subdomain and a slash, then a name."""
    prefix, slash, name = key.rpartition("/")
    faults = [f"prefix part {each}" for each in dns_subdomain_faults(prefix)] if slash else []
    if len(name) > _MAX_LABEL:
        faults.append(f"name part must be no more than {_MAX_LABEL} characters")
    if not _QUALIFIED.fullmatch(name):
        faults.append("name part must consist of alphanumeric characters, '-', '_' or '.'")
    return faults


def annotation_key_faults(key: str) -> list[str]:
    """Check an annotation's key, whose prefix may be in capitals."""
    return label_key_faults(key.lower())


def label_value_faults(value: str) -> list[str]:
    """Check a label's value, which may be empty."""
    faults = [f"must be no more than {_MAX_LABEL} characters"] if len(value) > _MAX_LABEL else []
    if value and not _QUALIFIED.fullmatch(value):
        faults.append("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'")
    return faults
