"""What is committed under config/: current, valid, and with the schema that editors use."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types of its own
import pytest
import yaml

from imps_multi.config.load import load
from imps_multi.config.schema import json_schema, json_schema_text
from tests.config.test_load import WHOLE

CONFIG = Path(__file__).parents[2] / "config"


def valid(value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(value))


def test_the_committed_schema_is_current() -> None:
    assert json.loads((CONFIG / "imps-multi.schema.json").read_text()) == json_schema()
    assert (CONFIG / "imps-multi.schema.json").read_text() == json_schema_text()


@pytest.mark.parametrize("sample", ["imps-multi.yaml", "cluster-hub.yaml"])
def test_a_sample_names_the_schema_and_is_valid_for_both(sample: str) -> None:
    text = (CONFIG / sample).read_text()
    assert text.splitlines()[0] == "# yaml-language-server: $schema=./imps-multi.schema.json"
    assert load(CONFIG / sample, {}).configuration.hub.id == "mgmt-eu"
    assert valid(yaml.safe_load(text))


def test_the_schema_takes_all_that_can_be_written() -> None:
    assert valid(yaml.safe_load(WHOLE))


@pytest.mark.parametrize(
    "change",
    [{"clutser": []}, {"defaults": {"burst": 0}}, {"telemetry": {"logLevel": "loud"}}, {"hub": {"id": 5}}],
)
def test_the_schema_refuses_what_it_can(change: dict[str, object]) -> None:
    assert not valid({**yaml.safe_load(WHOLE), **change})
