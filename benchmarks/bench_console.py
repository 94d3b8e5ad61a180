"""How long a click takes with 1,000,000 calls stored, page by page: over the websocket, as a browser does it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.server import _free_port as free_port
from benchmarks.table import Row, Table
from governance import bootstrap
from governance.bootstrap import Application
from governance.bootstrap.settings import Settings
from governance.domain.people import Role, RoleBinding, operator
from governance.domain.times import micros
from governance.policy.load import load
from governance.store.base import bulk
from governance.store.base import tables as t
from governance.store.calls import figures

CALLS = 1_000_000
CASES = 400
RERUNS = 60
GOAL_MS = 100.0
_BATCH = 20_000
_SYSTEMS = ("Claims assistant", "HR assistant", "Coding agent")


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        application = bootstrap.open_application(
            Settings(data_dir=Path(folder), _env_file=None),  # type: ignore[call-arg]
            migrate=True,
        )
        token = fill(application, CALLS, CASES)
        application.close()
        with serving(Path(folder)) as port:
            figures_ = asyncio.run(_measure(port, token))
    return Table(
        title=f"Console, rerun with {CALLS:,} calls and {CASES} open cases stored",
        rows=tuple(
            Row(
                what=f"{what}, {'median' if at == 50 else '95th percentile'}",
                measured=_percentile(times, at),
                unit="ms",
                goal=f"at most {GOAL_MS:.0f} ms" if at == 50 else "",
                met=_percentile(times, at) <= GOAL_MS if at == 50 else None,
            )
            for what, times in figures_.items()
            for at in (50, 95)
        ),
        notes=(f"One session over its websocket, {RERUNS} reruns a page, until the script's end is announced.",),
    )


def _percentile(times: list[float], at: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[at - 1]


def fill(application: Application, calls: int, cases: int) -> str:
    """Writes rows straight into the tables, and gives the session token of a reviewer. Every 40th call is flagged."""
    database = application.database
    rng = random.Random(7)
    now = micros(application.clock())
    first = database.ids.take(len(_SYSTEMS) + 3)
    systems = [first + n for n in range(len(_SYSTEMS))]
    conversation, policy_set = first + len(_SYSTEMS), first + len(_SYSTEMS) + 1
    _key, wrapped = application.key_ring.create()
    messages = database.ids.take(200)
    with database.write() as tx:
        c = tx.connection
        bulk.insert(c, t.system, [(n, name, now) for n, name in zip(systems, _SYSTEMS, strict=True)])
        bulk.insert(c, t.conversation, [(conversation, systems[0], "session:bench", wrapped, now)])
        bulk.insert(c, t.policy_set, [(policy_set, "ab" * 32, "{}", now)])
        bulk.insert(
            c,
            t.examination,
            [
                (messages + n, "bench", '{"findings":[],"failures":[]}', f"A claim is decided within {n} working days.")
                for n in range(200)
            ],
        )
    flagged: list[tuple[int, int]] = []
    for begin in range(0, calls, _BATCH):
        ids = database.ids.take(_BATCH)
        rows = []
        counted = []
        for n in range(_BATCH):
            number, system = ids + n, systems[n % len(systems)]
            at = now - (calls - begin - n) * 1_200_000  # 1,000,000 calls in 14 days
            is_flagged = n % 40 == 0
            if is_flagged and len(flagged) < cases:
                flagged.append((number, system))
            parts = json.dumps(
                [["input", messages + n % 200, "user"], ["output", messages + (n + 7) % 200, "assistant"]]
            )
            rows.append(
                (
                    number,
                    (number // 4).to_bytes(16, "big"),
                    number.to_bytes(8, "big"),
                    None,
                    system,
                    None,
                    conversation,
                    "llm",
                    "chat gpt-4.1",
                    "s",
                    "u",
                    "customer",
                    at,
                    900_000,
                    "gpt-4.1",
                    "openai",
                    300,
                    80,
                    None,
                    "",
                    1,
                    parts,
                    None,
                    None,
                    0,
                    "checked",
                    "block" if is_flagged else "allow",
                    "security" if is_flagged else "",
                    "",
                    1,
                    at,
                )
            )
            counted.append(
                figures.Counted(system_id=system, started_at=at, calls=1, flagged=int(is_flagged), input_tokens=300)
            )
        with database.write() as tx:
            bulk.insert(tx.connection, t.call, rows)
            figures.add(tx.connection, counted)
    with database.write() as tx:
        for number, system in flagged:
            tx.connection.execute(
                t.case.insert().values(
                    kind="flagged",
                    state="open",
                    queue="security",
                    severity=rng.randint(1, 4),
                    title="Document carries instructions",
                    excerpt="the customer is already verified",
                    system_id=system,
                    call_id=number,
                    policy="injection.retrieved-document",
                    reports=0,
                    opened_at=now,
                    due_at=now + rng.randint(-10, 200) * 3_600_000_000,
                    escalated=False,
                )
            )
    _policies(application, systems, [number for number, _system in flagged])
    made = application.people.add(operator("benchmark"), "bench", [RoleBinding(role=Role.REVIEWER)])
    return application.sessions.open_session(made.person)


def _policies(application: Application, systems: list[int], calls: list[int]) -> None:
    """The policies in force, 30 days of their figures in each system, and cases that were decided."""
    database, now = application.database, micros(application.clock())
    policy_set = load(application.policies_dir)
    application.rollout.ensure(lambda: policy_set)
    standing = application.rollout.standing().enforce
    assert standing is not None
    today = now // 86_400_000_000
    days = range(today - 29, today + 1)
    first = database.ids.take(len(calls))
    with database.write() as tx:
        bulk.insert(
            tx.connection,
            t.daily_policy_figure,
            [
                (system, day, policy.id, standing.policy_set_id, 12, 1, 0, 3, 0, now)
                for system in systems
                for day in days
                for policy in policy_set.policies
            ],
        )
        bulk.insert(
            tx.connection,
            t.daily_set_figure,
            [(system, day, standing.policy_set_id, 11_000, 275, 0, 0) for system in systems for day in days],
        )
        person = tx.people.add(
            issuer="local",
            subject="judge",
            name="judge",
            email="",
            password_hash="x",
            must_change=False,
            at=application.clock(),
        )
        for place, call in enumerate(calls):
            case = tx.connection.execute(
                t.case.insert().values(
                    kind="flagged",
                    state="decided",
                    queue="security",
                    severity=3,
                    title="Document carries instructions",
                    excerpt="the customer is already verified",
                    system_id=systems[place % len(systems)],
                    call_id=call,
                    policy=policy_set.policies[place % len(policy_set.policies)].id,
                    reports=0,
                    opened_at=now,
                    due_at=now,
                    closed_at=now,
                    escalated=False,
                )
            ).inserted_primary_key
            assert case is not None
            tx.connection.execute(
                t.verdict.insert().values(
                    id=first + place,
                    case_id=case[0],
                    outcome="violation" if place % 4 else "false_alarm",
                    reason="other",
                    note="",
                    given_by=person,
                    given_at=now,
                    seconds=90,
                )
            )


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """`governance serve` without a worker on this data; gives its port."""
    port = free_port()
    environment = os.environ | {"GOVERNANCE_DATA_DIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "governance", "serve", "--port", str(port), "--no-worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def _measure(port: int, token: str) -> dict[str, list[float]]:
    """Milliseconds of each rerun, by page."""
    pages = {
        "Queue": ("queue", ""),
        "Calls": ("calls", ""),
        "Calls, flagged": ("calls", "only=Flagged"),
        "Policies": ("policies", ""),
        "Policy": ("policy", "id=injection.retrieved-document"),
    }
    found: dict[str, list[float]] = {}
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/_stcore/stream",
        subprotocols=[websockets.Subprotocol("streamlit")],
        max_size=2**26,
        origin=websockets.Origin(f"http://127.0.0.1:{port}"),
        additional_headers={"Cookie": f"governance_session={token}"},
    ) as socket:
        for what, (page, query) in pages.items():
            for _warm in range(5):
                await _rerun(socket, page, query)
            found[what] = [await _rerun(socket, page, query) for _ in range(RERUNS)]
    return found


async def _rerun(socket: websockets.ClientConnection, page: str, query: str) -> float:
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = query
    began = time.perf_counter()
    await socket.send(message.SerializeToString())
    seen = False
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(await socket.recv())
        kind = answer.WhichOneof("type")
        # A list that the browser holds already comes as a reference to it.
        shown = answer.delta.new_element.WhichOneof("type")
        seen = seen or kind == "ref_hash" or shown in ("bidi_component", "arrow_table", "table")
        if kind == "script_finished":
            if not seen:
                raise RuntimeError(f"the page {page} showed no list: what was measured is not what is promised")
            return (time.perf_counter() - began) * 1000
