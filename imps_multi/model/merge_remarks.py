"""What is worth saying of a policy's sources taken together, though nothing is wrong: overlaps, and great size.

Pure; reads the sources as resolved, never a value. ``readiness`` adds it to what a policy says of itself.
"""

from collections.abc import Sequence

from imps_multi.model.credential import SourceState
from imps_multi.model.dockerconfig import LARGE_SECRET_BYTES, MAX_SECRET_BYTES, merge, render
from imps_multi.model.payload import merge_source_settings


def merge_remarks(sources: Sequence[SourceState]) -> list[str]:
    """Name each entry and setting that lost to an earlier source, and the size of an unusually large merged Secret."""
    merged = merge([source.entries for source in sources])
    remarks = [
        f"{sources[lost.index].ref} names {lost.registry} too, which an earlier source gives"
        for lost in merged.overlaps
    ]
    settings = merge_source_settings(sources)
    remarks += [
        f"{sources[index].ref} has {setting.shown} too, which an earlier source decides"
        for setting, index in settings.lost
    ]
    size = len(render(merged.entries, settings.kept))
    if LARGE_SECRET_BYTES < size <= MAX_SECRET_BYTES:
        remarks.append(f"the merged Secret is large: {size >> 10} KiB, in every namespace")
    return remarks


def too_large(sources: Sequence[SourceState]) -> bool:
    """Say whether an API server would refuse the merged Secret for its size."""
    entries = merge([source.entries for source in sources]).entries
    return len(render(entries, merge_source_settings(sources).kept)) > MAX_SECRET_BYTES
