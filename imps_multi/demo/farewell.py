"""What is said at the end: what to try while everything stays up, or where to look when something went wrong.

Pure texts; paths and addresses are handed in.
"""

import sys
from pathlib import Path

from imps_multi.demo.scenery import CLUSTERS, POLICY, SECRET
from imps_multi.demo.stage import Stage

__all__ = ["invitation"]


def invitation(stage: Stage) -> list[str]:
    """Return lines to copy from, for whoever wants to try things while it runs."""
    program, config = _program(), f"--config {stage.config}"
    kubectl = f"kubectl --kubeconfig {stage.kubeconfig} --context {CLUSTERS[0]}"
    return [
        "Everything stays up until Ctrl-C; nothing of it is left behind then. In another terminal:",
        "",
        f"  curl -s {stage.status_url}",
        f"  {kubectl} get secrets -A",
        f"  {kubectl} delete secret {SECRET} -n app-01        # and look again",
        f"  {kubectl} create namespace app-99",
        f"  {program} plan {config}",
        f"  {program} sync {POLICY} {config}",
        f"  {program} approve ID {config}        # after an edit that was held",
        f"  ${{EDITOR:-vi}} {stage.policy}",
        f"  less {stage.log}",
    ]


def _program() -> str:
    """Return how this program was called, where it was by its name."""
    called = sys.argv[0]
    return called if Path(called).name == "imps-multi" else "imps-multi"
