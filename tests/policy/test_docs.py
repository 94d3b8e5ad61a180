from __future__ import annotations

import re
from pathlib import Path

import yaml

from governance.policy.lint.interface import Rule
from governance.policy.load import examine
from governance.policy.reference import filled

PAGE = Path("docs/policies.md")


def test_the_generated_tables_are_those_of_the_code() -> None:
    """Mend with: python -c "from pathlib import Path; from governance.policy.reference import filled; ..." """
    text = PAGE.read_text("utf-8")
    assert filled(text) == text
    assert all(f"<!-- {name} -->" in text for name in ("fields", "context", "rules", "placeholders"))


def test_the_example_of_the_page_is_a_policy_without_a_mistake(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert yaml.safe_load(example)["kind"] == "Policy"
    (tmp_path / "example.yaml").write_text(example, "utf-8")
    from datetime import date

    assert [one.render() for one in examine(tmp_path, today=date(2026, 11, 23)).problems] == []


def test_rules_are_documented_sentences() -> None:
    from governance.policy.lint import RULES

    assert all(isinstance(rule, Rule) and rule.says.endswith(".") for rule in RULES)
