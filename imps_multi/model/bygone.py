"""Sources that a policy named once: which of them still give what nothing gives that it names now.

Pure. A held registry stays fresh by the source that it came from, and so does one whose new source gives nothing yet;
any other past source is asked no more, however long a cluster is away that still has what it gave. Asked by the
composer, which keeps the tokens.
"""

from collections.abc import Callable

from imps_multi.model.compose import Inputs, interpretation, source_state
from imps_multi.model.credential import MintIdentity, MintSource
from imps_multi.model.policy import Policy


def still_needed(inputs: Inputs, policy: Policy, *, kept: Callable[[str], bool]) -> list[MintIdentity]:
    """Return the identities of past sources that give what was delivered once and is not given now.

    While a present source is asked for the first time nobody knows what it gives: what is ``kept`` then stays so.
    """
    history = inputs.histories.get(policy.name)
    past = [ref for ref in history.refs if ref not in policy.sources] if history is not None else []
    if history is None or not past:
        return []
    states = [source_state(inputs, ref) for ref in policy.sources]
    owed = history.delivered.keys() - {entry.registry for state in states for entry in state.entries}
    waiting = any(state.reason == "Waiting" for state in states)
    found = [source for ref in past if isinstance(source := interpretation(inputs, ref)[0], MintSource)]
    return [
        source.identity
        for source in found
        if not owed.isdisjoint(source.registries or owed) and (not waiting or kept(source.identity.key))
    ]
