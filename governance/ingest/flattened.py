"""Attributes that spell a list in their names: `llm.input_messages.0.message.role` and the like."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from governance.ingest.records import Attributes

MAX_DEPTH = 16
_MEMORABLE = 200
LISTS = (
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.tools",
    "llm.request.functions",
    "retrieval.documents",
    "reranker.input_documents",
    "reranker.output_documents",
    "embedding.embeddings",
    "message.tool_calls",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
)
_FLATTENED = re.compile(rf"({'|'.join(re.escape(name) for name in LISTS)})\.([0-9]{{1,9}})(?:\.(.+))?\Z", re.DOTALL)


def gathered(attributes: Attributes) -> dict[str, list[Any]]:
    """Takes every attribute that belongs to one of `LISTS` out of `attributes` and gives the lists, in the order of
    their numbers, gaps closed. What is below an item is an object again, or a list where all names are numbers."""
    trees: dict[str, dict[str, Any]] = {}
    for key in list(attributes):
        place = _place(key) if len(key) <= _MEMORABLE else _place.__wrapped__(key)
        if place is None:
            continue
        name, path, last = place
        node = trees.get(name)
        if node is None:
            node = trees[name] = {}
        for step in path:
            child = node.get(step)
            if not isinstance(child, dict):
                child = {} if child is None else {"": child}
                node[step] = child
            node = child
        value = attributes.pop(key)
        if isinstance(node.get(last), dict):
            node[last][""] = value
        else:
            node[last] = value
    return {name: [_listed(tree[index]) for index in sorted(tree, key=int)] for name, tree in trees.items()}


@lru_cache(maxsize=4096)
def _place(key: str) -> tuple[str, tuple[str, ...], str] | None:
    """The list an attribute belongs to, the steps to its object, and its own name there. An application's spans have
    the same names again and again."""
    match = _FLATTENED.match(key)
    if match is None:
        return None
    name, index, below = match.groups()
    *path, last = [index, *below.split(".", MAX_DEPTH)] if below else [index]
    return name, tuple(path), last


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if _numbered(node):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(child) if isinstance(child, dict) else child for name, child in node.items()}


def _numbered(node: dict[str, Any]) -> bool:
    for name in node:
        if not (name.isascii() and name.isdigit() and len(name) < 10):
            return False
    return bool(node)
