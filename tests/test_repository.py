"""What must hold for the tracked files themselves: no foreign places in them, sound locks, explained exceptions."""

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = (
    "pypi." + "org",
    "pythonhosted." + "org",
    "proxy.golang." + "org",
    "sum.golang." + "org",
    "registry.npmjs." + "org",
    "static.crates." + "io",
    "repo1.maven." + "org",
    "deb.debian." + "org",
)
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/home/" + "runner")

EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pylint:|mypy:|fmt:|ruff:)")
EXPLAINED = re.compile(
    r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*(,|  #| -)? \w.{6,}|type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  # \w.{6,})"
)
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


@cache
def tracked() -> tuple[Path, ...]:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed words
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def lines_of(*suffixes: str) -> Iterator[tuple[str, str]]:
    for path in tracked():
        if not suffixes or path.suffix in suffixes:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


def pins(name: str) -> dict[str, str]:
    found = PIN.findall((ROOT / "requirements" / name).read_text())
    return {canonicalize_name(package): version for package, version, _ in found}


@pytest.mark.parametrize("word", [*REGISTRIES, *PLACES])
def test_no_tracked_file_names_a_registry_or_a_place_of_one_machine(word: str) -> None:
    assert [f"{place}: {line.strip()[:100]}" for place, line in lines_of() if word in line] == []


def test_every_exception_to_a_gate_has_a_code_and_a_reason() -> None:
    excepted = ((place, line) for place, line in lines_of(".py") if EXCEPTION.search(line))
    here = Path(__file__).name
    assert [
        f"{place}: {line.strip()}" for place, line in excepted if here not in place and not EXPLAINED.search(line)
    ] == []


@pytest.mark.parametrize(
    ("lock", "extra"), [("run.txt", None), *(("dev.txt", extra) for extra in ("dev", "azure", "gcp", "github"))]
)
def test_the_locked_versions_satisfy_the_project(lock: str, extra: str | None) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in {lock}: run `make lock`"
        assert requirement.specifier.contains(locked[name], prereleases=True), f"{name} {locked[name]}: run `make lock`"


def test_what_runs_is_what_is_tested() -> None:
    development = pins("dev.txt")
    for lock in ("run.txt", "build.txt"):
        assert {name: development.get(name) for name in pins(lock)} == pins(lock)


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt", "build.txt"])
def test_every_locked_package_has_a_hash(lock: str) -> None:
    found = PIN.findall((ROOT / "requirements" / lock).read_text())
    assert found
    assert [package for package, _, rest in found if "--hash=sha256:" not in rest] == []


def test_every_directory_of_code_is_a_package() -> None:
    directories = {path.parent for path in tracked() if path.suffix == ".py"}
    assert [str(directory) for directory in sorted(directories) if not (directory / "__init__.py").exists()] == []


@pytest.mark.parametrize("script", [".ci/run", ".ci/venv"])
def test_the_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
