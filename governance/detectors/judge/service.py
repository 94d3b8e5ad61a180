"""Speaks with the judge's service over HTTP, within a time and a budget, and knows when the other side is not well:
from then on nobody waits for it, until it answers again.

One thread with an event loop of its own does it for all threads of this process and all policy sets: a request that
takes too long is really ended, whatever the service does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from governance.detectors.interface import Condition, JudgeEndpoint
from governance.detectors.judge.budget import Budget
from governance.detectors.judge.question import ANSWER_TOKENS, Judgement, NotJudged, Question, messages, read, schema
from governance.detectors.sharing import Shared
from governance.errors import Misconfigured

if TYPE_CHECKING:
    import httpx

AT_ONCE = 8
"""Requests under way."""
LONGEST_ANSWER = 1 << 20
"""Bytes of a response."""
REMEMBERED = 20_000
"""Judgements kept in memory."""
STRIKES = 3
"""Failures in a row after which the service is taken for down; a refused connection or key counts at once."""
PAUSES = (1.0, 300.0)
"""Seconds before it is looked at again: at first, and at most."""
BREATH = 0.5
"""Seconds before a request is made a second time."""
LEAST = 0.05
"""Seconds below which nothing is asked any more."""
_NOT_OURS = (301, 302, 303, 307, 308)


class ServiceFailed(NotJudged):
    """The service is to blame, not the text. `at_once`: others need not be tried; `pause` is what it asks for."""

    def __init__(self, message: str, *, at_once: bool = False, again: bool = False, pause: float = 0.0) -> None:
        super().__init__(message)
        self.at_once = at_once
        self.again = again
        self.pause = pause


class _Refused(NotJudged):
    """The service does not take the request as it is."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a request is put. Services differ in what they take; the first that one takes is kept."""

    structured: bool
    limit: Literal["max_tokens", "max_completion_tokens"]
    temperature: bool


_FORMS = (
    _Form(True, "max_tokens", True),
    _Form(True, "max_completion_tokens", False),
    _Form(False, "max_tokens", True),
)


def checked(endpoint: JudgeEndpoint) -> JudgeEndpoint:
    """The endpoint, its URL without a slash at the end. Raises `Misconfigured`, in words that show no secret."""
    if not endpoint.url or not endpoint.model:
        raise Misconfigured("No judge is set.", advice="Set GOVERNANCE_JUDGE_URL and GOVERNANCE_JUDGE_MODEL.")
    advice = "An address is like https://judge.example.org/v1; http is for this machine only."
    try:
        url = urlsplit(endpoint.url)
        _ = url.port
    except ValueError:
        raise Misconfigured("GOVERNANCE_JUDGE_URL is not an address.", advice=advice) from None
    wanted = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.hostname or ""))
    if not wanted or not url.hostname or url.username is not None or url.query or url.fragment:
        raise Misconfigured("GOVERNANCE_JUDGE_URL cannot be used.", advice=advice)
    if any(not "!" <= character <= "~" for character in endpoint.key):
        raise Misconfigured("GOVERNANCE_JUDGE_KEY contains characters that no key has.")
    return JudgeEndpoint(
        url=endpoint.url.rstrip("/"),
        key=endpoint.key,
        model=endpoint.model,
        timeout=endpoint.timeout,
        calls_a_day=endpoint.calls_a_day,
        tokens_a_day=endpoint.tokens_a_day,
    )


class Service:
    """One service and model. Safe to share among threads; its thread begins with the first question."""

    def __init__(self, endpoint: JudgeEndpoint, budget: Budget) -> None:
        """`endpoint` as `checked` gives it."""
        self._endpoint = endpoint
        self._budget = budget
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._known: OrderedDict[bytes, Judgement] = OrderedDict()
        self._state: Literal["idle", "loading", "ready", "failed"] = "idle"
        self._detail = ""
        self._strikes = 0
        self._pauses = 0
        self._answers = 0
        self._seconds = 0.0
        # Of the loop's thread alone:
        self._client: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._form: _Form | None = None
        self._reviving: asyncio.Task[None] | None = None

    @property
    def condition(self) -> Condition:
        if self._budget.spent:
            return Condition(state="failed", detail="The judge's budget of today is spent.")
        with self._lock:
            mean = 1000 * self._seconds / self._answers if self._answers else 0.0
            return Condition(state=self._state, detail=self._detail, milliseconds=mean)

    def prepare(self) -> None:
        """Looks whether the service is there, in the background; that costs no judgement."""
        with self._lock:
            if self._state != "idle" or self._closed:
                return
            self._state = "loading"
        with suppress(NotJudged):
            loop = self._running()
            asyncio.run_coroutine_threadsafe(self._look(), loop)

    def ask(self, questions: Sequence[Question], *, seconds: float) -> list[Judgement | NotJudged]:
        """One outcome a question, in order, within the seconds that all of them have together."""
        if not questions:
            return []
        try:
            loop = self._running()
        except NotJudged as error:
            return [error] * len(questions)
        until = time.monotonic() + seconds
        future = asyncio.run_coroutine_threadsafe(self._every(questions, until, seconds), loop)
        try:
            return future.result(seconds + 5)
        except (CancelledError, TimeoutError):  # it was closed meanwhile
            return [NotJudged("The judge is not running: closed.")] * len(questions)

    def close(self) -> None:
        """Ends what is under way, and the thread."""
        with self._lock:
            self._closed = True
            self._state, self._detail = "failed", "closed"
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread.is_alive():
            with suppress(RuntimeError):  # it ended by itself, with Python
                asyncio.run_coroutine_threadsafe(self._end(), loop)
            thread.join(10)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise NotJudged("The judge is not running: closed.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._work, args=(self._loop,), name="judge", daemon=True)
                self._thread.start()
            return self._loop

    @staticmethod
    def _work(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    # In the loop's thread

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        asyncio.get_running_loop().stop()

    async def _every(self, questions: Sequence[Question], until: float, seconds: float) -> list[Judgement | NotJudged]:
        tasks = {one: asyncio.ensure_future(self._one(one, until, seconds)) for one in dict.fromkeys(questions)}
        await asyncio.wait(tasks.values())
        return [tasks[question].result() for question in questions]

    async def _one(self, question: Question, until: float, seconds: float) -> Judgement | NotJudged:
        digest = question.digest
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
            return known
        try:
            async with asyncio.timeout(until - time.monotonic()):
                self._ready()
                await self._turns.acquire()
        except TimeoutError:
            return NotJudged(f"The judge had no time within {seconds:g} s.")
        except NotJudged as error:
            return error
        try:
            self._ready()
            judgement = await self._judged(question, until)
        except NotJudged as error:
            return error
        except Exception as error:  # of a library: its words may hold what was sent
            return NotJudged(f"The judge could not be asked ({type(error).__name__}).")
        finally:
            self._turns.release()
        self._known[digest] = judgement
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return judgement

    def _ready(self) -> None:
        if self._state == "failed":
            raise NotJudged(f"The judge is not there: {self._detail}")

    async def _judged(self, question: Question, until: float) -> Judgement:
        """Asks, and once more where the service was at fault for a moment."""
        for last in (False, True):
            began = time.monotonic()
            left = min(self._endpoint.timeout, until - began)
            if left < LEAST:
                raise NotJudged("The judge had no time left.")
            try:
                async with asyncio.timeout(left):
                    return await self._asked(question)
            except TimeoutError:
                error = ServiceFailed(f"The judge took over {left:.3g} s.")
            except ServiceFailed as failed:
                error = failed
            pause = error.pause or BREATH
            if last or not error.again or time.monotonic() + pause + 1 > until:
                self._struck(error)
                raise error
            await asyncio.sleep(pause)
        raise AssertionError

    async def _asked(self, question: Question) -> Judgement:
        """One request, in the form that the service takes. Raises `NotJudged`."""
        for form in _FORMS if self._form is None else (self._form,):
            with suppress(_Refused):
                return await self._requested(question, form)
        raise NotJudged("The judge's service refuses the request.")

    async def _requested(self, question: Question, form: _Form) -> Judgement:
        said = messages(question)
        body: dict[str, Any] = {"model": self._endpoint.model, "messages": said, form.limit: ANSWER_TOKENS}
        if form.temperature:
            body["temperature"] = 0
        if form.structured:
            body["response_format"] = schema(question.rubric)
        guess = sum(len(one["content"].encode()) for one in said) // 3 + ANSWER_TOKENS
        self._budget.take(guess)
        began = time.monotonic()
        response = await self._post(body, guess)
        text, used = _content(response)
        self._budget.settle((guess if used is None else used) - guess)
        self._form = form
        self._well(time.monotonic() - began)
        return read(text, question.rubric)

    async def _post(self, body: dict[str, Any], guess: int) -> dict[str, Any]:
        """The response's object. What was not taken costs no tokens; what was and came to nothing may have."""
        import httpx

        got = bytearray()
        try:
            async with self._open().stream("POST", f"{self._endpoint.url}/chat/completions", json=body) as response:
                try:
                    _raise_for(response)
                except NotJudged:
                    self._budget.settle(-guess)
                    raise
                async for chunk in response.aiter_raw():
                    got += chunk
                    if len(got) > LONGEST_ANSWER:
                        raise ServiceFailed("The judge's service answered too much.")
        except (httpx.ConnectError, httpx.ProxyError):
            self._budget.settle(-guess)
            raise ServiceFailed("The judge's service cannot be reached.", at_once=True) from None
        except httpx.HTTPError:
            raise ServiceFailed("The judge's service broke off.", again=True) from None
        try:
            found = json.loads(got)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ServiceFailed("The judge's service answered something other than JSON.")
        return found

    def _open(self) -> httpx.AsyncClient:
        """The client, made once. It follows no redirect, and asks no proxy on the way to this machine itself."""
        if self._client is None:
            import httpx

            secure = self._endpoint.url.startswith("https:")
            key = self._endpoint.key
            self._client = httpx.AsyncClient(
                headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
                timeout=None,  # noqa: S113 - each request is timed as a whole
                follow_redirects=False,
                trust_env=secure,
                verify=secure,
                limits=httpx.Limits(max_connections=AT_ONCE + 1, keepalive_expiry=30),
            )
        return self._client

    # How the service fares

    def _well(self, seconds: float) -> None:
        with self._lock:
            self._answers += 1
            self._seconds += seconds
            self._strikes = self._pauses = 0
            if not self._closed:
                self._state, self._detail = "ready", ""

    def _struck(self, error: ServiceFailed) -> None:
        with self._lock:
            self._strikes += 1
            if self._state == "failed" or not (error.at_once or self._strikes >= STRIKES):
                return
        self._down(error)

    def _down(self, error: ServiceFailed) -> None:
        """Nobody waits for it from now on; a task looks for it again and again."""
        with self._lock:
            if self._closed:
                return
            self._state, self._detail = "failed", error.message
        if self._reviving is None or self._reviving.done():
            self._reviving = asyncio.ensure_future(self._revive(error.pause))

    async def _revive(self, pause: float) -> None:
        while not self._closed:
            await asyncio.sleep(max(pause, min(PAUSES[1], PAUSES[0] * 2.0 ** min(self._pauses, 30))))
            self._pauses += 1
            pause = 0.0
            problem = await self._problem()
            with self._lock:
                if self._closed:
                    return
                if problem is None:
                    self._state, self._detail = "ready", ""
                    self._strikes = STRIKES - 1  # it has to show that it is well: one failure more, and it is down
                    return
                self._detail = problem.message

    async def _look(self) -> None:
        problem = await self._problem()
        if problem is not None:
            self._down(problem)
            return
        with self._lock:
            if self._state == "loading":
                self._state = "ready"

    async def _problem(self) -> ServiceFailed | None:
        """Whether the service is there and takes the key, as its list of models says; one without such a list is
        there. Costs nothing."""
        import httpx

        try:
            async with (
                asyncio.timeout(self._endpoint.timeout),
                self._open().stream("GET", f"{self._endpoint.url}/models") as response,
            ):
                if response.status_code not in (400, 404, 405, 422):
                    _raise_for(response)
        except ServiceFailed as error:
            return error
        except TimeoutError:
            return ServiceFailed(f"The judge took over {self._endpoint.timeout:g} s.")
        except (httpx.HTTPError, OSError):
            return ServiceFailed("The judge's service cannot be reached.")
        return None


def _raise_for(response: httpx.Response) -> None:
    """Raises what a status means. The service's own words are not read: they may repeat the key or the text."""
    status = response.status_code
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ServiceFailed("The judge's service answered in an encoding that it was not asked for.")
    if status == 200:
        return
    if status in _NOT_OURS:
        raise ServiceFailed(f"The judge's service sends elsewhere ({status}), which is not followed.", at_once=True)
    if status in (401, 403):
        raise ServiceFailed(f"The judge's service refuses the key ({status}).", at_once=True)
    if status == 404:
        raise ServiceFailed("The judge's service has no such path or model (404).", at_once=True)
    if status == 429:
        pause = _pause(response)
        raise ServiceFailed("The judge's service asks for fewer requests (429).", at_once=True, again=True, pause=pause)
    if status >= 500:
        raise ServiceFailed(f"The judge's service failed ({status}).", again=True, pause=_pause(response))
    raise _Refused(f"The judge's service refuses the request ({status}).")


def _pause(response: httpx.Response) -> float:
    """Seconds that the service asks for, within bounds; 0 where it says nothing that we read."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), PAUSES[1]) if said.isascii() and said.isdigit() and len(said) < 9 else 0.0


def _content(response: dict[str, Any]) -> tuple[str, int | None]:
    """What the model said, and the tokens of question and answer as the service counts them."""
    choices = response.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ServiceFailed("The judge's service answered in another form than chat completions have.")
    if choice.get("finish_reason") == "length":
        raise NotJudged("The judge's answer was cut off.")
    text = message.get("content")
    if message.get("refusal") or choice.get("finish_reason") == "content_filter" or not isinstance(text, str):
        raise NotJudged("The judge declined to answer.")
    usage = response.get("usage")
    used = usage.get("total_tokens") if isinstance(usage, dict) else None
    return text, used if type(used) is int and 0 <= used <= 10**9 else None


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_shared: Shared[bytes, Service] = Shared()
release = _shared.release


def share(endpoint: JudgeEndpoint, budget: Budget) -> tuple[bytes, Service]:
    """The service of this process for exactly that endpoint, and the key to `release` it by."""
    key = hashlib.sha256(f"{endpoint!r}\0{endpoint.key}".encode()).digest()
    return key, _shared.acquire(key, lambda: Service(endpoint, budget))
