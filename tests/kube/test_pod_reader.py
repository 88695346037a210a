"""What is asked of the server about pods, and what of its answer is kept."""

from typing import Any

import msgspec
import pytest

from imps_multi.kube.frames import Bookmark, Fault, Lost, Seen
from imps_multi.kube.pod_reader import LONGEST_SELECTOR, PodReader, label_query
from imps_multi.model.names import NamespaceName
from imps_multi.model.pods import PodGone, PodsAsked, PodSeen, PodsReplaced
from imps_multi.model.selection import Operator, PodField, PodRule, Requirement, Selector

UNFINISHED = "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"
A = NamespaceName("team-a")


def rule(*terms: Requirement, field: PodField = PodField.LABELS) -> PodRule:
    return PodRule(field, Selector(terms))


WEB = rule(Requirement("app", Operator.IN, frozenset({"web"})))
NOTED = rule(Requirement("note", Operator.EXISTS), field=PodField.ANNOTATIONS)
BOTH = PodsAsked((WEB, NOTED))


def line(kind: str = "ADDED", version: int = 7, **meta: Any) -> bytes:
    metadata = {"name": "web-1", "namespace": "team-a", "resourceVersion": str(version), **meta}
    return msgspec.json.encode({"type": kind, "object": {"metadata": metadata}})


@pytest.mark.parametrize(
    ("terms", "query"),
    [
        ((Requirement("app", Operator.IN, frozenset({"web"})),), "app in (web)"),
        ((Requirement("app", Operator.IN, frozenset({"web", "db", ""})),), "app in (,db,web)"),
        (
            (Requirement("a.io/x", Operator.NOT_IN, frozenset({"1"})), Requirement("b", Operator.EXISTS)),
            "a.io/x notin (1),b",
        ),
        ((Requirement("b", Operator.DOES_NOT_EXIST),), "!b"),
    ],
)
def test_a_label_selector_is_written_as_the_server_reads_it(terms: tuple[Requirement, ...], query: str) -> None:
    assert label_query(Selector(terms)) == query


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        (PodsAsked((WEB,)), f"{UNFINISHED}&labelSelector=app%20in%20%28web%29"),
        (PodsAsked((NOTED,)), UNFINISHED),
        (PodsAsked((rule(),)), UNFINISHED),
        (BOTH, UNFINISHED),
        (PodsAsked((rule(Requirement("app", Operator.IN, frozenset({"x" * LONGEST_SELECTOR}))),)), UNFINISHED),
    ],
)
def test_finished_pods_are_never_asked_for_and_one_label_rule_narrows_the_rest(asked: PodsAsked, query: str) -> None:
    assert PodReader(asked).query == query


@pytest.mark.parametrize(
    ("meta", "matches"),
    [
        ({"labels": {"app": "web"}}, 1),
        ({"annotations": {"note": ""}}, 2),
        ({"labels": {"app": "web"}, "annotations": {"note": "x"}}, 3),
    ],
)
def test_of_a_pod_its_name_and_what_it_matches_is_kept(meta: dict[str, Any], matches: int) -> None:
    frame = PodReader(BOTH).frame(line(**meta), live=True)
    assert frame == Seen((A, "web-1"), 7, PodSeen(BOTH, A, "web-1", matches, 7))


@pytest.mark.parametrize(
    "frame", [line(), line("MODIFIED", labels={"app": "db"}), line("DELETED", labels={"app": "web"})]
)
def test_a_pod_that_matches_nothing_is_as_good_as_gone(frame: bytes) -> None:
    assert PodReader(BOTH).frame(frame, live=True) == Lost((A, "web-1"), 7, PodGone(BOTH, A, "web-1", 7))


def test_bookmarks_and_errors_are_about_no_pod() -> None:
    end = {"k8s.io/initial-events-end": "true"}
    assert PodReader(BOTH).frame(line("BOOKMARK", annotations=end), live=False) == Bookmark(7, ends_list=True)
    assert isinstance(PodReader(BOTH).frame(b'{"type":"ERROR","object":{"code":410}}', live=True), Fault)


def test_a_page_gives_the_pods_that_match() -> None:
    reader = PodReader(PodsAsked((WEB,)))
    pods = [
        {"metadata": {"name": f"p-{n}", "namespace": "team-a", "labels": {"app": app}}}
        for n, app in enumerate(("web", "db"))
    ]
    page = reader.page(msgspec.json.encode({"metadata": {"resourceVersion": "9", "continue": "t"}, "items": pods}))
    seen = [item.event for item in page.items if item is not None]
    assert reader.replaced(seen, page.version, reset=False) == PodsReplaced(PodsAsked((WEB,)), ((A, "p-0", 1),), 9)
    assert page.token == "t"
