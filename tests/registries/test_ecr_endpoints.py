"""Which host each call goes to, seen by a proxy that connects to none."""

from collections.abc import Iterator

import anyio
import pytest

from imps_multi.model.credential import MintSource
from imps_multi.ports import Transient
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule

from .connect_proxy import connect_proxy
from .fake_aws import fake_aws
from .secrets import KEYS, MARK, ROLE, ecr, listed

pytestmark = pytest.mark.anyio


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with connect_proxy() as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        yield asked


async def mint(**data: str) -> None:
    source = interpreter(ambient=AmbientRule(), endpoints=("127.0.0.1",))(ecr(**KEYS, **data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        await EcrProvider(lambda: 0.0, listed).mint(source.identity)


@pytest.mark.parametrize(
    ("data", "host"),
    [
        ({}, "api.ecr.eu-west-1.amazonaws.com"),
        ({"region": "us-east-1", "endpoint": "fips"}, "api.ecr-fips.us-east-1.amazonaws.com"),
        ({"endpoint": "dualstack"}, "ecr.eu-west-1.api.aws"),
        ({"region": "cn-north-1", "endpoint": "dualstack"}, "ecr.cn-north-1.api.amazonwebservices.com.cn"),
        ({"region": "us-gov-west-1", "endpoint": "fips-dualstack"}, "ecr-fips.us-gov-west-1.api.aws"),
        ({"region": "eusc-de-east-1"}, "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ({"region": "us-gov-east-1"}, "api.ecr.us-gov-east-1.amazonaws.com"),
        ({"region": "cn-northwest-1"}, "api.ecr.cn-northwest-1.amazonaws.com.cn"),
        ({"region": "us-iso-east-1"}, "api.ecr.us-iso-east-1.c2s.ic.gov"),
        ({"region": "us-isob-east-1"}, "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ({"region": "eu-isoe-west-1"}, "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ({"region": "us-isof-south-1"}, "api.ecr.us-isof-south-1.csp.hci.ic.gov"),
        ({"public": "true"}, "api.ecr-public.us-east-1.amazonaws.com"),
        ({"public": "true", "endpoint": "dualstack"}, "ecr-public.us-east-1.api.aws"),
        ({"roleArn": ROLE, "region": "us-east-1", "endpoint": "fips"}, "sts-fips.us-east-1.amazonaws.com"),
        ({"roleArn": ROLE, "endpoint": "dualstack"}, "sts.eu-west-1.api.aws"),
        ({"roleArn": ROLE, "region": "cn-north-1"}, "sts.cn-north-1.amazonaws.com.cn"),
        ({"roleArn": ROLE, "region": "eusc-de-east-1"}, "sts.eusc-de-east-1.amazonaws.eu"),
        ({"roleArn": ROLE, "region": "us-isob-east-1"}, "sts.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
async def test_each_call_goes_to_the_host_of_its_endpoint(asked: list[str], data: dict[str, str], host: str) -> None:
    with pytest.raises(Transient):
        await mint(**data)
    assert asked == [f"{host}:443"]


async def test_the_process_s_own_choice_of_endpoint_stands_where_a_source_makes_none(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    with pytest.raises(Transient):
        await mint(region="us-east-1")
    assert asked == ["api.ecr-fips.us-east-1.amazonaws.com:443"]


@pytest.mark.parametrize("endpoint", ["fips", "dualstack", "fips-dualstack"])
async def test_a_url_goes_before_the_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_aws(AKIDEXAMPLE=MARK) as aws:
        await mint(endpoint=endpoint, ecrEndpointURL=aws.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", aws.url)
        await mint(endpoint=endpoint)
        assert aws.count("ecr") == 2
