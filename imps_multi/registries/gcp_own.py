"""The process's own Google identity, found as Google's tools find it: a file that is named, gcloud's, or the machine's.

Looked for anew at every mint, in a thread: a file may have been rotated. What it names is the operator's own word, so
it passes no guard. Feeds the Google provider.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from imps_multi.ports import Invalid, Transient, Unauthorized
from imps_multi.registries.gcp_credentials import CredentialFileError, Credentials, read

MAX_FILE_BYTES: Final = 64 << 10
_CALL: Final = "the process's own Google identity"
_METADATA_HOST: Final = "metadata.google.internal"
_TOKEN_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105  # a path of the server
FLAVOR: Final = {"metadata-flavor": "Google"}
"""What is asked with, and what the answer must show: nobody else's server is one by chance."""


class Machine(Struct, frozen=True):
    """The metadata server of a virtual machine, or of GKE with workload identity."""

    token_url: str


def own_identity(environment: Mapping[str, str]) -> Credentials | Machine:
    """Find the process's own identity; blocks. Raises Unauthorized, Transient, Invalid."""
    named = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    path = Path(named) if named else _gcloud_file(environment)
    if path is not None:
        try:
            return read(read_file(path, _CALL))
        except CredentialFileError as error:
            raise Invalid(f"{_CALL}: its file {error}") from None
    if environment.get("NO_GCE_CHECK", "").lower() == "true":
        raise Unauthorized(f"{_CALL}: there is none (no GOOGLE_APPLICATION_CREDENTIALS, and NO_GCE_CHECK is set)")
    host = environment.get("GCE_METADATA_HOST") or environment.get("GCE_METADATA_ROOT") or _METADATA_HOST
    return Machine(f"http://{host}{_TOKEN_PATH}")


def read_file(path: Path, call: str) -> bytes:
    """Read a small file; blocks, but never on what is no file. Raises Transient, Invalid."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Invalid(f"{call}: what should be a file is none")
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Transient(f"{call}: its file cannot be read ({type(error).__name__})") from None
    if len(content) > MAX_FILE_BYTES:
        raise Invalid(f"{call}: its file is larger than {MAX_FILE_BYTES >> 10} KiB")
    return content


def _gcloud_file(environment: Mapping[str, str]) -> Path | None:
    """Return what ``gcloud auth application-default login`` has left, if anything."""
    named = environment.get("CLOUDSDK_CONFIG")
    home = Path(named) if named else Path(environment.get("HOME", "/"), ".config", "gcloud")
    path = home / "application_default_credentials.json"
    try:
        return path if path.is_file() else None
    except OSError:  # a home that this user may not look into
        return None
