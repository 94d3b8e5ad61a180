"""Request bodies in bounded memory: a limit for each, a limit for all together, and a limit in time."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NoReturn

import anyio
from starlette.requests import Request

from governance.api.problems import TimedOut, UnsupportedMediaType
from governance.errors import BadInput, Overloaded, TooLarge
from governance.ingest.text import why_no_json

PLAIN = ("", "identity")
IN_FLIGHT_BYTES = 64 * 2**20
SECONDS = 60
# A body that is refused is still read up to here and thrown away: a client that is busy sending sees no answer.
_DRAIN_BYTES = 128 * 2**20
_DRAIN_SECONDS = 10
_SURROGATES = dict.fromkeys(range(55296, 57344), 65533) | {0: 0xFFFD}


def coding_of(request: Request) -> str:
    return request.headers.get("content-encoding", "").strip().lower()


class Bodies:
    """All bodies that are being received or decoded in this process."""

    def __init__(self, *, limit: int, in_flight: int = IN_FLIGHT_BYTES) -> None:
        """`limit` bytes a body; `in_flight` bytes together, beyond which work is shed."""
        self.limit = limit
        self._in_flight = in_flight
        self._held = 0

    async def read(self, request: Request, codings: Collection[str] = PLAIN) -> HeldBody:
        """The raw body, to be used as a context manager. Raises `UnsupportedMediaType` for a Content-Encoding not among
        `codings`, `TooLarge`, `Overloaded` or `TimedOut`."""
        if (coding := coding_of(request)) not in codings:
            taken = " or ".join([*(name for name in codings if name not in PLAIN), "no encoding"])
            raise UnsupportedMediaType(f"The content encoding {coding[:40]!r} is not taken.", advice=f"Send {taken}.")
        held = HeldBody(self)
        try:
            with anyio.fail_after(SECONDS):
                await self._collect(request, held)
        except TimeoutError:
            held.release()
            raise TimedOut(
                f"The body did not arrive within {SECONDS} seconds.", advice="Send smaller batches."
            ) from None
        except BaseException:
            held.release()
            raise
        return held

    async def _collect(self, request: Request, held: HeldBody) -> None:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self.limit:
            await self._drain(request, int(announced))
            self._too_large()
        async for chunk in request.stream():
            if held.size + len(chunk) > self.limit:
                held.release()
                await self._drain(request, self.limit)
                self._too_large()
            if self._held + len(chunk) > self._in_flight and self._held > held.size:
                raise Overloaded("Too many requests are being received.", advice="Send again later.")
            self._held += len(chunk)
            held.add(chunk)

    async def _drain(self, request: Request, announced: int) -> None:
        if announced > _DRAIN_BYTES:
            return
        read = 0
        with anyio.move_on_after(_DRAIN_SECONDS):
            async for chunk in request.stream():
                read += len(chunk)
                if read > _DRAIN_BYTES:
                    return

    def _too_large(self) -> NoReturn:
        raise TooLarge(f"The body is over the limit of {self.limit} bytes.", advice="Send smaller batches.")


class HeldBody:
    """A body that counts as in flight until it is released."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._received = bytearray()  # not a list of what came: it may come in pieces of one byte
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self._received += chunk
        self.size += len(chunk)

    def release(self) -> None:
        self._bodies._held -= self.size
        self._received, self.size = bytearray(), 0

    def __enter__(self) -> bytes:
        content = bytes(self._received)
        self._received = bytearray()  # one copy is enough
        return content

    def __exit__(self, *_: object) -> None:
        self.release()


def parse_json(body: bytes) -> Any:
    """A JSON document (RFC 8259). Lone surrogates and NUL, which no text column can hold, become U+FFFD, one for one,
    so that offsets stay. Raises `BadInput` with the place."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"The body is not UTF-8 (byte {error.start}).", advice="Send JSON in UTF-8.") from None
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object) if text.strip() else _empty()
    except json.JSONDecodeError as error:
        raise BadInput(f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from None
    except RecursionError:
        raise BadInput("The body's JSON is nested too deeply.") from None
    except ValueError as error:
        raise BadInput(f"The body is not JSON: {why_no_json(error)}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, value in pairs:
        name = _clean(name)
        if name in found:
            # Two readers of one document could otherwise see two different texts.
            raise BadInput(f"The body is not JSON: the name {name[:40]!a} occurs twice in one object.")
        found[name] = _clean(value)
    return found


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else value.translate(_SURROGATES)
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _no_constant(name: str) -> NoReturn:
    raise BadInput(f"The body is not JSON: {name} is not a JSON number.")


def _empty() -> NoReturn:
    raise BadInput("The body is not JSON: it is empty.")
