"""The configuration file's JSON Schema, for editors: ``imps-multi schema config``, and the copy in the repository.

Pure. What no schema can say (one of several forms, environment references) is checked by ``load``.
"""

import json
from typing import Any, Final

from imps_multi.config.model import Configuration
from imps_multi.config.unsupported import RESERVED

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema."""
    schema = Configuration.model_json_schema(by_alias=True)
    assert not set(RESERVED) & set(schema["properties"])
    return {"$schema": DIALECT, "title": "imps-multi configuration", **_tidy(schema)}


def _tidy(schema: Any) -> Any:
    """Drop generated titles, and null where it only stands for "not written"."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidy(item) for key, item in schema.items() if not (key == "title" and isinstance(item, str))}
    choices = kept.get("anyOf", [])
    if {"type": "null"} in choices:
        del kept["anyOf"]
        kept.pop("default", None)
        kept |= next(choice for choice in choices if choice != {"type": "null"})
    return kept


def json_schema_text() -> str:
    """Return the schema as it is printed and committed."""
    return json.dumps(json_schema(), indent=2) + "\n"
