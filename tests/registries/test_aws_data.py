"""botocore finds the same hosts with the lean data as with all of it."""

from typing import Any

import botocore.session
import pytest

from imps_multi.registries.aws_data import LeanFiles

REGIONS = ("eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "xx-new-9")


def session(*, lean: bool) -> Any:
    made = botocore.session.get_session()
    if lean:
        made.get_component("data_loader").file_loader = LeanFiles()
    return made


def host(made: Any, service: str, region: str) -> str:
    client = made.create_client(service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    url: str = client.meta.endpoint_url
    client.close()
    return url


@pytest.mark.parametrize("service", ["ecr", "sts"])
def test_every_partition_has_the_hosts_that_it_has_with_all_data(service: str) -> None:
    whole, lean = session(lean=False), session(lean=True)
    assert {one: host(lean, service, one) for one in REGIONS} == {one: host(whole, service, one) for one in REGIONS}


def test_other_services_endpoints_and_the_manuals_are_left_out() -> None:
    loader = session(lean=True).get_component("data_loader")
    (first, *_) = loader.load_data("endpoints")["partitions"]
    assert first["services"].keys() <= {"api.ecr", "ecr", "sts", "sso", "portal.sso", "oidc"}
    assert "documentation" not in loader.load_service_model("ecr", "service-2")["operations"]["GetAuthorizationToken"]
