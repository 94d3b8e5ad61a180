"""Changes a policy file as a person would: one value or one list item, everything else to the character as it was.

Whatever is written is read again: if the file would then say anything but what was asked for, nothing is changed.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

import yaml

from governance.errors import BadInput
from governance.policy.source import Value, read

ITEM_INDENT = 2


def with_param(text: str, name: str, value: Value) -> str:
    """The file's text with another value of a parameter that it states. Raises `BadInput` where it states none."""
    node = _at(_root(text), ("params", name))
    if node is None:
        raise BadInput(f"The file states no parameter {name!r}.")
    end = node.end_mark.index if _flow(node) else len(text[: node.end_mark.index].rstrip())
    changed = text[: node.start_mark.index] + written(value) + text[end:]
    return _proven(text, changed, ("params", name), value)


def with_item(text: str, key: str, item: Mapping[str, Value]) -> str:
    """The file's text with a further item in one of its lists (`tests`, `exceptions`), which is begun if need be."""
    root = _root(text)
    node = _at(root, (key,))
    line = f"- {written(item)}"
    if node is None:
        before = _key(root, "tests") or _key(root, "budget")
        at = len(text.rstrip()) + 1 if before is None else before.start_mark.index
        base = text if before is not None else text.rstrip() + "\n"
        changed = f"{base[:at]}{key}:\n{' ' * ITEM_INDENT}{line}\n{base[at:]}"
        return _proven(text, changed, (key,), [dict(item)])
    if not isinstance(node, yaml.SequenceNode):
        raise BadInput(f"{key!r} is not a list in this file.")
    if node.flow_style:
        end = node.end_mark.index - 1
        comma = ", " if node.value else ""
        changed = f"{text[:end].rstrip()}{comma}{written(item)}{text[end:]}"
    else:
        end = len(text[: node.value[-1].end_mark.index].rstrip())
        indent = " " * node.start_mark.column
        changed = f"{text[:end]}\n{indent}{line}{text[end:]}"
    stated = read("policy.yaml", text.encode())[0].value
    items = stated.get(key) if isinstance(stated, dict) else None
    return _proven(text, changed, (key,), [*(items if isinstance(items, list) else []), dict(item)])


def written(value: object) -> str:
    """A value in YAML's flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        # YAML 1.1 reads an exponent as a number only after a point.
        mantissa, sign, exponent = repr(value).partition("e")
        return mantissa + (".0" if sign and "." not in mantissa else "") + sign + exponent
    if isinstance(value, int | dt.date):
        return str(value)
    if value is None:
        return "null"
    return '"' + "".join(_escaped(character) for character in str(value)) + '"'


def _escaped(character: str) -> str:
    point = ord(character)
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if character.isprintable() and point != 0xFEFF:
        return character
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _root(text: str) -> yaml.MappingNode:
    source, problems = read("policy.yaml", text.encode("utf-8", "surrogatepass"))
    if problems:
        raise BadInput(f"The policy file cannot be read: {problems[0].message}.")
    root = yaml.compose(source.text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise BadInput("The policy file is not written as keys and values, one below the other.")
    return root


def _at(root: yaml.MappingNode, path: tuple[str, ...]) -> yaml.Node | None:
    node: yaml.Node = root
    for step in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        found = next((value for key, value in node.value if key.value == step), None)
        if found is None:
            return None
        node = found
    return node


def _key(root: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((key for key, _ in root.value if key.value == name), None)


def _flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) or bool(getattr(node, "flow_style", False))


def _proven(before: str, after: str, path: tuple[str, ...], value: Value) -> str:
    """`after`, if it says what `before` said, with `value` at `path`. Raises `BadInput` if not."""
    expected = read("policy.yaml", before.encode())[0].value
    source, problems = read("policy.yaml", after.encode())
    if isinstance(expected, dict) and not problems:
        into: dict[str, Value] = expected
        for step in path[:-1]:
            inner = into.get(step)
            if not isinstance(inner, dict):
                break
            into = inner
        into[path[-1]] = value
        if source.value == expected:
            return after
    raise BadInput(f"The file is written in a way in which {'.'.join(path)} must be changed by hand.")
