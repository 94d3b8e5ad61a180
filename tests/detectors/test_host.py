"""A scanner process that hangs, crashes, grows or talks nonsense costs its batch, and nothing else: real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detectors.host import environment, process
from governance.detectors.host.process import Broken, Item, Limits, NotScanned, ScannerHit, ScannerHost
from governance.detectors.host.scanning import LONGEST, AnswerDetector, Scanner, TextDetector, hosted, role_of
from governance.detectors.interface import Attention, BatchCallDetector, BatchDetector, CallDetector, Detector, Watched
from governance.detectors.runner import Runner
from governance.domain.content import Content, ContentKind, PartKind, parts_of
from governance.engine.request import call_from

FAKE = Path(__file__).with_name("fake_host.py")
Make = Callable[..., ScannerHost]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[ScannerHost] = []
    monkeypatch.setattr(process, "PAUSES", (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0))

    def make(*, memory: int = 0, load: float = 20.0, answer: float = 10.0, **settings: object) -> ScannerHost:
        host = ScannerHost(
            [sys.executable, "-I", "-S", str(FAKE)],
            {"scanners": {"settings": {"notes": str(tmp_path / "notes"), **settings}}},
            environment={"PATH": os.defpath},
            limits=Limits(memory=memory, load=load, answer=answer),
        )
        made.append(host)
        return host

    yield make
    for host in made:
        host.close()


def ask(host: ScannerHost, *texts: str) -> list[list[ScannerHit] | str]:
    said = host.scan({"fake": range(len(texts))}, [Item(text=text) for text in texts])
    return [str(one) if isinstance(one, Exception) else one for one in said]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode != 0


def test_what_the_process_finds_comes_back_in_its_place(make: Make) -> None:
    host = make()
    assert host.state.state == "idle"
    odd, fine, error = ask(host, "an odd text", "a fine one", "an error")
    assert odd == [ScannerHit(scanner="fake", score=0.75, start=3, end=6, label="ODD", data={"risk": 0.5})]
    assert fine == []
    assert error == "The scanner fake failed: ValueError."
    state = host.state
    assert (state.state, state.restarts, state.batches, state.versions) == ("ready", 0, 1, {"fake": "1"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("crash", "The scanner ended (signal 11)."),
        ("leave", "The scanner ended (exit code 3)."),
        ("prose", "The scanner sent an invalid answer."),
        ("shape", "The scanner sent an invalid answer."),
        ("huge", "The scanner sent an invalid answer."),
        ("score", "The scanner sent an invalid answer."),
        ("old", "The scanner sent an invalid answer."),
        ("hang", "The scanner took over 1 s."),
    ],
)
def test_a_process_that_misbehaves_is_ended_and_started_again(make: Make, text: str, why: str) -> None:
    host = make(answer=1.0)
    began = time.monotonic()
    assert ask(host, "fine") == [[]]
    assert ask(host, f"{text} a") == [why]
    assert time.monotonic() - began < 8
    assert host.state.detail == why.rstrip(".") or host.state.state in ("loading", "ready")
    until(lambda: host.state.state == "ready")
    assert ask(host, "odd")[0] != []
    assert host.state.restarts == 1


def test_one_that_grows_too_large_is_ended(make: Make) -> None:
    host = make(memory=200 << 20, answer=30.0)
    assert ask(host, "eat") == ["The scanner used over 200 MiB of memory."]


def test_one_that_is_killed_comes_back_and_its_children_are_killed_with_it(make: Make, tmp_path: Path) -> None:
    host = make(answer=30.0)
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.extend(ask(host, "hang")))
    thread.start()
    until(lambda: (tmp_path / "notes").exists() and len((tmp_path / "notes").read_text().split()) == 2)
    own, child = map(int, (tmp_path / "notes").read_text().split())
    os.kill(own, signal.SIGKILL)
    thread.join(10)
    assert results == ["The scanner ended (signal 9)."]
    until(lambda: gone(child))


def test_closing_ends_the_process_even_while_it_works(make: Make, tmp_path: Path) -> None:
    host = make(answer=60.0)
    thread = threading.Thread(target=lambda: ask(host, "hang"))
    thread.start()
    until(lambda: (tmp_path / "notes").exists() and len((tmp_path / "notes").read_text().split()) == 2)
    host.close()
    thread.join(10)
    assert all(gone(int(pid)) for pid in (tmp_path / "notes").read_text().split())
    assert host.state.state == "closed"
    assert ask(host, "fine") == ["The scanner is not running: closed."]


def test_a_text_that_breaks_the_process_is_found_out_and_refused(make: Make) -> None:
    host = make()
    assert ask(host, "one", "crash", "three") == ["The scanner ended (signal 11)."] * 3
    until(lambda: host.state.state == "ready")
    # Each by itself now: the two that are well pass, the third breaks it once more.
    first = ask(host, "one", "three", "crash")
    assert first == [[], [], "The scanner ended (signal 11)."]
    until(lambda: host.state.state == "ready")
    assert ask(host, "one", "crash", "three") == [[], "The scanner broke over this text before.", []]
    assert host.state.restarts == 2


def test_while_it_is_down_nobody_waits(make: Make) -> None:
    host = make(start="fail")
    host.start()
    until(lambda: host.state.state == "failed")
    began = time.monotonic()
    for _ in range(50):
        (said,) = ask(host, "fine")
        assert isinstance(said, str)
    assert time.monotonic() - began < 5
    assert "exit code 7" in host.state.detail or host.state.state == "loading"


@pytest.mark.parametrize(
    ("mode", "why"),
    [("nonsense", "The scanner sent an invalid answer"), ("hang", "The scanner took over 0.5 s")],
)
def test_one_that_does_not_start_is_said_to_have_failed(make: Make, mode: str, why: str) -> None:
    host = make(start=mode, load=0.5)
    host.start()
    until(lambda: host.state.detail == why)


def test_one_that_is_not_there_is_said_to_have_failed() -> None:
    host = ScannerHost(["/nowhere/python"], {}, environment={})
    host.start()
    until(lambda: host.state.state == "failed")
    assert host.state.detail == "it cannot be started (No such file or directory)"
    host.close()


def test_pauses_grow_and_a_later_start_may_work(make: Make) -> None:
    host = make(start="once")
    host.start()
    until(lambda: host.state.state == "ready")
    assert host.state.restarts == 1
    assert ask(host, "fine") == [[]]


def test_what_is_asked_while_it_loads_waits_and_is_answered(make: Make) -> None:
    assert ask(make(start="slow"), "fine") == [[]]
    host = make(start="hang", answer=0.2)
    assert ask(host, "fine") == ["The scanner is still loading."]


def test_a_full_queue_sheds_and_a_batch_without_a_turn_is_let_go(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WAITING_MOST", 1)
    host = make()
    assert ask(host, "fine") == [[]]
    results: list[list[ScannerHit] | str] = []

    def work(number: int) -> None:
        results.extend(ask(host, f"slow {number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results.count("Too many texts wait for the scanner.") >= 1
    # Whoever waits gets its turn, if the machine lets it before its time is over.
    assert results.count([]) >= 1
    impatient = host.scan({"fake": [0]}, [Item(text="fine")], seconds=5)
    assert impatient == [[]]


def test_a_scanner_that_did_not_load_fails_what_asks_for_it(make: Make) -> None:
    host = make(missing={"weights": "OSError: no such directory"})
    both = host.scan({"fake": [0, 1], "weights": [1]}, [Item(text="odd"), Item(text="odd too")])
    assert isinstance(both[0], list)
    assert str(both[1]) == "The scanner weights did not load: OSError: no such directory"
    assert isinstance(both[1], NotScanned)
    assert not isinstance(both[1], Broken)


def test_the_process_sees_nothing_of_ours(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_KEY_ENCRYPTION_KEY", "secret")
    (said,) = ask(make(), "spy")
    assert isinstance(said, list)
    names = set(said[0].label.split()) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    assert names == {"HOME", "PATH", "TMPDIR"}


def test_the_environment_of_a_scanner_is_made_of_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOVERNANCE_SIGNING_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    closed = environment.variables(tmp_path, online=False)
    opened = environment.variables(tmp_path, online=True)
    assert closed["HF_HUB_OFFLINE"] == "1"
    assert "HTTPS_PROXY" not in closed
    assert opened["HTTPS_PROXY"] == "http://proxy:3128"
    assert "HF_HUB_OFFLINE" not in opened
    for one in (closed, opened):
        assert not {name for name in one if name.startswith(("GOVERNANCE_", "AWS_", "PYTHON"))}
        assert "HF_TOKEN" not in one


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = (
        "import sys, threading\n"
        "from governance.detectors.host.process import *\n"
        f"host = ScannerHost([sys.executable, '-I', '-S', {str(FAKE)!r}],"
        f" {{'scanners': {{'settings': {{'notes': {str(notes)!r}}}}}}}, environment={{}})\n"
        "host.scan({'fake': [0]}, [Item(text='fine')])\n"
        "print(host._thread is not None, flush=True)\n"
        "import psutil\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "True"
        pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: gone(pid))


def test_lone_surrogates_are_sent_as_what_models_take(make: Make) -> None:
    (said,) = ask(make(), "\ud800 odd")
    assert isinstance(said, list)
    assert (said[0].start, said[0].end) == (2, 5)


# As detectors

FAKE_SCANNER = Scanner(key="fake", category="odd")


def texts(*said: str) -> list[Content]:
    return [Content(kind=ContentKind.MESSAGE, text=text, role="user") for text in said]


def test_a_hosted_detector_states_findings_and_failures(make: Make) -> None:
    detector = hosted("guard", "1", make(), [FAKE_SCANNER], deadline=5)
    assert isinstance(detector, Detector)
    assert isinstance(detector, BatchDetector)
    assert isinstance(detector, Watched)
    assert not isinstance(detector, CallDetector)
    assert detector.condition.state == "idle"
    runner = Runner(content_detectors=[detector], attention={"guard": Attention(late=True, deadline=5)})
    odd, fine, error, blank = runner.examine_many(texts("so odd", "fine", "an error", "  "))
    (finding,) = odd.findings
    assert (finding.detector, finding.category, finding.pack, finding.rule) == ("guard", "odd", "fake", "ODD")
    assert (finding.start, finding.end, finding.score) == (3, 6, 0.75)
    assert (fine.findings, fine.failures, blank.failures) == ((), (), ())
    assert [one.reason for one in error.failures] == ["NotScanned: The scanner fake failed: ValueError."]
    assert runner.conditions["guard"].state == "ready"
    runner.close()
    after = runner.conditions["guard"]
    assert after.state == "failed"


def test_a_hosted_detector_looks_at_what_its_scanners_read(make: Make) -> None:
    odd = {kind: Content(kind=kind, text="odd") for kind in ContentKind}
    answer = Content(kind=ContentKind.MESSAGE, text="odd", role="assistant")
    system = Content(kind=ContentKind.MESSAGE, text="odd", role="system")
    contents = [*odd.values(), answer, system]
    detector = hosted(
        "guard", "1", make(), [FAKE_SCANNER, Scanner(key="own", category="x", reads=frozenset(("system",)))], deadline=5
    )
    assert isinstance(detector, BatchDetector)
    found = [{finding.pack for finding in said} for said in detector.examine_many(contents)]  # type: ignore[union-attr]
    assert dict(zip(map(role_of, contents), found, strict=True)) == {
        "prompts": {"fake"},
        "documents": {"fake"},
        "tool_calls": set(),
        "tool_results": {"fake"},
        "answers": set(),
        "system": {"own"},
    }


def test_answers_are_scanned_beside_what_was_asked(make: Make) -> None:
    both = hosted("guard", "1", make(), [FAKE_SCANNER, Scanner(key="out", category="y", side="answer")], deadline=5)
    assert isinstance(both, BatchCallDetector)
    assert isinstance(both, BatchDetector)
    call = call_from({"input": "what is odd?", "output": "an odd thing"})
    (finding,) = both.examine_call(call, tuple(parts_of(call)))
    assert (finding.pack, finding.part, finding.index, finding.start) == ("out", PartKind.OUTPUT, 0, 3)


def test_a_text_that_is_too_long_is_a_failure_and_not_half_scanned(make: Make) -> None:
    detector = hosted("guard", "1", make(), [FAKE_SCANNER], deadline=10)
    assert isinstance(detector, BatchDetector)
    said, long = detector.examine_many(texts("x" * 300_000 + "odd", "x" * (LONGEST + 1)))
    assert [(one.start, one.end) for one in said] == [(300_000, 300_003)]  # type: ignore[union-attr]
    assert str(long) == "The text is longer than 400000 characters."


@given(st.lists(st.integers(0, 100_000), max_size=100))
def test_batches_are_bounded_and_hold_each_item_once_in_order(lengths: list[int]) -> None:
    items = [Item(text="x" * length) for length in lengths]
    groups = process._groups(range(len(items)), items)
    assert [number for group in groups for number in group] == list(range(len(items)))
    for group in groups:
        assert 0 < len(group) <= process.ITEMS_AT_ONCE
        assert len(group) == 1 or sum(lengths[number] for number in group) <= process.CHARACTERS_AT_ONCE


def test_policy_sets_that_want_the_same_share_a_process_until_the_last_lets_go() -> None:
    command = [sys.executable, "-I", "-S", str(FAKE)]

    def one(**settings: object) -> tuple[TextDetector | AnswerDetector, ScannerHost]:
        key, host = process.share(
            command, {"scanners": {"settings": settings}}, environment={}, limits=Limits(memory=0)
        )
        release = partial(process.release, key)
        return hosted("guard", "1", host, [FAKE_SCANNER], deadline=10, release=release), host

    (first, host), (second, same), (third, other) = one(), one(), one(more=1)
    assert host is same
    assert host is not other
    assert isinstance(first, TextDetector)
    assert isinstance(second, TextDetector)
    assert first.examine(texts("odd")[0])
    first.close()
    first.close()
    with pytest.raises(NotScanned):
        first.examine(texts("odd")[0])
    assert second.examine(texts("odd")[0])
    assert host.state.restarts == 0
    del second  # nobody closed it
    assert host.state.state == "closed"
    third.close()
    assert other.state.state == "closed"
    assert not process._shared
