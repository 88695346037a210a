"""Pydantic without its plugins: none can change how a configuration is read, and nobody looks for them.

The search reads the metadata of every installed package, a tenth of the time in which ``validate`` is to be done. To be
imported before pydantic. Where a release of pydantic keeps its loader elsewhere, the search just goes on.
"""

import sys
from types import ModuleType
from typing import Final

_LOADER: Final = "pydantic.plugin._loader"


def _no_plugins() -> tuple[()]:
    return ()


if "pydantic" not in sys.modules:
    _loader = ModuleType(_LOADER)
    _loader.get_plugins = _no_plugins  # type: ignore[attr-defined]  # modules take any name
    sys.modules[_LOADER] = _loader
