"""The naming conventions of attributes that producers use, one file each.

Each has `FIELDS` (attribute -> our field; the first convention that names a field and has a value wins), and most a
`read` for its content. `table` puts them together in their order of precedence.
"""

from __future__ import annotations

from governance.ingest.conventions import gen_ai, general, mcp, openinference, openllmetry, others, vercel

ORDER = (gen_ai, openinference, openllmetry, vercel, others, mcp, general)


def table() -> dict[str, tuple[str, int, int]]:
    """Attribute -> (field, rank, convention's bit); a lower rank wins."""
    out: dict[str, tuple[str, int, int]] = {}
    rank = 0
    for place, convention in enumerate(ORDER):
        for name, field in convention.FIELDS.items():
            out.setdefault(name, (field or name, rank, 1 << place))
            rank += 1
    return out


GEN_AI, OPENINFERENCE, OPENLLMETRY, VERCEL, OTHERS, MCP, GENERAL = (1 << place for place in range(len(ORDER)))
