"""Checks configuration files, kubeconfigs and manifests without asking anybody: what ``validate`` knows.

Blocking. Paths in, findings out, every one with its place. No finding shows a value of a Secret. Light to import: a
file's kind decides what is loaded for it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field, structs

from imps_multi.cli.manifest_checks import Finding, Rules, check_manifests
from imps_multi.hubs.manifest_files import manifest_paths, read_file, stable_content, why
from imps_multi.hubs.manifests import Manifest, ManifestFile, read_manifests
from imps_multi.marked_yaml import Document, Unreadable, legible
from imps_multi.model.hub import Place
from imps_multi.model.names import POLICY_KIND

if TYPE_CHECKING:
    from imps_multi.config.load import Loaded

STDIN: Final = "-"
"""Stands for manifests that are piped in; a configuration's paths need a file to resolve against."""
CONFIG_FIELDS = frozenset({"hub", "clusters", "defaults", "defaultclusters", "safety", "telemetry", "coordination"})
"""Names at the top of a configuration, in small letters: one in other letters is a mistake that is to be told."""


class Checked(Struct, frozen=True):
    """What was found, and what was looked at."""

    findings: tuple[Finding, ...]
    files: int = 0
    configurations: int = 0
    policies: int = 0
    sources: int = 0

    @property
    def fine(self) -> bool:
        """Whether there is no error."""
        return all(finding.warning for finding in self.findings)


class _Gathered(Struct):
    """What the given paths hold, sorted by kind."""

    findings: list[Finding] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)
    configurations: list["Loaded"] = field(default_factory=list)
    rests: list["Loaded"] = field(default_factory=list)
    """What is right of the configurations that are not."""
    seen: set[Path] = field(default_factory=set)
    """Resolved paths of what was looked at, so that nothing counts twice."""
    as_configurations: set[Path] = field(default_factory=set)
    """Those of them that are configurations."""
    files: int = 0
    invalid: int = 0
    """How many configurations were not valid."""

    def is_new(self, path: Path) -> bool:
        """Tell whether a file or directory was not looked at yet, and take note of it."""
        known = _real(path) in self.seen
        self.seen.add(_real(path))
        return not known


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))  # Path.resolve raises for links that go round in a circle
    except OSError:  # the working directory is gone
        return path


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or nobody may look there: opening it says so
        return False


def check(paths: Sequence[Path], environment: Mapping[str, str]) -> Checked:
    """Check everything that the paths name, and what the configurations among them point to."""
    gathered = _Gathered()
    for path in paths:
        if str(path) == STDIN:
            _stdin(gathered)
        elif _is_directory(path):
            _directory(gathered, path, lambda file: _file(gathered, file, environment))
        else:
            _file(gathered, path, environment)
    for loaded in (*gathered.configurations, *gathered.rests):
        _hub(gathered, loaded)
        gathered.findings += _audit_log(loaded)
    only = gathered.configurations[0] if len(gathered.configurations) == 1 else None
    gathered.findings += check_manifests(gathered.manifests, rules_of(only))
    policies = sum(manifest.object.kind == POLICY_KIND for manifest in gathered.manifests)
    return Checked(
        findings=tuple(sorted(set(gathered.findings))),
        files=gathered.files,
        configurations=len(gathered.configurations) + gathered.invalid,
        policies=policies,
        sources=len(gathered.manifests) - policies,
    )


def _directory(gathered: _Gathered, path: Path, look: Callable[[Path], None]) -> None:
    if not gathered.is_new(path):
        return
    try:
        paths = manifest_paths(path)
    except OSError as error:
        gathered.findings.append(Finding(Place(str(path)), f"cannot be read: {why(error)}"))
        return
    if not paths:
        message = "holds no manifest: there is no *.yaml, *.yml or *.json directly in it"
        gathered.findings.append(Finding(Place(str(path)), message))
    for file in paths:
        look(file)


def _manifest_file(gathered: _Gathered, path: Path) -> None:
    if gathered.is_new(path):
        gathered.files += 1
        _manifests(gathered, read_file(path))
    elif _real(path) in gathered.as_configurations:
        message = "lies in the hub's directory and is no manifest; move it elsewhere"
        gathered.findings.append(Finding(Place(str(path), 1, 1), message))


def piped_in() -> ManifestFile:
    """Read the manifests that come by standard input."""
    return read_manifests(sys.stdin.buffer.read(), "stdin")


def _stdin(gathered: _Gathered) -> None:
    if gathered.is_new(Path(STDIN)):
        gathered.files += 1
        _manifests(gathered, piped_in())


def _file(gathered: _Gathered, path: Path, environment: Mapping[str, str]) -> None:
    if not gathered.is_new(path):
        return
    gathered.files += 1
    try:
        content = stable_content(path)
        found, mistakes = legible(content, str(path))
    except OSError as error:
        gathered.findings.append(Finding(Place(str(path)), f"cannot be read: {why(error)}"))
    except Unreadable as error:
        gathered.findings += [Finding(mistake.place, mistake.message) for mistake in error.mistakes]
    else:
        if _is_kubeconfig(found) and not mistakes:
            gathered.findings += _kubeconfig(path, found[0])
        elif _is_kubeconfig(found):
            gathered.findings += [Finding(mistake.place, mistake.message) for mistake in mistakes]
        elif _is_configuration(found):
            gathered.as_configurations.add(_real(path))
            _configuration(gathered, path, environment)
        else:
            _manifests(gathered, read_manifests(content, str(path)))


def _manifests(gathered: _Gathered, file: ManifestFile) -> None:
    gathered.manifests += file.manifests
    gathered.findings += [
        Finding(problem.place, problem.message, warning=not problem.fatal) for problem in file.problems
    ]


def _is_configuration(found: Sequence[Document]) -> bool:
    return any("kind" not in keys and {str(key).lower() for key in keys} & CONFIG_FIELDS for keys in map(_keys, found))


def _is_kubeconfig(found: Sequence[Document]) -> bool:
    if len(found) != 1:
        return False
    keys = _keys(found[0])
    return (found[0].value["kind"] == "Config") if "kind" in keys else {"contexts", "users"} <= keys


def _keys(document: Document) -> set[object]:
    return set(document.value) if isinstance(document.value, dict) else set()


def _configuration(gathered: _Gathered, path: Path, environment: Mapping[str, str]) -> None:
    from imps_multi.config.load import InvalidConfiguration, load

    try:
        loaded = load(path, environment)
    except InvalidConfiguration as error:
        gathered.invalid += 1
        gathered.findings += [_of_config(problem.place, problem.path, problem.message) for problem in error.problems]
        if error.rest is not None:
            gathered.findings += _fleet(error.rest)
            gathered.rests.append(error.rest)
        return
    gathered.configurations.append(loaded)
    gathered.findings += _fleet(loaded)


def _fleet(loaded: "Loaded") -> Iterator[Finding]:
    """Look at every context of the fleet, and at the hub's, as ``run`` would, short of connecting."""
    from imps_multi.config.fleet import fleet, idle_globs
    from imps_multi.kube import kubeconfig

    read: dict[Path, kubeconfig.Kubeconfig] = {}

    def contexts_of(path: Path) -> Iterable[str]:
        try:
            read[path] = read.get(path) or kubeconfig.load(path)
        except kubeconfig.KubeconfigError as error:
            raise ValueError(str(error)) from error
        return read[path].contexts

    clusters, problems = fleet(loaded, contexts_of)
    for problem in problems:
        yield _of_config(problem.place, problem.path, problem.message)
    for idle in idle_globs(loaded, contexts_of):
        yield structs.replace(_of_config(idle.place, idle.path, idle.message), warning=True)
    for cluster in clusters:
        if cluster.kubeconfig is not None:
            try:
                read[cluster.kubeconfig].connection(cluster.context)
            except (kubeconfig.KubeconfigError, ValueError, OSError) as error:
                yield _of_config(cluster.place, cluster.path, f"cluster {cluster.settings.name}: {error}")
    hub = loaded.configuration.hub
    if hub.kubeconfig is not None:
        at = "hub.context" if hub.context is not None else "hub.kubeconfig"
        try:
            contexts_of(hub.kubeconfig)
            read[hub.kubeconfig].connection(read[hub.kubeconfig].chosen(hub.context))
        except (kubeconfig.KubeconfigError, ValueError, OSError) as error:
            yield _of_config(loaded.place(at), at, str(error))


def _kubeconfig(path: Path, document: Document) -> Iterator[Finding]:
    from imps_multi.kube import kubeconfig

    try:
        read = kubeconfig.load(path)
    except kubeconfig.KubeconfigError as error:
        yield Finding(document.place(), _without_path(str(error), path))
        return
    for index, context in enumerate(read.contexts):
        try:
            read.connection(context)
        except (kubeconfig.KubeconfigError, ValueError, OSError) as error:
            yield Finding(document.place(f"contexts[{index}]"), _without_path(str(error), path))


def _without_path(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ")


def _hub(gathered: _Gathered, loaded: "Loaded") -> None:
    """Read the hub that a configuration names, unless its directory was given itself."""
    directory = loaded.configuration.hub.directory
    if directory is None:
        return
    if _is_directory(directory):
        _directory(gathered, directory, lambda file: _manifest_file(gathered, file))
    else:
        place = loaded.place("hub.directory")
        gathered.findings.append(
            _of_config(place, "hub.directory", f"{directory} is no directory; make it, or fix the path")
        )


def _audit_log(loaded: "Loaded") -> Iterator[Finding]:
    """Say where no audit log could be written: a run would say so once, and go on without."""
    name, at = loaded.configuration.telemetry.audit_log, "telemetry.auditLog"
    if name in {"", "stdout"}:
        return
    path = Path(name)
    if _is_directory(path):
        yield _of_config(loaded.place(at), at, f"{path} is a directory; name a file in it")
    elif not _is_directory(path.parent):
        yield _of_config(loaded.place(at), at, f"{path.parent} is no directory; make it, or fix the path")


def rules_of(loaded: "Loaded | None") -> Rules:
    """Return what a configuration says about manifests; without one, nothing is forbidden."""
    if loaded is None:
        return Rules()
    configuration = loaded.configuration
    by_itself = configuration.hub.in_a_cluster and not configuration.default_clusters  # the hub's own cluster
    return Rules(
        default_clusters=None if by_itself else tuple(configuration.default_clusters),
        source_namespaces=tuple(configuration.sources.namespaces),
        ambient_namespaces=configuration.ambient_namespaces,
        ambient_roles=tuple(configuration.sources.ambient_identity.role_arns),
        endpoints=tuple(configuration.sources.endpoints),
    )


def _of_config(place: Place, path: str, message: str) -> Finding:
    return Finding(place, f"{path}: {message}" if path else message)
