"""botocore finds the same hosts with the lean data as with all of it."""

from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from imps_multi.registries.aws_data import LeanFiles

REGIONS = ("eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "xx-new-9")


def session(*, lean: bool) -> Any:
    made = botocore.session.get_session()
    if lean:
        made.get_component("data_loader").file_loader = LeanFiles()
    return made


def host(made: Any, service: str, region: str, **variant: bool) -> str:
    client = made.create_client(
        service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b", config=Config(**variant)
    )
    url: str = client.meta.endpoint_url
    client.close()
    return url


@pytest.mark.parametrize("service", ["ecr", "ecr-public", "sts"])
@pytest.mark.parametrize("variant", [{}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}])
def test_every_partition_has_the_hosts_that_it_has_with_all_data(service: str, variant: dict[str, bool]) -> None:
    whole, lean = session(lean=False), session(lean=True)
    for region in REGIONS:
        assert host(lean, service, region, **variant) == host(whole, service, region, **variant)


def test_other_services_endpoints_and_the_manuals_are_left_out() -> None:
    loader = session(lean=True).get_component("data_loader")
    (first, *_) = loader.load_data("endpoints")["partitions"]
    assert first["services"].keys() <= {"api.ecr", "api.ecr-public", "ecr", "sts", "sso", "portal.sso", "oidc"}
    assert "documentation" not in loader.load_service_model("ecr", "service-2")["operations"]["GetAuthorizationToken"]
