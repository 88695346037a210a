"""What is worth saying of a policy's sources taken together, though nothing is wrong: overlaps, and great size.

Pure; reads the sources as resolved, never a value. ``readiness`` adds it to what a policy says of itself.
"""

from collections.abc import Sequence

from imps_multi.model.credential import SourceState
from imps_multi.model.dockerconfig import LARGE_SECRET_BYTES, merge, render


def merge_remarks(sources: Sequence[SourceState]) -> list[str]:
    """Name each entry that lost to an earlier source, and the size of a merged Secret that is unusually large."""
    merged = merge([source.entries for source in sources])
    remarks = [
        f"{sources[lost.index].ref} names {lost.registry} too, which an earlier source gives"
        for lost in merged.overlaps
    ]
    size = len(render(merged.entries))
    if size > LARGE_SECRET_BYTES:
        remarks.append(f"the merged Secret is large: {size >> 10} KiB, in every namespace")
    return remarks
