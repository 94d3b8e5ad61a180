"""A policies folder as it is mounted, linked and littered in practice: what is read, and what is said of the rest."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import BadInput
from governance.policy import folder as folders
from governance.policy.folder import RULE, not_read, walk
from governance.policy.load import Loaded, examine
from governance.policy.problems import Level
from tests.policy.samples import GOOD

TODAY = date(2026, 11, 23)
SCHEMA = (
    "entity Role, Thing;\naction read appliesTo {principal: Role, resource: Thing, context: {labels: Set<String>}};\n"
)
EXAMPLE = GOOD.replace('{text: "What is my balance?"}', "fixtures/plain.json")


def numbered(number: int, version: str = "1") -> str:
    text = GOOD.replace("id: injection.direct", f"id: injection.n{number}").replace("red-team", f"team-{number}")
    return text.replace("title: Instructions in the prompt", f"title: Version {version}")


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def look(folder: Path) -> Loaded:
    return examine(folder, today=TODAY)


def said(loaded: Loaded) -> dict[str, str]:
    """What is said of each file, errors marked."""
    return {
        problem.file: ("! " if problem.level is Level.ERROR else "") + problem.message for problem in loaded.problems
    }


class ConfigMap:
    """A mounted ConfigMap, written as the kubelet writes it: a folder a version, `..data`, and a link a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True)

    def update(self, files: dict[str, str]) -> None:
        for _step in self.steps(files):
            pass

    def steps(self, files: dict[str, str]) -> Iterator[None]:
        """In the kubelet's order: the version, the swap, new links, stale links, the old version file by file."""
        self._number += 1
        version = put(self.folder / f"..2026_11_30_10_00_{self._number:02}.123456", files)
        current = self.folder / "..data"
        old = current.resolve() if current.is_symlink() else None
        (self.folder / "..data_tmp").symlink_to(version.name)
        yield
        (self.folder / "..data_tmp").rename(current)
        yield
        tops = {name.split("/")[0] for name in files}
        for top in sorted(tops):
            if not (self.folder / top).is_symlink():
                (self.folder / top).symlink_to(f"..data/{top}")
        yield
        for entry in self.folder.iterdir():
            if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
                entry.unlink()
        yield
        if old is not None:
            for path in sorted(old.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
                yield
            old.rmdir()


def test_a_configmap_is_read_once_and_without_complaint(tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "policies")
    mounted.update(
        {
            "a.yaml": numbered(1),
            "injection/b.yaml": EXAMPLE,
            "injection/fixtures/plain.json": '{"text": "Hello"}',
            "access/data.cedar": "permit (principal, action, resource);",
            "access/data.cedarschema": SCHEMA,
            "README.md": "Ours.",
        }
    )
    loaded = look(mounted.folder)
    assert loaded.problems == ()
    assert loaded.files == {"injection.n1": "a.yaml", "injection.direct": "injection/b.yaml"}
    assert loaded.policy_set is not None
    assert set(loaded.policy_set.access) == {"access/data.cedar", "access/data.cedarschema"}


def test_configmaps_mounted_in_subfolders_are_read(tmp_path: Path) -> None:
    for number in (1, 2):
        ConfigMap(tmp_path / "policies" / f"family{number}").update({"x.yaml": numbered(number)})
    put(tmp_path / "policies", {"family1/fixtures/plain.json": '{"text": "Hello"}'})
    ConfigMap(tmp_path / "policies" / "third").update({"x.yaml": EXAMPLE.replace("fixtures/", "../family1/fixtures/")})
    loaded = look(tmp_path / "policies")
    assert said(loaded) == {}
    assert sorted(loaded.files.values()) == ["family1/x.yaml", "family2/x.yaml", "third/x.yaml"]


@pytest.mark.parametrize("pace", [1, 2, 3, 100])
@pytest.mark.parametrize("start", range(7))
def test_an_update_while_reading_never_mixes_two_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, pace: int
) -> None:
    """Before the `start`-th access to the file system the update begins; `pace` steps of it follow at each access."""
    mounted = ConfigMap(tmp_path / "policies")
    mounted.update({"a.yaml": numbered(1, "old"), "b/x.yaml": EXAMPLE, "b/fixtures/plain.json": '{"text": "old"}'})
    new = {"a.yaml": numbered(1, "new"), "b/fixtures/plain.json": '{"text": "new"}', "b/x.yaml": EXAMPLE}
    update = mounted.steps(new | {"c.yaml": numbered(3, "new")})
    accesses = 0
    scan, whole = os.scandir, Path.open

    def advance() -> None:
        nonlocal accesses
        with monkeypatch.context() as plain:
            plain.setattr(os, "scandir", scan)
            plain.setattr(Path, "open", whole)
            if accesses >= start:
                for _step in range(pace):
                    next(update, None)
        accesses += 1

    def scan_then(path: Path) -> object:
        advance()
        return scan(path)

    def open_then(self: Path, *args: Any) -> object:
        advance()
        return whole(self, *args)

    monkeypatch.setattr(os, "scandir", scan_then)
    monkeypatch.setattr(Path, "open", open_then)
    loaded = look(mounted.folder)
    monkeypatch.undo()
    assert loaded.policy_set is not None, said(loaded)
    policies = {policy.id: policy for policy in loaded.policy_set.policies}
    version = policies["injection.n1"].title.removeprefix("Version ")
    assert policies["injection.direct"].tests[1].call == {"text": version}
    assert set(policies) == {"injection.n1", "injection.direct"} | ({"injection.n3"} if version == "new" else set())


def test_a_folder_that_never_rests_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"policy.yaml": GOOD})

    def vanished(_self: Path, *_: Any) -> object:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "open", vanished)
    with pytest.raises(BadInput, match="changes while it is read"):
        look(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        ".git/config.yaml",
        ".github/workflows/ci.yml",
        ".DS_Store",
        ".x.yaml.swp",
        ".hidden.yaml",
        "family/.#x.yaml",
        "x.yaml~",
        "#x.yaml#",
        "family/#x.yml#",
        "access/.data.cedar.swp",
        "access/data.cedar~",
        "lost+found/x.yaml",
        "Thumbs.db",
        "README.md",
        "README",
        "family/notes.MD",
        "LICENSE.txt",
        "CODEOWNERS",
        "access/README.md",
        "family/fixtures/article.txt",
        "fixtures/deep/x.YAML",
        "fixtures/x.yaml",
    ],
)
def test_hidden_and_well_known_files_are_passed_over(tmp_path: Path, name: str) -> None:
    loaded = look(put(tmp_path, {"policy.yaml": GOOD, name: "no: policy"}))
    assert loaded.problems == ()
    assert list(loaded.files.values()) == ["policy.yaml"]


@pytest.mark.parametrize(
    ("name", "as_", "words"),
    [
        ("x.YML", "x.YML", "its suffix is .YML"),
        ("family/x.Yaml", "family/x.Yaml", "its suffix is .Yaml"),
        ("x.json", "x.json", "policies are *.yaml and *.yml"),
        ("x.txt", "x.txt", "policies are *.yaml and *.yml"),
        ("x.yaml.bak", "x.yaml.bak", "policies are"),
        ("x", "x", "policies are"),
        ("Fixtures/x.json", "Fixtures/x.json", "policies are"),
        ("access/other.cedar", "access/other.cedar", "no file of this name belongs to access/"),
        ("access/data.json", "access/data.json", "no file of this name belongs to access/"),
        ("access/Data.cedar", "access/Data.cedar", "no file of this name belongs to access/"),
        ("access/x.yaml", "access/x.yaml", "no file of this name belongs to access/"),
        ("access/more/data.cedar", "access/more/data.cedar", "no file of this name belongs to access/"),
        ("data.cedar", "data.cedar", "policies are"),
        ("queues.yaml", "queues.yaml", "not read by this version"),
        ("notifications.yaml", "notifications.yaml", "not read by this version"),
        ("systems/shop/system.yaml", "systems/", "not read by this version"),
        ("prices/2026.yaml", "prices/", "not read by this version"),
        ("data/countries.csv", "data/", "not read by this version"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, as_: str, words: str) -> None:
    loaded = look(put(tmp_path, {"policy.yaml": GOOD, name: "no: policy"}))
    assert loaded.policy_set is not None  # nothing but a warning
    assert list(said(loaded)) == [as_]
    assert words in said(loaded)[as_]
    assert not_read(loaded.problems) == as_


@pytest.mark.parametrize("name", ["systems/x.yaml", "data/deep/x.yml", "queues.yaml", "access/x.yaml"])
def test_a_policy_where_none_is_read_is_an_error(tmp_path: Path, name: str) -> None:
    loaded = look(put(tmp_path, {"policy.yaml": GOOD, name: numbered(2)}))
    assert loaded.policy_set is None
    assert any(one.file == name and "a policy where none is read" in one.message for one in loaded.problems)


def test_names_that_are_reserved_at_the_top_are_families_below(tmp_path: Path) -> None:
    loaded = look(put(tmp_path, {"family/data/x.yaml": GOOD, "family/queues.yaml": numbered(2)}))
    assert loaded.problems == ()
    assert len(loaded.files) == 2


def test_an_example_beside_its_policy_is_read_and_needs_no_fixtures_folder(tmp_path: Path) -> None:
    policy = EXAMPLE.replace("fixtures/", "")
    loaded = look(put(tmp_path, {"policy.yaml": policy, "plain.json": '{"text": "Hi"}', "other.json": "{}"}))
    assert list(said(loaded)) == ["other.json"]


def test_thousands_of_stray_files_give_a_bounded_list(tmp_path: Path) -> None:
    put(tmp_path, {"policy.yaml": GOOD} | {f"stray{number:05}.txt": "" for number in range(10_000)})
    loaded = look(tmp_path)
    assert loaded.policy_set is not None
    assert len(loaded.problems) == 101
    assert said(loaded)["."] == "9,900 more files are not read"
    assert not_read(loaded.problems) == "., stray00000.txt, stray00001.txt and 98 more"


def test_ten_thousand_policies_are_too_many(tmp_path: Path) -> None:
    put(tmp_path, {f"n{number}.yaml": "" for number in range(5_001)})
    with pytest.raises(BadInput, match="5001 policy files; at most 5000"):
        look(tmp_path)


def test_a_folder_that_is_no_policies_folder_is_not_walked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_ENTRIES", 20)
    put(tmp_path, {f"family{number}/x.txt": "" for number in range(15)})
    with pytest.raises(BadInput, match="more than 20 files"):
        walk(tmp_path)


# Links


def link(at: Path, to: str | Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(to)


@pytest.mark.parametrize("to", [".", "..", "../family", "loop"])
def test_a_folder_that_leads_back_to_itself_is_not_followed(tmp_path: Path, to: str) -> None:
    folder = put(tmp_path / "policies", {"policy.yaml": GOOD, "family/b.yaml": numbered(2)})
    link(folder / "family" / "loop", to)
    loaded = look(folder)
    assert len(loaded.files) == 2
    (words,) = said(loaded).values()
    assert "not followed" in words or "cannot be followed" in words


def test_links_within_the_folder_are_read_once(tmp_path: Path) -> None:
    folder = put(tmp_path / "policies", {"b/policy.yaml": GOOD, ".store/two.yaml": numbered(2)})
    link(folder / "a", "b")  # before `b` in the order of names
    link(folder / "a.yaml", "b/policy.yaml")
    link(folder / "two.yaml", ".store/two.yaml")
    loaded = look(folder)
    assert loaded.files == {"injection.direct": "b/policy.yaml", "injection.n2": "two.yaml"}
    assert said(loaded) == dict.fromkeys(["a", "a.yaml"], "the link is not followed: what it leads to is read already")


def test_examples_may_be_shared_by_links(tmp_path: Path) -> None:
    folder = put(tmp_path / "policies", {"a/fixtures/plain.json": '{"text": "Hi"}', "b/policy.yaml": EXAMPLE})
    link(folder / "b" / "fixtures", "../a/fixtures")
    link(folder / "a" / "fixtures" / "loop", "..")
    link(folder / "a" / "fixtures" / "same.json", "plain.json")
    assert look(folder).problems == ()


@pytest.mark.parametrize("target", ["file", "folder", "absent", "itself"])
def test_links_that_leave_the_folder_or_lead_nowhere_are_errors(tmp_path: Path, target: str) -> None:
    folder = put(tmp_path / "policies", {"policy.yaml": GOOD})
    put(tmp_path / "elsewhere", {"x.yaml": numbered(2)})
    to = {
        "file": tmp_path / "elsewhere" / "x.yaml",
        "folder": tmp_path / "elsewhere",
        "absent": tmp_path / "absent.yaml",
        "itself": folder / "y.yaml",
    }[target]
    link(folder / "y.yaml", to)
    loaded = look(folder)
    assert loaded.policy_set is None
    (one,) = loaded.problems
    assert (one.file, one.rule, one.level) == ("y.yaml", RULE, Level.ERROR)
    assert ("out of the folder" if target in ("file", "folder") else "cannot be followed") in one.message
    assert "injection.n2" not in loaded.files


def test_nothing_of_a_file_outside_is_shown(tmp_path: Path) -> None:
    folder = put(tmp_path / "policies", {"policy.yaml": EXAMPLE})
    put(tmp_path, {"secret.yaml": "id: hunter2: hunter2"})
    link(folder / "x.yaml", tmp_path / "secret.yaml")
    link(folder / "fixtures" / "plain.json", tmp_path / "secret.yaml")
    link(folder / "access" / "data.cedar", tmp_path / "secret.yaml")
    shown = "\n".join(problem.render() for problem in look(folder).problems)
    assert "hunter2" not in shown
    assert "outside" in shown


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    put(tmp_path / "release-5", {"policy.yaml": GOOD})
    link(tmp_path / "current", "release-5")
    assert look(tmp_path / "current").problems == ()


# What is no file


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "words"),
    [(Path.mkdir, "a folder, not a file"), (make_pipe, "neither a file nor"), (make_socket, "neither a file nor")],
)
@pytest.mark.parametrize("name", ["x.yaml", "access/data.cedar"])
def test_what_has_a_files_name_and_is_none_is_an_error(
    tmp_path: Path, make: Callable[[Path], None], words: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"policy.yaml": GOOD, "access/README.md": ""})
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    make(Path(name))
    loaded = look(tmp_path)
    assert loaded.policy_set is None
    assert words in said(loaded)[name]


def test_an_unreadable_folder_and_file_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"policy.yaml": GOOD, "x.yaml": GOOD, "locked/y.yaml": GOOD})
    scan, whole = os.scandir, Path.open

    def refuse_folder(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def refuse_file(self: Path, *args: Any) -> object:
        if self.name == "x.yaml":
            raise PermissionError(13, "Permission denied")
        return whole(self, *args)

    monkeypatch.setattr(os, "scandir", refuse_folder)
    monkeypatch.setattr(Path, "open", refuse_file)
    found = said(look(tmp_path))
    assert found == {
        "x.yaml": "! the file cannot be read: Permission denied",
        "locked": "! the folder cannot be read: Permission denied",
    }


def test_folders_nested_beyond_reason_are_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"policy.yaml": GOOD, "/".join(["d"] * 40) + "/x.yaml": GOOD})
    assert any("nested deeper than 32 levels" in words for words in said(look(tmp_path)).values())


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "..data", ".x", "x.yaml", "access", "fixtures", "é\n", "data"]), max_size=4))
def test_every_path_is_read_or_named_or_passed_over(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    put(folder, {"/".join([*parts, "policy.yaml"]): GOOD})
    loaded = look(folder)
    read = len(loaded.files)
    hidden = any(part.startswith(".") for part in parts) or "fixtures" in parts
    named = any(one.rule == RULE for one in loaded.problems)
    assert read + hidden + named >= 1
    for one in loaded.problems:
        one.render()


# access/*.cedar


@pytest.mark.parametrize(
    ("policies", "schema", "place", "words"),
    [
        ("permit (principal, action, resource)\nwhen { context.x = 1 };", SCHEMA, "access/data.cedar:2:18", "operator"),
        ("permit (principal,", SCHEMA, "access/data.cedar:1:18", "end of input"),
        ("// permit\npermit (principal, action, resource);\n  foo bar;", SCHEMA, "access/data.cedar:3:7", "`bar`"),
        (
            '@id("a;b") permit (principal, action, resource);\npermit (principal is Rolle, action, resource);',
            SCHEMA,
            "access/data.cedar:2:22",
            "`Rolle`",
        ),
        (
            'permit (principal, action == Action::"reed", resource);',
            SCHEMA,
            "access/data.cedar:1:30",
            'unrecognized action `Action::"reed"`',
        ),
        (
            "permit (principal, action, resource) when {\n  context.label.isEmpty() };",
            SCHEMA,
            "access/data.cedar:2:11",
            "`label`",
        ),
        ("permit (principal, action, resource);", None, "access/data.cedar:1:1", "data.cedarschema is missing"),
        ("permit (principal, action, resource);", SCHEMA + "foo;", "access/data.cedarschema:3:1", "`foo`"),
        ("permit (principal, action, resource);", "entity A in [B];", "access/data.cedarschema:1:14", "B"),
        ("permit (principal, action, resource);", "entity A", "access/data.cedarschema:1:8", "end of input"),
    ],
)
def test_mistakes_in_cedar_have_a_place(
    tmp_path: Path, policies: str, schema: str | None, place: str, words: str
) -> None:
    put(tmp_path, {"policy.yaml": GOOD, "access/data.cedar": policies})
    if schema is not None:
        put(tmp_path, {"access/data.cedarschema": schema})
    loaded = look(tmp_path)
    assert loaded.policy_set is None
    found = [(one.place, one.message) for one in loaded.problems]
    assert any(at == place and words in message for at, message in found), found


def test_the_consoles_policies_are_read_against_the_schema_that_came_with_the_product(tmp_path: Path) -> None:
    put(
        tmp_path, {"policy.yaml": GOOD, "access/console.cedar": 'permit (principal, action == Action::"no", resource);'}
    )
    loaded = examine(tmp_path, today=TODAY, packaged=Path("policies"))
    assert any(one.place == "access/console.cedar:1:30" for one in loaded.problems)
    assert look(tmp_path).policy_set is not None  # without a schema only the syntax is known


@pytest.mark.parametrize("name", ["data.cedarschema", "console.cedarschema"])
def test_a_schema_alone_is_not_read(tmp_path: Path, name: str) -> None:
    loaded = look(put(tmp_path, {"policy.yaml": GOOD, f"access/{name}": SCHEMA}))
    assert said(loaded) == {f"access/{name}": "the file is not read"}


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"// " + b"x" * (1 << 20)])
def test_cedar_that_is_no_text_or_too_large_is_an_error(tmp_path: Path, raw: bytes) -> None:
    put(tmp_path, {"policy.yaml": GOOD, "access/data.cedarschema": SCHEMA})
    (tmp_path / "access" / "data.cedar").write_bytes(raw)
    assert look(tmp_path).policy_set is None


@settings(max_examples=60)
@given(st.text(alphabet='permit(action,{};"\\/ \n`é', max_size=40))
def test_any_cedar_text_gives_a_set_or_places(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = put(tmp_path_factory.mktemp("cedar"), {"p.yaml": GOOD, "access/data.cedarschema": SCHEMA})
    (folder / "access" / "data.cedar").write_text(f"permit (principal, action, resource);{text}", "utf-8", newline="")
    loaded = look(folder)
    lines = text.count("\n") + 1
    for one in loaded.problems:
        assert 1 <= one.line <= lines
        one.render()


def test_the_policies_of_the_product_are_all_read() -> None:
    assert examine(Path("policies"), packaged=Path("policies")).problems == ()
