"""The composition root: where configuration, adapters and actors become one running program."""

from imps_multi.app.commands import run_once, run_service
from imps_multi.app.looking import explain_once, plan_change, plan_once

__all__ = ["explain_once", "plan_change", "plan_once", "run_once", "run_service"]
