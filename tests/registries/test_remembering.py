"""Each Secret is read once, and forgotten with it."""

import gc

from imps_multi.model.credential import Interpretation, SourceFault
from imps_multi.model.hub import SourceSecret
from imps_multi.registries.remembering import Remembering

from .secrets import source


def test_a_secret_is_read_once_and_an_equal_one_for_itself() -> None:
    read: list[SourceSecret] = []

    def interpret(secret: SourceSecret) -> Interpretation:
        read.append(secret)
        return SourceFault(str(len(read)))

    remembering = Remembering(interpret)
    one, other = source("Opaque", {}), source("Opaque", {})
    assert [remembering(each) for each in (one, other, one, other)] == [SourceFault(text) for text in "1212"]
    assert len(read) == 2


def test_what_a_deleted_secret_gave_is_forgotten_with_it() -> None:
    remembering = Remembering(lambda secret: SourceFault(secret.type))
    kept, gone = source("kept", {}), source("gone", {})
    for each in (kept, gone):
        remembering(each)
    del each, gone
    gc.collect()
    assert len(remembering) == 1
    assert [remembering(source(str(number), {})) for number in range(50)] == [
        SourceFault(str(number)) for number in range(50)
    ]
    assert remembering(kept) == SourceFault("kept")
