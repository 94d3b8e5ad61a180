"""HTTP/1.1 as uvicorn reads it, with limits in time that uvicorn leaves to a proxy: for a request's head and body."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
BODY_SECONDS = 300.0


class Protocol(H11Protocol):
    """One connection. A head may take `HEAD_SECONDS`, from the connection's begin or the request's first byte; the body
    may take `BODY_SECONDS` after it, read or not, answered or not. Then the connection is closed, without an answer:
    nobody listens. Between requests uvicorn's keep-alive counts; a websocket has pings of its own.
    """

    _deadline: asyncio.TimerHandle | None = None
    _awaited: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(h11.IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        requests = self.cycle
        super().data_received(data)
        self._follow(anew=self.cycle is not requests)

    def on_response_complete(self) -> None:
        """Also a pipelined request begins here: its bytes have come before."""
        requests = self.cycle
        super().on_response_complete()
        if self.cycle is not requests:
            self._follow(anew=True)
        elif self.conn.their_state is not h11.SEND_BODY:
            self._expect(None)

    def _follow(self, *, anew: bool) -> None:
        state = self.conn.their_state
        expected = state if state in (h11.IDLE, h11.SEND_BODY) else None
        if self.transport.get_protocol() is not self:  # a websocket now, whose request was not read to its end
            expected = None
        if anew or expected is not self._awaited:
            self._expect(expected)

    def _expect(self, state: object) -> None:
        """Sets the deadline of what is awaited now: a head (IDLE), a body (SEND_BODY) or nothing (None)."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._awaited = state
        if state is not None and not self.transport.is_closing():
            seconds = HEAD_SECONDS if state is h11.IDLE else BODY_SECONDS
            self._deadline = self.loop.call_later(seconds, self.transport.abort)
