"""What the documents say of settings, for the deployment files' tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCUMENTED = frozenset(
    re.findall(r"^\| `(GOVERNANCE_[A-Z_]+)` \|", (ROOT / "docs" / "settings.md").read_text("utf-8"), flags=re.MULTILINE)
)
# PostgreSQL's own client reads it; the address then holds no password.
FOREIGN = frozenset({"PGPASSWORD"})
