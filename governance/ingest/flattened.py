"""Attributes that spell a list in their names: `llm.input_messages.0.message.role` and the like."""

from __future__ import annotations

import re
from typing import Any

from governance.ingest.records import Attributes

MAX_DEPTH = 16
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
        match = _FLATTENED.match(key)
        if match is None:
            continue
        name, index, below = match.groups()
        node = trees.setdefault(name, {})
        *path, last = [index, *below.split(".", MAX_DEPTH)] if below else [index]
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


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(name.isascii() and name.isdigit() and len(name) < 10 for name in node):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(child) for name, child in node.items()}
