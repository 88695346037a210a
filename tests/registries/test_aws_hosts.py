"""Registry hosts in every partition."""

import pytest

from imps_multi.registries.aws_hosts import registry_host


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
