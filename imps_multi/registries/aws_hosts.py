"""Which host an ECR registry has: from botocore's partition data, without importing botocore.

Reads one data file, once, when it is asked to. Feeds the interpretation of ECR sources.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

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


RegistryHost = Callable[[str, str], RegistryKey]
"""Gives the host of an account's registry in a region."""


def registry_hosts() -> RegistryHost:
    """Read the partitions. A region that is in none of them is taken for one of the first, as botocore does."""
    partitions = msgspec.json.decode(_data_file().read_bytes(), type=_Partitions).partitions

    def host(account: str, region: str) -> RegistryKey:
        named = (partition for partition in partitions if region in partition.regions)
        alike = (partition for partition in partitions if re.search(partition.region_regex, region))
        partition = next(named, None) or next(alike, partitions[0])
        return RegistryKey(f"{account}.dkr.ecr.{region}.{partition.outputs.dns_suffix}")

    return host


def _data_file() -> Path:
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("botocore, a dependency of this package, is not installed")
    return Path(spec.origin).parent / "data" / "partitions.json"
