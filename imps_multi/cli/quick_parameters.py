"""Commands whose words are read without pydantic, which typer would load for any option: 0.15 s before the first line.

Knows the kinds of parameters that our commands have: texts, paths, flags, choices, and lists of them. It stands on two
inner classes of typer, whose version is pinned to one minor release.
"""

import enum
from pathlib import Path
from typing import Any, get_args, get_origin

from typer._click import Context, Parameter  # see the module's docstring
from typer._click.exceptions import BadParameter  # as above
from typer._coercion import RuntimeParam  # as above
from typer.core import TyperCommand, TyperGroup


class QuickParameter(RuntimeParam):
    """Reads one parameter's value."""

    def _coerce_value(self, value: Any, param: Any, ctx: Context) -> Any:
        if get_origin(self.annotation) is list:  # type: ignore[comparison-overlap]  # typer declares less than it passes
            (kind,) = get_args(self.annotation)
            return [_read(one, kind, param, ctx) for one in value]
        return _read(value, self.annotation, param, ctx)


class QuickCommand(TyperCommand):
    """A command with quick parameters."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters."""
        return _quick(super().get_params(ctx))


class QuickGroup(TyperGroup):
    """A group with quick parameters."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters."""
        return _quick(super().get_params(ctx))


def _quick(params: list[Any]) -> list[Any]:
    for param in params:
        descriptor = param.type_descriptor
        param._runtime_param = QuickParameter(descriptor.parameter_info, descriptor.annotation)  # noqa: SLF001  # as above
    return params


def _read(value: Any, kind: Any, param: Any, ctx: Context) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(str(choice.value) for choice in kind)
            raise BadParameter(f'"{value}" is not one of {known}.', ctx=ctx, param=param) from None
    if kind in {str, Path}:
        return kind(value)
    raise AssertionError(f"parameters of {kind} are not known here")
