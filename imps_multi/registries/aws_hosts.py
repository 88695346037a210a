"""Which host an ECR registry has: from botocore's partition data, without importing botocore.

Reads one small data file while it is imported, so that nothing is read on the loop. Feeds the interpretation of ECR
sources.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from imps_multi.model.names import RegistryKey


class _Outputs(msgspec.Struct, frozen=True, rename="camel"):
    dns_suffix: str


class _Partition(msgspec.Struct, frozen=True, rename="camel"):
    outputs: _Outputs
    region_regex: str
    regions: dict[str, object]


class _Partitions(msgspec.Struct, frozen=True):
    partitions: list[_Partition]


def _read() -> list[_Partition]:
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("botocore, a dependency of this package, is not installed")
    content = (Path(spec.origin).parent / "data" / "partitions.json").read_bytes()
    return msgspec.json.decode(content, type=_Partitions).partitions


_PARTITIONS: Final = _read()


def registry_host(account: str, region: str) -> RegistryKey:
    """Return the host of an account's registry. A region of no partition is taken for one of the first."""
    named = (partition for partition in _PARTITIONS if region in partition.regions)
    alike = (partition for partition in _PARTITIONS if re.search(partition.region_regex, region))
    partition = next(named, None) or next(alike, _PARTITIONS[0])
    return RegistryKey(f"{account}.dkr.ecr.{region}.{partition.outputs.dns_suffix}")
