"""Keepers: what one holds at rest, what a mint costs after the first, and how many there are of a crowd of sources.

By ways of asking at ECR: keys of the source, a role on top of them, one of the process's profiles. ECR and STS are the
sandbox's, in another process; a whole pass with 50 policies of 40 sources of 3 identities is counted there.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import hub
from benchmarks.findings import Finding
from benchmarks.fleet import Fleet
from benchmarks.machine import CLIENT, pinned
from benchmarks.rounds import compete, quiet

REGIONS = ("eu-west-1", "us-east-1", "ap-south-1")
ROLE = "arn:aws:iam::210987654321:role/pull"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many keepers rest, and how many mints are measured; the crowd."""

    keepers: int = 1000
    mints: int = 100
    policies: int = 50
    sources: int = 40


def run(sizes: Sizes) -> list[Finding]:
    """Measure."""
    held = _asked("rest", str(sizes.keepers))["each"]
    loaded = _asked("imported")["loaded"]
    found = [
        _finding(f"kB per keeper at rest, of {sizes.keepers:,}", held / 1000, "", 1, 50),
        _finding("clouds' libraries loaded before the first mint", len(loaded), "", 0, 0, ", ".join(loaded)),
    ]
    with Fleet(clusters=1, namespaces=1, ecr=True) as fleet, tempfile.TemporaryDirectory() as directory:
        profiles = _profiles(fleet.ecr, Path(directory))
        found += [_cpu(way, request, sizes.mints, profiles) for way, request in _ways(fleet.ecr).items()]
        return found + _crowd(fleet, Path(directory), sizes)


def _cpu(way: str, request: dict[str, str], number: int, profiles: Path) -> Finding:
    cost = _asked("mint", str(number), json.dumps(request), AWS_SHARED_CREDENTIALS_FILE=str(profiles))
    note = f"the first {cost['first'] * 1000:.0f} ms, with the library's import"
    return _finding(f"CPU of a mint after the first, by {way}", cost["each"] * 1000, "ms", 2, 5, note)


def _ways(ecr: dict[str, str]) -> dict[str, dict[str, str]]:
    where = {"region": "eu-west-1", "ecrEndpointURL": ecr["url"], "stsEndpointURL": ecr["url"]}
    keys = where | {"accessKeyID": ecr["accessKeyID"], "secretKey": ecr["secretAccessKey"]}
    return {"keys": keys, "a role": keys | {"roleArn": ROLE}, "a profile": where | {"profile": "pull"}}


def _profiles(ecr: dict[str, str], directory: Path) -> Path:
    """Write a profile, as the process has them."""
    path = directory / "credentials"
    keys = {"aws_access_key_id": ecr["accessKeyID"], "aws_secret_access_key": ecr["secretAccessKey"]}
    path.write_text("\n".join(["[pull]", *(f"{key}={value}" for key, value in keys.items()), ""]), encoding="utf-8")
    return path


def _crowd(fleet: Fleet, directory: Path, sizes: Sizes) -> list[Finding]:
    ours = hub.HubDirectory(directory / "ours", fleet.kubeconfig)
    ours.configure(sources={"endpoints": ["127.0.0.1"]})
    for number in range(sizes.sources):
        ours.put(f"source-{number}", _source(fleet.ecr, number))
    for number in range(sizes.policies):
        one = hub.policy("pull", f"pull-{number}")
        one["metadata"]["name"] = f"policy-{number}"
        named = [{"name": f"source-{of}", "namespace": "registry-access"} for of in range(sizes.sources)]
        one["spec"]["registry"]["credentials"] = named
        ours.put(f"policy-{number}", one)
    what = f"{sizes.policies} policies of {sizes.sources} sources of {len(REGIONS)} identities"
    before = _mints(fleet)
    compete("ours", "once", str(ours.config))
    minted = _mints(fleet)
    compete("ours", "once", str(ours.config))
    return [
        Finding(workload="keepers", what=f"mints for {what}", value=minted - before, digits=0, exactly=len(REGIONS)),
        Finding(workload="keepers", what="mints at a restart", value=_mints(fleet) - minted, digits=0, exactly=0),
    ]


def _source(ecr: dict[str, str], number: int) -> dict[str, Any]:
    keys = {"accessKeyID": ecr["accessKeyID"], "secretKey": ecr["secretAccessKey"], "ecrEndpointURL": ecr["url"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"source-{number}", "namespace": "registry-access"},
        "type": "banzaicloud.io/aws-ecr-login-config",
        "stringData": {"region": REGIONS[number % len(REGIONS)], "accountID": f"{number:012}", **keys},
    }


def _mints(fleet: Fleet) -> int:
    mints: int = fleet.ask("/ecr")["calls"].get("GetAuthorizationToken", 0)
    return mints


def _asked(*arguments: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.contenders.keeping", *arguments]
    with pinned(CLIENT):
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, stdout=subprocess.PIPE, text=True, timeout=300, check=True, env=quiet() | environment
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _finding(what: str, value: float, unit: str, digits: int, at_most: float, note: str = "") -> Finding:
    return Finding(workload="keepers", what=what, value=value, unit=unit, digits=digits, at_most=at_most, note=note)
