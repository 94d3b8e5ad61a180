"""What the server and its recording process say to each other: a line of JSON, then (in a request) the body."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from governance import errors
from governance.errors import GovernanceError, Overloaded
from governance.intake import Body, Taken

_ERRORS = {kind.__name__: kind for kind in (errors.BadInput, errors.TooLarge, errors.Overloaded, errors.Misconfigured)}


def request(number: int, body: Body) -> bytes:
    head = asdict(replace(body, content=b""))
    del head["content"]
    return json.dumps([number, head]).encode() + b"\n" + body.content


def read_request(message: bytes) -> tuple[int, Body]:
    head, _, content = message.partition(b"\n")
    number, values = json.loads(head)
    return number, Body(content=content, **values)


def answer(number: int, outcome: Taken | BaseException) -> bytes:
    """An error that is not ours says nothing of itself: its words may quote the content."""
    if isinstance(outcome, Taken):
        return json.dumps([number, asdict(outcome), None]).encode()
    if not isinstance(outcome, GovernanceError):
        outcome = Overloaded("The body could not be recorded.", advice="Send again later.")
    error = {"kind": type(outcome).__name__, "message": outcome.message, "advice": outcome.advice}
    if isinstance(outcome, Overloaded):
        error["retry_after"] = str(outcome.retry_after)
    return json.dumps([number, None, error]).encode()


def read_answer(message: bytes) -> tuple[int, Taken | GovernanceError]:
    number, taken, error = json.loads(message)
    if taken is not None:
        return number, Taken(**taken | {"problems": tuple(taken["problems"])})
    if "retry_after" in error:
        return number, Overloaded(error["message"], advice=error["advice"], retry_after=int(error["retry_after"]))
    kind = _ERRORS.get(error["kind"], GovernanceError)
    return number, kind(error["message"], advice=error["advice"])
