"""What a policy asks of detectors that need more than themselves: mistakes are shown where they were made, and what the
documentation shows is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from governance.detectors.llm_guard import INPUT, MODELLESS, OPTIONS, OUTPUT
from governance.policy.load import examine
from tests.policy.samples import GOOD

PAGES = Path(__file__).parents[2] / "docs" / "detectors"
MODELS = """
    use: transformers
    models:
      - {name: guard, path: /srv/guard, labels: {LABEL_1: jailbreak}}
      - name: other
        path: /srv/other
        labels: {A: injection}
"""
SCANNERS = """
    use: llm_guard
    scanners:
      - {name: Toxicity, threshold: 0.7}
      - name: BanTopics
        topics: [weapons]
"""
RUBRICS = """
    use: judge
    rubrics:
      - name: dose
        category: advice
        rubric: Does it name a dose of a medicine?
"""


@pytest.mark.parametrize(
    ("asked", "old", "new", "marked", "said"),
    [
        (SCANNERS, "name: Toxicity", "name: Toxicty", "name", "'Toxicty' is not a scanner of 'llm_guard'"),
        (SCANNERS, "topics: [weapons]", "topic: [weapons]", "topic", "has no setting 'topic'"),
        (SCANNERS, "topics: [weapons]", "topics: [weapons]\n        reads: [mail]", "reads", "names some of"),
        (SCANNERS, "\n        topics: [weapons]", "", "name", "scanner 'BanTopics' needs 'topics'"),
        (SCANNERS, "threshold: 0.7", "threshold: high", "threshold", "is a number"),
        (SCANNERS, "name: Toxicity, threshold: 0.7", "name: JSON, model: /srv/m", "model", "takes no model"),
        (SCANNERS, "threshold: 0.7", "model: org/toxic", "model", "is a name on a hub"),
        (SCANNERS, "threshold: 0.7", "model: models/toxic", "model", "is a name on a hub"),
        (SCANNERS, "threshold: 0.7", "model: org/toxic, revision: main", "revision", "'main' is a branch"),
        (SCANNERS, "threshold: 0.7", "model: org/toxic, revision: 36295dd", "revision", "full hash of a commit"),
        (MODELS, "path: /srv/other", "path: org/other", "path", "is a name on a hub"),
        (MODELS, "path: /srv/other", "path: org/other\n        revision: v1.0", "revision", "'v1.0' is a branch"),
        (SCANNERS, "- name: BanTopics", "- name: Toxicity", "topics", "has no setting 'topics'"),
        (SCANNERS, "scanners:", "scaners:", "use", "has no option 'scaners'"),
        (MODELS, "path: /srv/other", "folder: /srv/other", "folder", "has no setting 'folder'"),
        (MODELS, "labels: {A: injection}", "labels: [A]", "labels", "needs labels"),
        (MODELS, "labels: {A: injection}", "labels: {A: x}\n        tokens: 1", "tokens", "8 to 8192"),
        (RUBRICS, "category: advice", "category: Bad Advice", "category", "needs a category"),
        (RUBRICS, "category: advice", "category: advice\n        model: gpt", "model", "has no setting 'model'"),
    ],
)
def test_a_mistake_is_shown_at_its_place(
    tmp_path: Path, asked: str, old: str, new: str, marked: str, said: str
) -> None:
    assert old in asked
    text = GOOD.replace("{use: patterns, packs: [injection]}", asked.replace(old, new).rstrip())
    (tmp_path / "one.yaml").write_text(text, "utf-8")
    problem = next(one for one in examine(tmp_path).problems if said in one.message)
    assert problem.rule == "unknown-detector"
    line = text.splitlines()[problem.line - 1]
    if marked != "use":
        assert line[problem.column - 1 :].startswith(f"{marked}:"), problem.render()
    assert f"one.yaml:{problem.line}:{problem.column}: error:" in problem.render()


@pytest.mark.parametrize(
    ("asked", "old", "new"),
    [
        (SCANNERS, "threshold: 0.7", "model: /srv/toxic"),
        (SCANNERS, "threshold: 0.7", "model: ./toxic"),
        (SCANNERS, "threshold: 0.7", f"model: org/toxic, revision: {'0a' * 20}"),
        (MODELS, "path: /srv/other", f"path: org/other\n        revision: {'0a' * 20}"),
    ],
)
def test_a_model_may_be_a_directory_or_one_commit_on_a_hub(tmp_path: Path, asked: str, old: str, new: str) -> None:
    text = GOOD.replace("{use: patterns, packs: [injection]}", asked.replace(old, new).rstrip())
    (tmp_path / "one.yaml").write_text(text, "utf-8")
    assert not [one for one in examine(tmp_path).problems if one.rule == "unknown-detector"]


def _shown() -> list[str]:
    pages = "".join(page.read_text("utf-8") for page in sorted(PAGES.glob("*.md")))
    return re.findall(r"^```yaml\n(.*?)^```$", pages, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", _shown(), ids=range(len(_shown())))
def test_what_the_pages_show_is_what_policies_take(tmp_path: Path, text: str) -> None:
    """Whole policies, and what stands under `detectors:` by itself."""
    if not text.startswith("apiVersion:"):
        if not text.startswith("detectors:"):
            pytest.skip("no policy and no detectors")
        condition = re.search(r"^when: .*$", text, flags=re.MULTILINE)
        detectors = text.replace(condition[0], "") if condition else text
        head, rest = GOOD.split("detectors:", 1)
        tail = rest.split("params:", 1)[1]
        text = f"{head}{detectors}params:{tail}".replace('"phrases"', '"guard"')
    (tmp_path / "one.yaml").write_text(text, "utf-8")
    wrong = [one.render() for one in examine(tmp_path).problems if one.rule in ("unknown-detector", "schema", "syntax")]
    assert wrong == []
    if text.count("apiVersion") and "judge" in text:
        assert [one.render() for one in examine(tmp_path).problems] == []


def test_the_page_names_each_setting_of_each_scanner() -> None:
    page = (PAGES / "llm_guard.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| (yes|no) \| (.*) \|$", page, flags=re.MULTILINE)
    told = {name: re.findall(r"(\**)`(\w+)`", settings) for name, _, _, settings in rows}
    assert {name: [f"{word}!" if bold else word for bold, word in said] for name, said in told.items()} == {
        name: list(settings) for name, settings in OPTIONS.items()
    }
    for name, sides, model, _ in rows:
        assert sides.split(" or ") == [side for side, names in (("input", INPUT), ("output", OUTPUT)) if name in names]
        assert (model == "no") is (name in MODELLESS)
