"""A cluster as simple as can be: namespaces, Secrets, one growing version, and what a watch would tell of them.

Writes that were planned on what is not so any more are refused as an API server refuses them. Feeds the tests that let
anything happen between a plan and its write.
"""

from copy import deepcopy

from msgspec import structs

from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import (
    NamespaceGone,
    NamespaceRecord,
    NamespaceSeen,
    NamespacesReplaced,
    SecretGone,
    SecretSeen,
    SecretsReplaced,
    SeenSecret,
    WatchEvent,
)
from imps_multi.model.target_plan import Create, Delete, TargetPlan, Update
from tests.model.objects import Object, carry_out, metadata_of, observe

Key = tuple[NamespaceName, SecretName]


class RefusedError(Exception):
    """The API server refuses a write; its text is the reason."""


class NaiveCluster:
    """What is there, and ``told``: what the watches have not delivered yet."""

    def __init__(self) -> None:
        self.version = 100
        self.spaces: dict[NamespaceName, NamespaceRecord] = {}
        self.secrets: dict[Key, Object] = {}
        self.told: list[WatchEvent] = []

    # what anybody does

    def set_space(self, record: NamespaceRecord) -> None:
        """Make or change a namespace."""
        self.spaces[record.name] = structs.replace(record, resource_version=self._next())
        self.told.append(NamespaceSeen(self.spaces[record.name]))

    def end_space(self, name: NamespaceName) -> None:
        """Take a namespace away with everything in it."""
        for key in [key for key in self.secrets if key[0] == name]:
            self.remove(key)
        del self.spaces[name]
        self.told.append(NamespaceGone(name, self._next()))

    def add(self, key: Key, found: Object) -> None:
        """Make a Secret where none is, under a uid of its own."""
        assert key not in self.secrets
        place = {"namespace": key[0], "name": key[1], "uid": f"uid-{self.version + 1}"}
        self._store(key, {**found, "metadata": {**metadata_of(found), **place}})

    def change(self, key: Key, found: Object) -> None:
        """Put something else in a Secret's place; its uid stays."""
        uid = metadata_of(self.secrets[key])["uid"]
        self._store(key, {**found, "metadata": {**metadata_of(found), "uid": uid}})

    def remove(self, key: Key) -> None:
        """Delete a Secret."""
        del self.secrets[key]
        self.told.append(SecretGone(*key, self._next()))

    # what we do

    def write(self, plan: TargetPlan) -> Object | None:
        """Carry out a planned write; return what lies there then.

        Raises:
            RefusedError: it was planned on something else than what is there.
        """
        key = plan.namespace, plan.name
        record, found = self.spaces.get(plan.namespace), self.secrets.get(key)
        if record is None or record.terminating:
            raise RefusedError("NamespaceTerminating")
        match plan.write:
            case Create():
                if found is not None:
                    raise RefusedError("AlreadyExists")
            case Update(resource_version=version) | Delete(resource_version=version):
                if found is None:
                    raise RefusedError("NotFound")
                if str(version) != metadata_of(found)["resourceVersion"]:
                    raise RefusedError("Conflict")
        after = carry_out(deepcopy(found), plan)
        if after is None:
            self.remove(key)
        elif found is None:
            self.add(key, after)
        else:
            self.change(key, after)
        return self.secrets.get(key)

    # what a watch tells

    def lists(self) -> list[WatchEvent]:
        """Return everything as whole lists; what was to be told before is told by them."""
        self.told.clear()
        names = {SecretName(name) for name in ("pull", "second")}
        return [
            NamespacesReplaced(tuple(self.spaces.values()), self.version),
            *(SecretsReplaced(name, self._seen(name), self.version) for name in sorted(names)),
        ]

    def _seen(self, name: SecretName) -> tuple[tuple[NamespaceName, SeenSecret], ...]:
        looks = ((key[0], observe(found)) for key, found in self.secrets.items() if key[1] == name)
        return tuple((space, seen) for space, seen in looks if seen is not None)

    def _store(self, key: Key, found: Object) -> None:
        self.secrets[key] = {**found, "metadata": {**metadata_of(found), "resourceVersion": str(self._next())}}
        seen = observe(self.secrets[key])
        assert seen is not None
        self.told.append(SecretSeen(*key, seen))

    def _next(self) -> int:
        self.version += 1
        return self.version
