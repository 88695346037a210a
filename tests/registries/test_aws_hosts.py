"""Registry hosts in every partition."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from imps_multi.registries.aws_hosts import ENDPOINTS, registry_host


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("eu-west-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
        ("eusc-de-east-1", "amazonaws.eu"),
        ("cn-future-7", "amazonaws.com.cn"),
        ("moon-base-1", "amazonaws.com"),
    ],
)
def test_the_host_follows_the_partition_of_the_region(region: str, suffix: str) -> None:
    assert registry_host("123456789012", region) == f"123456789012.dkr.ecr.{region}.{suffix}"


@pytest.mark.parametrize(
    ("endpoint", "region", "rest"),
    [
        ("fips", "us-east-1", "dkr.ecr-fips.us-east-1.amazonaws.com"),
        ("fips", "us-gov-west-1", "dkr.ecr-fips.us-gov-west-1.amazonaws.com"),
        ("fips", "us-iso-east-1", "dkr.ecr-fips.us-iso-east-1.c2s.ic.gov"),
        ("dualstack", "eu-west-1", "dkr-ecr.eu-west-1.on.aws"),
        ("dualstack", "us-gov-west-1", "dkr-ecr.us-gov-west-1.on.aws"),
        ("dualstack", "cn-north-1", "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"),
        ("dualstack", "eusc-de-east-1", "dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu"),
        ("dualstack", "us-iso-east-1", "dkr-ecr.us-iso-east-1.on.aws.ic.gov"),
        ("dualstack", "us-isob-east-1", "dkr-ecr.us-isob-east-1.on.aws.scloud"),
        ("dualstack", "eu-isoe-west-1", "dkr-ecr.eu-isoe-west-1.on.cloud-aws.adc-e.uk"),
        ("dualstack", "us-isof-south-1", "dkr-ecr.us-isof-south-1.on.aws.hci.ic.gov"),
        ("fips-dualstack", "us-east-2", "dkr-ecr-fips.us-east-2.on.aws"),
        ("fips-dualstack", "us-gov-east-1", "dkr-ecr-fips.us-gov-east-1.on.aws"),
    ],
)
def test_fips_and_dual_stack_endpoints_have_hosts_of_their_own(endpoint: str, region: str, rest: str) -> None:
    assert registry_host("123456789012", region, ENDPOINTS[endpoint]) == f"123456789012.{rest}"


PAGE = Path(__file__).parents[2] / "docs" / "registries" / "ecr.md"
ROW = re.compile(r"\| `([a-z-]+)` \| `([a-z0-9-]+)`, … \| `([a-z0-9.-]+)` \| `([a-z0-9.-]+)` \|")


def test_the_documented_endings_are_those_of_every_region_of_every_partition() -> None:
    """A partition that botocore learns of is missing here, and then there."""
    data = json.loads((files("botocore") / "data" / "partitions.json").read_text())
    regions = {each["id"]: [one for one in each["regions"] if "global" not in one] for each in data["partitions"]}
    documented = {name: (first, plain, dual) for name, first, plain, dual in ROW.findall(PAGE.read_text())}
    assert documented.keys() == regions.keys()
    for name, (first, plain, dual) in documented.items():
        assert first in regions[name]
        for region in regions[name]:
            assert registry_host("1", region) == f"1.dkr.ecr.{region}.{plain}"
            assert registry_host("1", region, ENDPOINTS["dualstack"]) == f"1.dkr-ecr.{region}.{dual}"
