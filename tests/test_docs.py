"""The documents stay true: what exists is documented, what is linked exists, what is depended on has its reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.bootstrap.settings import Settings
from governance.cli import COMMANDS
from governance.domain.events import EventKind
from governance.domain.people import Role, Scope

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_each_setting_is_documented_with_its_default(name: str) -> None:
    setting = f"GOVERNANCE_{name.upper()}"
    (row,) = [line for line in page("docs/settings.md").splitlines() if line.startswith(f"| `{setting}` |")]
    default = Settings.model_fields[name].default
    default = str(default).lower() if isinstance(default, bool) else default
    if isinstance(default, int) or (isinstance(default, str) and default):
        assert str(default) in row.split("|")[2], f"the default of {setting} is {default}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"GOVERNANCE_{name.upper()}" for name in Settings.model_fields} | {"GOVERNANCE_KEY"}
    for path in [*PAGES, ROOT / ".env.example", ROOT / "Dockerfile"]:
        mentioned = set(re.findall(r"\bGOVERNANCE_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
        assert mentioned <= known, path.name


def test_the_readme_lists_exactly_the_commands_that_exist() -> None:
    listed = re.findall(r"^\| `governance ([a-z]+)` \|", page("README.md"), flags=re.MULTILINE)
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_in_the_documents_exist(path: Path) -> None:
    lines = re.findall(
        r"`[^`\n]+`|^[^|`\n#]*\bgovernance [a-z].*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    for line in lines:
        if line.startswith("`") or re.match(r"^\s*(\.venv/bin/)?governance ", line):
            for used in re.findall(r"(?:^`?|bin/|\| |\$ )governance ([a-z]+)\b", line.strip()):
                assert used in COMMANDS, f"{path.name}: {line}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_targets_of_make_in_the_documents_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), flags=re.MULTILINE))
    used = set(re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8")))
    assert used <= targets


@pytest.mark.parametrize("kind", EventKind)
def test_each_audit_event_is_documented(kind: EventKind) -> None:
    assert f"`{kind}`" in page("docs/audit.md")


@pytest.mark.parametrize("role", Role)
def test_each_role_is_documented(role: Role) -> None:
    assert f"`{role}`" in page("docs/settings.md")


@pytest.mark.parametrize("scope", Scope)
def test_each_scope_of_a_key_is_documented(scope: Scope) -> None:
    assert f"`{scope}`" in page("docs/operations.md")


def test_each_detector_is_documented() -> None:
    from governance.detectors.registry import available

    for name in (detector.name for detector in available()):
        assert f"[`{name}`](detectors/{name}.md)" in page("docs/detectors.md"), name
        text = page(f"docs/detectors/{name}.md").lower()
        assert "misses" in text, name
        assert "cost" in text, name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    for target, anchor in _links(path):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {_slug(heading) for heading in headings}, f"{path.name} links to {target}#{anchor}"


def test_the_tests_that_show_the_promises_exist() -> None:
    shown = re.findall(r"`(tests/[\w/.]+)`", page("docs/architecture.md"))
    assert shown
    for name in shown:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("requirement", PROJECT["project"]["dependencies"])
def test_each_dependency_has_its_reason(requirement: str) -> None:
    name = re.split(r"[\[<>=~ ]", requirement)[0]
    reasons = " ".join(path.read_text(encoding="utf-8").lower() for path in DECISIONS)
    assert re.search(rf"\b{re.escape(name)}\b", reasons), f"no decision speaks of {name}"


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers)
    for path in DECISIONS:
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]} "), path.name


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_locks_name_hashes_and_no_registry(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.\-]+(\[[\w,\-]+\])?==\S+", entry), entry.splitlines()[0]
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize(("lock", "group"), [("requirements-dev.lock", "dev"), ("requirements.lock", "build")])
def test_locks_hold_what_the_project_asks_for(lock: str, group: str) -> None:
    locked = set(re.findall(r"^([a-z0-9.\-]+)(?:\[[^\]]*\])?==", page(lock), flags=re.MULTILINE))
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"][group]]
    missing = {re.split(r"[\[<>=~ ]", item)[0].lower().replace("_", "-") for item in wanted} - locked
    assert not missing


def _links(path: Path) -> Iterator[tuple[str, str]]:
    """Targets and anchors of relative links and images, those in code blocks left out."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            target, _, anchor = link.partition("#")
            yield target, anchor


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
