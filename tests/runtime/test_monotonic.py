import anyio
import pytest

from imps_multi.runtime.monotonic import current_time

pytestmark = pytest.mark.anyio


async def test_the_time_is_anyios_on_every_backend() -> None:
    before = anyio.current_time()
    assert before <= current_time() <= anyio.current_time()
