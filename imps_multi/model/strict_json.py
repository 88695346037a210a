"""JSON as a source may hold it: read strictly, and written back in one form, so that equal contents are equal bytes.

Pure. What two readers would take differently is refused: a name that stands twice, half of a surrogate pair, a number
that no machine holds. Feeds ``dockerconfig``. It says what is wrong and where, never a value.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

MAX_DEPTH: Final = 64
"""No docker config is nested deeper than a few levels, and no reader's stack is then the limit."""
_BOM: Final = b"\xef\xbb\xbf"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_EXACT: Final = 1 << 53
"""Whole numbers below it are the same as floats, so 1.0 and 1e0 are written as 1."""


class JsonError(ValueError):
    """Why a text is not JSON that can be used. Holds no value."""


class DoubledNameError(JsonError):
    """A name stands twice in one object; ``name`` is not in the message."""

    def __init__(self, name: str) -> None:
        super().__init__("a name stands twice in one object")
        self.name = name


def read_object(content: bytes) -> dict[str, object]:
    """Decode a JSON object.

    Raises:
        JsonError: it is none, or not everything in it can be kept.
    """
    if content.startswith(_BOM):
        raise JsonError("starts with a byte order mark; save it without one")
    try:
        decoded = _decode(content.decode())
    except UnicodeDecodeError:
        raise JsonError("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise JsonError(f"is not a JSON object: {_place(error)}") from None
    except RecursionError:
        raise JsonError(_TOO_DEEP) from None
    except JsonError:
        raise
    except ValueError:  # Python reads no whole number of thousands of digits
        raise JsonError(_TOO_LARGE) from None
    if not isinstance(decoded, dict):
        raise JsonError("is not a JSON object")
    _check(decoded)
    return decoded


def canonical(value: object) -> bytes:
    """Write what ``read_object`` gives: names sorted, no spaces, text as it is."""
    return _encode(value).encode()


_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels"
_TOO_LARGE: Final = "holds a number that is too large"


def _place(error: json.JSONDecodeError) -> str:
    what = "there is more behind its end" if error.msg == "Extra data" else "cannot be read"
    return f"{what} at line {error.lineno}, column {error.colno}"


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        names = [name for name, _ in pairs]
        raise DoubledNameError(next(name for name in names if names.count(name) > 1))
    return decoded


def _no_constant(_: str) -> NoReturn:
    raise JsonError("holds NaN or Infinity, which is no JSON")


def _number(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        raise JsonError(_TOO_LARGE)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _check(document: object) -> None:
    """Look at every text and at the depth, without a stack of calls."""
    level = [document]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [inner for value in level for inner in _inside(value)]
    raise JsonError(_TOO_DEEP)


def _inside(value: object) -> Iterator[object]:
    match value:
        case dict():
            for name, inner in value.items():
                _whole(name)
                yield inner
        case list():
            yield from value
        case str():
            _whole(value)


def _whole(text: str) -> None:
    if _SURROGATE.search(text):
        raise JsonError("holds half of a surrogate pair, which is no character")


_decode: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_number).decode
_encode: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
