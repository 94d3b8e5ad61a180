"""Lint rules, one a file. A new rule is a module with a `RULE`, named here."""

from __future__ import annotations

from governance.policy.lint import (
    condition_constant,
    condition_ill_typed,
    condition_pattern,
    condition_shadowed,
    condition_unknown_name,
    control_unknown,
    detector_unknown,
    exception_expired,
    exception_without_end,
    explanation_unknown_placeholder,
    floor_misplaced,
    floor_weaker,
    id_duplicate,
    name_unused,
    outcome_missing,
    recogniser_bad,
    safe_response_missing,
    tests_missing,
)
from governance.policy.lint.interface import Rule

RULES: tuple[Rule, ...] = (
    id_duplicate.RULE,
    detector_unknown.RULE,
    recogniser_bad.RULE,
    condition_ill_typed.RULE,
    condition_pattern.RULE,
    condition_unknown_name.RULE,
    condition_constant.RULE,
    condition_shadowed.RULE,
    explanation_unknown_placeholder.RULE,
    safe_response_missing.RULE,
    outcome_missing.RULE,
    control_unknown.RULE,
    exception_expired.RULE,
    exception_without_end.RULE,
    floor_misplaced.RULE,
    floor_weaker.RULE,
    tests_missing.RULE,
    name_unused.RULE,
)
