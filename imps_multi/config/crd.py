"""The custom resource definition, as ``imps-multi crd`` prints it: the one copy is packaged beside this module."""

from importlib.resources import files


def crd_text() -> str:
    """Return the manifest."""
    return files("imps_multi.config").joinpath("crd.yaml").read_text(encoding="utf-8")
