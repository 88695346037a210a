"""A source Secret of an OAuth2 client: which token endpoint, who asks for what, under which registries the token goes.

Pure. Fed by the catalogue; the request it makes is read by the OAuth2 provider alone. White space around a value is
dropped in every key, since all of them are pasted.
"""

from typing import Final

from imps_multi.model.credential import MintSource
from imps_multi.model.hub import SourceSecret
from imps_multi.registries.guard import guarded
from imps_multi.registries.minted_fields import known_keys, mint_source, registries
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, matching, required, text

PROVIDER: Final = "oauth2"
OAUTH2_TYPE: Final = "imps-multi.io/oauth2"
DOCUMENTED_LIFE: Final = 12 * 3600.0
"""What bounds a token's life, doubled: twelve hours, in seconds. There is no documentation of every server."""
UNSAID_LIFE: Final = "3600"
"""How long a token is taken to live where neither the answer nor the Secret says so, in seconds."""
USERNAME: Final = "oauth2accesstoken"
LONGEST_LIFE: Final = 86400
HEADER: Final = "header"
BODY: Final = "body"

_TEXT: Final = r"[ -~]{1,4096}"
_TOKEN: Final = r"[!#-\[\]-~]+"  # noqa: S105  # RFC 6749's scope-token
_SHAPES: Final = {
    "clientID": (_TEXT, "a client ID: it holds line ends or other signs"),
    "clientSecret": (_TEXT, "a client secret: it holds line ends or other signs"),
    "scope": (f"{_TOKEN}( {_TOKEN})*", "a list of scopes, with one space between them"),
    "audience": (_TEXT, "an audience: it holds line ends or other signs"),
    "authStyle": (f"{HEADER}|{BODY}", f"{HEADER} or {BODY}"),
    "username": (r"[!-9;-~]{1,255}", "a user name: it holds white space, a colon or other signs"),
    "expiresIn": (r"[1-9][0-9]{1,4}", f"a number of seconds, 10 to {LONGEST_LIFE}"),
}
_DEFAULTS: Final = {"authStyle": HEADER, "username": USERNAME, "expiresIn": UNSAID_LIFE}
_KEYS: Final = frozenset({"tokenURL", "registry", "registries", *_SHAPES})


def oauth2_source(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:  # noqa: ARG001  # nothing of the process's own is used here
    """Interpret an OAuth2 client.

    Raises:
        UnusableSecretError: a key is missing, wrong or not allowed.
    """
    data = secret.data
    remark = known_keys(data, _KEYS)
    url = guarded("tokenURL", required(data, "tokenURL"), endpoints, query=True).url
    for key in ("clientID", "clientSecret"):
        required(data, key)
    given = {key: matching(key, value, *_SHAPES[key]) for key in _SHAPES if (value := text(data, key))}
    request = {"tokenURL": url, **_DEFAULTS, **given}
    if int(request["expiresIn"]) > LONGEST_LIFE:
        raise UnusableSecretError(f"key expiresIn is not {_SHAPES['expiresIn'][1]}")
    under = registries(data)
    if not under:
        raise UnusableSecretError("key registries is missing; it names the hosts that the token logs in to")
    return mint_source(secret, PROVIDER, request, under, remark)
