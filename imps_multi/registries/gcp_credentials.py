"""Google's credential files as values: a service account's key, a federation, a login, and whom they impersonate.

Pure. Fed by the source Secret's reader and, for the process's own identity, by the provider. A problem names the field
of the file, never what stands there. Nothing is asked here: which hosts may be asked is the guard's to say.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from imps_multi.model.discreet import Discreet
from imps_multi.registries.pem import broken_parts

UNIVERSE: Final = "googleapis.com"
"""Google's own; another one is a sovereign cloud's."""
TOKEN_URL: Final = f"https://oauth2.{UNIVERSE}/token"
OWN_HOSTS: Final = (
    *(f"{service}.{UNIVERSE}" for service in ("oauth2", "sts", "iamcredentials", "www")),
    "accounts.google.com",  # of keys made before 2018, as www
)
"""The hosts that Google's own credential files name. Only Google, or a network's own DNS, gives them an address."""
DEEPEST: Final = 3
"""How many impersonations may stand within one another: each is a call, and a mint has a time limit."""
_LIVES: Final = range(600, 12 * 3600 + 1)
_HOST: Final = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
_PEM: Final = re.compile(r"\s*-----BEGIN (RSA )?PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END (RSA )?PRIVATE KEY-----\s*")
_IMPERSONATED: Final = re.compile(r"https?://[^/?#]+/v1/projects/-/serviceAccounts/([^/?#:]+):generateAccessToken")


class CredentialFileError(ValueError):
    """What is wrong with a credential file: a phrase that begins with a verb, without any value."""


class ServiceAccountKey(Discreet, frozen=True, tag="service_account"):
    """Signs for itself."""

    email: str
    private_key: str
    key_id: str
    token_url: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "ServiceAccountKey()"


class SubjectFile(Struct, frozen=True, tag="file"):
    """A file of the process that holds the token to exchange; ``field`` of it, where it is JSON."""

    path: str
    field: str = ""


class SubjectUrl(Discreet, frozen=True, tag="url"):
    """An address that gives the token to exchange; the headers may hold a secret."""

    url: str
    headers: Mapping[str, str] = {}
    field: str = ""

    def __repr__(self) -> str:
        """Show nothing."""
        return "SubjectUrl()"


class Federation(Struct, frozen=True, tag="external_account"):
    """Exchanges another provider's token for one of Google's (workload identity federation)."""

    audience: str
    subject_type: str
    token_url: str
    subject: SubjectFile | SubjectUrl


class Login(Discreet, frozen=True, tag="authorized_user"):
    """A person's login, as gcloud leaves it on a developer's machine."""

    client_id: str
    client_secret: str
    refresh_token: str
    token_url: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "Login()"


class Impersonation(Struct, frozen=True):
    """One step on: the service account to become, where that is asked, and for how long (seconds)."""

    email: str
    url: str
    delegates: tuple[str, ...] = ()
    life: int = 3600


class Credentials(Struct, frozen=True):
    """Who begins, and whom that one becomes, in turn. ``universe``: where Google's other services are asked."""

    start: ServiceAccountKey | Federation | Login
    impersonations: tuple[Impersonation, ...] = ()
    universe: str = UNIVERSE


def impersonation_url(email: str, universe: str) -> str:
    """Return where a service account's tokens are asked for."""
    return f"https://iamcredentials.{universe}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"


def read(content: bytes) -> Credentials:
    """Read a credential file.

    Raises:
        CredentialFileError: it is none, or of a kind that is not supported.
    """
    try:
        fields = msgspec.json.decode(content, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CredentialFileError("is not the JSON of a Google credential file") from None
    return _read(fields, DEEPEST)


def _read(fields: Mapping[str, object], depth: int) -> Credentials:
    kind = fields.get("type")
    universe = _text(fields, "universe_domain", UNIVERSE, shape=_HOST).lower()
    match kind:
        case "service_account":
            return Credentials(_service_account(fields), (), universe)
        case "external_account":
            return Credentials(_federation(fields), _named_impersonation(fields), universe)
        case "authorized_user":
            return Credentials(_login(fields), (), universe)
        case "impersonated_service_account" if depth:
            inner = _read(_mapping(fields, "source_credentials"), depth - 1)
            steps = (*inner.impersonations, *_named_impersonation(fields))
            return msgspec.structs.replace(inner, impersonations=steps)
        case _:
            raise CredentialFileError("holds a type of credentials that is not supported")


def _service_account(fields: Mapping[str, object]) -> ServiceAccountKey:
    private_key = _text(fields, "private_key")
    if not _PEM.fullmatch(private_key):
        raise CredentialFileError("has a private_key that is no PEM private key")
    if broken_parts(private_key):
        raise CredentialFileError("has a private_key that is cut short or damaged")
    return ServiceAccountKey(
        email=_text(fields, "client_email", shape=r"[^\s@]+@[^\s@]+"),
        private_key=private_key,
        key_id=_text(fields, "private_key_id", "", shape=r"[!-~]*"),
        token_url=_text(fields, "token_uri", TOKEN_URL),
    )


def _login(fields: Mapping[str, object]) -> Login:
    return Login(
        client_id=_text(fields, "client_id"),
        client_secret=_text(fields, "client_secret"),
        refresh_token=_text(fields, "refresh_token"),
        token_url=_text(fields, "token_uri", TOKEN_URL),
    )


def _federation(fields: Mapping[str, object]) -> Federation:
    subject = _subject(_mapping(fields, "credential_source"))
    return Federation(
        audience=_text(fields, "audience"),
        subject_type=_text(fields, "subject_token_type"),
        token_url=_text(fields, "token_url"),
        subject=subject,
    )


def _subject(source: Mapping[str, object]) -> SubjectFile | SubjectUrl:
    for refused in ("executable", "environment_id", "certificate"):
        if refused in source:
            raise CredentialFileError(
                f"has a credential_source with {refused}, which is not supported; use file or url"
            )
    if "file" in source and "url" in source:
        raise CredentialFileError("has a credential_source with both file and url")
    if "file" in source:
        return SubjectFile(_text(source, "file"), _format(source))
    if "url" not in source:
        raise CredentialFileError("has a credential_source without file or url")
    return SubjectUrl(_text(source, "url"), _headers(source), _format(source))


def _headers(source: Mapping[str, object]) -> dict[str, str]:
    headers = _mapping(source, "headers") if source.get("headers") is not None else {}
    names = [name for name in headers if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name)]
    values = [value for value in headers.values() if not isinstance(value, str) or not value.isprintable()]
    if names or values:
        raise CredentialFileError("has credential_source headers that are no HTTP headers")
    return {name: str(value) for name, value in headers.items()}


def _format(source: Mapping[str, object]) -> str:
    """Return which field of a JSON answer holds the token; empty where the answer is the token itself."""
    form = _mapping(source, "format") if source.get("format") is not None else {}
    match form.get("type", "text"):
        case "text":
            return ""
        case "json":
            return _text(form, "subject_token_field_name")
        case _:
            raise CredentialFileError("has a credential_source format other than text and json")


def _named_impersonation(fields: Mapping[str, object]) -> tuple[Impersonation, ...]:
    """Read whom a file impersonates; the account is read from the address, which is what will be asked."""
    if fields.get("service_account_impersonation_url") is None:
        if fields.get("type") == "impersonated_service_account":
            raise CredentialFileError("lacks service_account_impersonation_url")
        return ()
    url = _text(fields, "service_account_impersonation_url")
    found = _IMPERSONATED.fullmatch(url)
    if found is None:
        raise CredentialFileError("has a service_account_impersonation_url that asks for no service account's token")
    delegates = fields.get("delegates") or []
    if not isinstance(delegates, list) or not all(isinstance(each, str) for each in delegates):
        raise CredentialFileError("has delegates that are no list of texts")
    return (Impersonation(found[1], url, tuple(delegates), _life(fields)),)


def _life(fields: Mapping[str, object]) -> int:
    options = fields.get("service_account_impersonation")
    life = options.get("token_lifetime_seconds", 3600) if isinstance(options, Mapping) else 3600
    if not isinstance(life, int) or life not in _LIVES:
        raise CredentialFileError("has a token_lifetime_seconds that is not within 600 and 43200")
    return life


def _mapping(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise CredentialFileError(f"{'has a ' + name + ' that is no mapping' if name in fields else 'lacks ' + name}")
    return value


def _text(fields: Mapping[str, object], name: str, default: str | None = None, *, shape: str = r"[\s\S]+") -> str:
    value = fields.get(name, default)
    if value is None or value == "" != default:
        raise CredentialFileError(f"lacks {name}")
    if not isinstance(value, str) or not re.fullmatch(shape, value):
        raise CredentialFileError(f"has a {name} that is not what it must be")
    return value
