"""A firm's own identifiers, declared in a policy file: a regular expression in RE2, words that must stand near, a check
digit, and examples that lint tries.

    detectors:
      identifiers:
        use: pii                             # or secrets
        recognisers:
          - name: employee-number
            label: employee_number
            regex: '\\bE-\\d{6}\\b'
            context: [employee, staff, personnel]
            hits: [employee E-123456]
            clean: [E-123456 units]

They run in the same pass as the packs. Their findings carry the recogniser's name as `pack` and as `rule`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import re2
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from stdnum import luhn, verhoeff

from governance.detectors.interface import Options
from governance.detectors.patterns import identifiers, payments
from governance.detectors.patterns.context import Check, digits_of
from governance.detectors.patterns.packs import Pack, Rule, pack_names
from governance.errors import Misconfigured

MOST = 5_000
"""Recognisers of one policy set."""
_MEMORY = 8 << 20

CHECKSUMS: Mapping[str, Check] = {
    "aba": payments.aba,
    "ean": identifiers.ean,
    "iban": payments.iban,
    "luhn": lambda text, start, end: luhn.is_valid(digits_of(text, start, end)),
    "mod11": identifiers.mod11,
    "mod97": identifiers.mod97,
    "verhoeff": lambda text, start, end: verhoeff.is_valid(digits_of(text, start, end)),
}
"""Check digits by name; docs/detectors/pii.md says what each is."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,59}$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class Recogniser(BaseModel):
    """One identifier of one's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name = Field(description="What its findings carry as `f.pack` and `f.rule`; unique in the policy set.")
    label: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = Field(
        description="What it is: `f.label`, and with spaces for underscores what redacted text says in its place."
    )
    category: Literal["pii", "secret"] = Field(default="pii", description="Under `patterns` only: pii or secret.")
    regex: Annotated[str, StringConstraints(min_length=1, max_length=2000)] = Field(
        description="In RE2; a group says which part is the finding."
    )
    score: float = Field(default=0.85, gt=0, le=1, description="How sure a hit is.")
    case: bool = Field(default=False, description="Whether letters' case matters.")
    context: list[Text] = Field(default=[], max_length=100, description="Words of which one must stand near.")
    within: int = Field(default=60, ge=1, le=500, description="How near, in code points before or after.")
    checksum: Literal["", "aba", "ean", "iban", "luhn", "mod11", "mod97", "verhoeff"] = Field(
        default="", description="The check digit that must be right."
    )
    hits: list[Text] = Field(min_length=1, max_length=100, description="Texts in which it must be found.")
    clean: list[Text] = Field(min_length=1, max_length=100, description="Texts in which it must not.")

    def rule(self) -> Rule:
        """The recogniser as the pattern detector knows rules."""
        regex = self.regex if self.case else f"(?i){self.regex}"
        return Rule(
            id=self.name,
            pack=self.name,
            category=self.category,
            label=self.label,
            score=self.score,
            regex=regex,
            segments=((regex,),),
            check=self._check(),
            hits=tuple(self.hits),
            clean=tuple(self.clean),
        )

    def _check(self) -> Callable[[str, int, int], bool] | None:
        checksum = CHECKSUMS.get(self.checksum)
        if not self.context:
            return checksum
        words = [word.casefold() for word in self.context]
        within = self.within

        def near(text: str, start: int, end: int) -> bool:
            around = f"{text[max(0, start - within) : start]} {text[end : end + within]}".casefold()
            if not any(word in around for word in words):
                return False
            return checksum is None or checksum(text, start, end)

        return near

    def finds(self, text: str) -> bool:
        """Whether it finds anything in the text as it stands. Raises `re2.error` for a pattern that RE2 refuses."""
        rule = self.rule()
        for match in re2.compile(rule.regex, _options()).finditer(text):
            places = [match.span(group) for group in range(1, match.re.groups + 1)]
            start, end = next((place for place in places if place[0] >= 0), match.span())
            if start < end and (rule.check is None or rule.check(text, start, end)):
                return True
        return False


Trouble: TypeAlias = tuple[tuple[str | int, ...], str]
"""Where in a declaration (keys and indexes), and what is wrong there."""


def troubles(declared: object) -> Iterator[Trouble]:
    """What is wrong with one declaration, examples included."""
    try:
        recogniser = Recogniser.model_validate(declared)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            yield tuple(one["loc"]), _said(one)
        return
    if recogniser.name in pack_names():
        yield ("name",), f"{recogniser.name!r} is the name of a pack"
    try:
        empty = re2.compile(recogniser.rule().regex, _options()).search("") is not None
    except re2.error as error:
        words = error.args[0] if error.args else "it is not a pattern"
        yield ("regex",), f"RE2 refuses the pattern: {words.decode() if isinstance(words, bytes) else words}"
        return
    if empty:
        yield ("regex",), "the pattern matches the empty text"
        return
    for key, wanted in (("hits", True), ("clean", False)):
        for number, text in enumerate(getattr(recogniser, key)):
            if recogniser.finds(text) is not wanted:
                said = "is not found in this example" if wanted else "is found in this example"
                yield (key, number), f"{recogniser.name!r} {said}"


def _said(error: Mapping[str, Any]) -> str:
    key = error["loc"][-1] if error["loc"] else "recogniser"
    match error["type"]:
        case "missing":
            return f"a recogniser needs {key}"
        case "extra_forbidden":
            return f"a recogniser has no {key!r}; there are: {', '.join(Recogniser.model_fields)}"
        case _:
            message = str(error["msg"])
            return f"{key}: {message[:1].lower()}{message[1:]}"


def declared(options: Options) -> list[Mapping[str, Any]]:
    """The declarations of a request, as they stand."""
    value = options.get("recognisers")
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def names(options: Options) -> list[str]:
    """The names of a request's own recognisers: the packs of their findings."""
    return [str(one["name"]) for one in declared(options) if "name" in one]


def gathered(requests: Sequence[Options]) -> str:
    """All declarations of all requests as one JSON text, each once, in order of name.

    Raises `Misconfigured` for one that is wrong, for two of one name that differ, and for more than `MOST`.
    """
    found: dict[str, str] = {}
    for options in requests:
        for one in declared(options):
            stated = json.dumps(one, sort_keys=True)
            name = str(one.get("name", ""))
            if found.setdefault(name, stated) != stated:
                raise Misconfigured(f"The recogniser {name!r} is declared in two ways.")
    if len(found) > MOST:
        raise Misconfigured(f"There are {len(found)} recognisers; at most {MOST} can be declared.")
    return f"[{','.join(found[name] for name in sorted(found))}]" if found else ""


def packs(stated: str) -> list[Pack]:
    """A pack for each declaration of a `gathered` text. Raises `Misconfigured` where one is wrong."""
    made = []
    for one in json.loads(stated) if stated else ():
        for path, message in troubles(one):
            where = ".".join(map(str, path))
            raise Misconfigured(f"The recogniser {str(one.get('name', ''))!r} cannot be used: {where}: {message}.")
        recogniser = Recogniser.model_validate(one)
        digest = hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()[:16]
        title = re.sub("_", " ", recogniser.label)
        made.append(Pack(name=recogniser.name, title=title, digest=digest, rules=(recogniser.rule(),)))
    return made


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    return options
