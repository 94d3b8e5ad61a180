"""The naming conventions of attributes that producers use, one file each.

Each has `FIELDS` (attribute -> our field; the first convention that names a field and has a value wins), and most a
`read` for its content. `table` puts them together in their order of precedence.
"""

from __future__ import annotations

from governance.ingest.conventions import gen_ai, general, mcp, openinference, openllmetry, others, vercel

ORDER = (gen_ai, openinference, openllmetry, vercel, others, mcp, general)


def table() -> dict[str, tuple[str, int]]:
    """Attribute -> (field, convention's bit)."""
    out: dict[str, tuple[str, int]] = {}
    for place, convention in enumerate(ORDER):
        for name, field in convention.FIELDS.items():
            out.setdefault(name, (field or name, 1 << place))
    return out


def names() -> dict[str, tuple[str, ...]]:
    """Field -> its attributes, in their order of precedence."""
    out: dict[str, list[str]] = {}
    for name, (field, _) in table().items():
        out.setdefault(field, []).append(name)
    return {field: tuple(attributes) for field, attributes in out.items()}


GEN_AI, OPENINFERENCE, OPENLLMETRY, VERCEL, OTHERS, MCP, GENERAL = (1 << place for place in range(len(ORDER)))
