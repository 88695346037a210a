"""Files of manifests: objects with their places, and nothing that might be a policy is overlooked."""

import pytest

from imps_multi.hubs.manifests import ManifestFile, findings, read_manifests
from imps_multi.model.hub import Place

POLICY = """\
apiVersion: images.banzaicloud.io/v1alpha1
kind: ImagePullSecret
metadata:
  name: imps
spec:
  registry:
    credentials:
      - {name: a, namespace: b}
  target:
    secret:
      name: s
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {k: s3cret}\n"


def read(text: str) -> ManifestFile:
    return read_manifests(text.encode(), "hub/a.yaml")


def told(file: ManifestFile) -> list[tuple[str, bool]]:
    return [(f"{problem.place}: {problem.message}", problem.fatal) for problem in file.problems]


def test_several_documents_give_several_objects_with_their_places() -> None:
    file = read(f"{POLICY}---\n{SECRET}---\n")
    assert [str(manifest.object) for manifest in file.manifests] == [
        "HubObject(ImagePullSecret /imps at hub/a.yaml:1:1)",
        "HubObject(Secret b/a at hub/a.yaml:13:1)",
    ]
    assert file.whole
    assert "s3cret" not in repr(file)


def test_lists_are_taken_apart() -> None:
    item = "\n".join(f"    {line}" for line in POLICY.splitlines())
    typed = "{metadata: {name: x}, spec: {}}"
    text = f"apiVersion: v1\nkind: List\nitems:\n  -\n{item}\n  - kind: ImagePullSecretList\n    items: [{typed}]\n"
    file = read(text)
    assert [manifest.object.name for manifest in file.manifests] == ["imps", "x"]
    assert file.manifests[0].object.place == Place("hub/a.yaml", 5, 5)
    assert [str(problem) for problem in findings(file.manifests[0])] == []
    places = [str(problem.place) for problem in findings(file.manifests[1])]
    assert places == ["hub/a.yaml:17:35", "hub/a.yaml:17:35"]


def test_an_empty_list_is_no_problem() -> None:
    assert told(read("apiVersion: v1\nkind: List\nitems: []\n")) == []


def test_a_secret_without_a_namespace_counts_as_one_of_default() -> None:
    file = read("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    assert file.manifests[0].object.namespace == "default"
    assert file.whole
    assert len(file.problems) == 1


def test_other_kinds_are_ignored_with_one_warning() -> None:
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n"
    grouped = "apiVersion: example.com/v1\nkind: Secret\n"
    file = read(f"{other}---\n{other}---\n{sealed}---\n{grouped}")
    assert file.whole
    assert [str(problem.place) for problem in file.problems] == [
        "hub/a.yaml:2:1",
        "hub/a.yaml:10:1",
        "hub/a.yaml:13:1",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "hub/a.yaml:1:1: is empty; take the file away if nothing belongs there"),
        ("# only a comment\n", "hub/a.yaml:1:1: is empty; take the file away if nothing belongs there"),
        ("a: [", "hub/a.yaml:2:1: did not find expected node content while parsing a flow node"),
        ("- 1\n", "hub/a.yaml:1:1: must be a manifest (a mapping with apiVersion, kind), is a list"),
        ("metadata: {}\n", "hub/a.yaml:1:1: kind is required, and must be a text"),
        ("kind: ImagePullSecrets\n", 'unknown kind "ImagePullSecrets" (did you mean ImagePullSecret?)'),
        ("kind: secret\n", 'unknown kind "secret" (did you mean Secret?)'),
        (
            "apiVersion: images.banzaicloud.io/v1alpha1\nkind: Policy\n",
            'hub/a.yaml:2:1: unknown kind "Policy" (did you mean ImagePullSecret?)',
        ),
        ("kind: Secret\n", "apiVersion must be v1"),
        ("kind: List\nitems: {}\n", "hub/a.yaml:2:1: items must be a list, is a mapping"),
        ("kind: List\nitems:\n  -\n", "hub/a.yaml:3:4: must be a manifest (a mapping with apiVersion, kind), is empty"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: 5\n",
            "hub/a.yaml:4:3: metadata.name is required, and must be a text",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: 5\n",
            "hub/a.yaml:5:3: metadata.namespace must be a text; put it in quotes",
        ),
        ("kind: ImagePullSecret\nspec: {}\n", "metadata.name is required"),
    ],
)
def test_what_is_wrong_makes_the_file_not_whole_and_has_a_place(text: str, expected: str) -> None:
    file = read(text)
    assert not file.whole
    ((message, fatal),) = told(file)
    assert fatal
    assert expected in message


def test_the_problems_of_a_policy_and_of_a_source_have_places() -> None:
    text = POLICY.replace("name: s\n", "name: S\n      lables: {}\n") + "  suspend: maybe\n"
    text += "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData:\n  accountID: 12\n"
    file = read(text)
    assert file.whole
    found = [str(problem.place) + ": " + problem.message for each in file.manifests for problem in findings(each)]
    assert [line.partition(": ")[0] for line in found] == [
        "hub/a.yaml:12:7",
        "hub/a.yaml:11:7",
        "hub/a.yaml:13:3",
        "hub/a.yaml:19:3",
    ]
    assert "spec.target.secret.lables: unknown field (did you mean labels?)" in found[0]
    assert "stringData.accountID: must be a text, is a number; put it in quotes" in found[3]


def test_keys_that_are_no_texts_do_no_harm() -> None:
    text = b"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n~: 1\n5: 2\ntrue: 3\n"
    (manifest,) = read_manifests(text, "f.yaml").manifests
    assert findings(manifest) == ()
