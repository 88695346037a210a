"""What there is to try while everything stays up, as lines to copy."""

import shutil
import sys
from pathlib import Path

from imps_multi.demo.scenery import CLUSTERS, POLICY, SECRET
from imps_multi.demo.stage import Stage

__all__ = ["invitation"]


def invitation(stage: Stage) -> list[str]:
    """Return lines to copy from, for whoever wants to try things while it runs."""
    program, kubectl = _program(), f"kubectl --kubeconfig {stage.kubeconfig.name} --context {CLUSTERS[0]}"
    return [
        "Everything stays up until Ctrl-C, and is removed then. In another terminal:",
        "",
        f"  cd {stage.root}",
        f"  {kubectl} get secrets -A",
        f"  {kubectl} delete secret {SECRET} -n app-01",
        f"  {kubectl} label namespace infra-01 images=private",
        f"  {program} status --watch --url {stage.status_url}",
        f"  {program} plan --explain {CLUSTERS[0]}/app-01",
        f"  {program} doctor",
        f"  {program} sync {POLICY}",
        f"  ${{EDITOR:-vi}} {stage.policy.relative_to(stage.root)}",
        f"  {program} approve ID   # of an edit that is held, as the status shows it",
        f"  less {stage.log.name}",
    ]


def _program() -> str:
    """Return how to call this program from anywhere."""
    if shutil.which("imps-multi") is not None:
        return "imps-multi"
    called = Path(sys.argv[0])
    return str(called.absolute()) if called.name == "imps-multi" else "imps-multi"
