"""The composition root: where configuration, adapters and actors become one running program."""

from imps_multi.app.commands import explain_once, plan_once, run_once, run_service

__all__ = ["explain_once", "plan_once", "run_once", "run_service"]
