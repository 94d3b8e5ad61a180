"""JSON bodies against their models: the error says where and what, and repeats nothing of what was sent."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from governance.errors import BadInput

M = TypeVar("M", bound=BaseModel)
_MOST = 20


class Invalid(BadInput):
    """A body with wrong fields: `errors` lists {at, problem}."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        ends = "" if errors[0]["problem"].endswith("?") else "."
        super().__init__(f"{errors[0]['at']}: {errors[0]['problem']}{ends}", advice="See /v1/openapi.json.")
        self.errors = errors


def validated(model: type[M], value: Any) -> M:
    """The model's instance. Raises `Invalid` with every wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(describe(error.errors(include_input=False, include_url=False))) from None


def describe(found: Any) -> list[dict[str, str]]:
    """At most twenty {at, problem} of a validator's errors."""
    return [{"at": place(item["loc"]), "problem": _words(item)} for item in list(found)[:_MOST]]


def _words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "no such field"
    if item["type"] == "missing":
        return "missing"
    if item["type"] in ("model_type", "dict_type"):
        return "an object is needed"
    return str(item["msg"]).removeprefix("Value error, ").rstrip(".")


def place(location: tuple[int | str, ...]) -> str:
    """`messages[0].text` for ("messages", 0, "text")."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    for prefix in (".body", ".query", ".path", "."):
        path = path.removeprefix(prefix)
    return path or "body"


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI request body for a route that reads its body itself, in bounds; `contract` adds the model."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
