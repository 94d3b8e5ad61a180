"""Conditions: CEL behind a thin interface, typed against what a call has and against the policy's own parameters.

CEL (https://github.com/google/cel-spec) can neither loop for ever nor reach outside its inputs. Compiling needs a
boolean result; evaluating gives exactly True or False, or raises: an error value is never taken for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from governance.domain.calls import Call, Document
from governance.domain.decisions import PolicyScope
from governance.domain.findings import Finding
from governance.policy.context import MESSAGES, READERS, STEP_READERS, finding_values, step_documents, text
from governance.policy.policy import ParamValue, Policy

_PACKAGE = "governance"
_SCALARS = {"string": "TYPE_STRING", "int": "TYPE_INT64", "double": "TYPE_DOUBLE", "bool": "TYPE_BOOL"}
_Descriptor = descriptor_pb2.FieldDescriptorProto
_TOGETHER = 64
"""Conditions in one combined expression: CEL bounds the size of an expression."""
_CALL_FIELD = re.compile(r"\bcall\s*\.\s*(\w+)")
_CIRCUMSTANCES = re.compile(r"\b(?:call|steps)\b")
_CALL_BARE = re.compile(r"\bcall\b(?!\s*\.)")
_LARGEST = 1_000_000
"""Characters of one expression that are compiled at all, as the combined ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """Something wrong in a condition; line and column count from 1 within the condition's text."""

    line: int
    column: int
    message: str


class IllTyped(Exception):
    """A condition does not compile; `mistakes` says where and why."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(mistake.message for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class ConditionFailed(Exception):
    """A condition gave an error instead of true or false: an index out of range, a missing key, too many iterations."""


class Language:
    """CEL for one set of policies: the schema, and the parameters' types of each policy.

    Raises `IllTyped` when the parameters' names are none that CEL accepts. `whole` lets `call` give every field, for
    conditions that are not the policies' own.
    """

    def __init__(self, policies: Iterable[Policy], *, whole: bool = False) -> None:
        policies = list(policies)
        pool = descriptor_pool.DescriptorPool()
        schema = descriptor_pb2.FileDescriptorProto(name="governance.proto", package=_PACKAGE, syntax="proto3")
        for name, fields in MESSAGES.items():
            message = schema.message_type.add(name=name)
            for field in fields:
                _add(message, field.name, field.type, optional=field.optional)
        self._params = {policy.id: f"Params{number}" for number, policy in enumerate(policies)}
        everything = descriptor_pb2.DescriptorProto(name="EveryParams")
        for policy in policies:
            message = schema.message_type.add(name=self._params[policy.id])
            for name, value in policy.params.items():
                _add(message, name, _type_of(value))
            _add(everything, self._params[policy.id].lower(), self._params[policy.id])
        schema.message_type.append(everything)
        pool.Add(schema)
        self._pool = pool
        self._classes: dict[str, Any] = {
            name.removeprefix(f"{_PACKAGE}."): made
            for name, made in message_factory.GetMessageClassesForFiles(["governance.proto"], pool).items()
        }
        self._finding = self._classes["Finding"]
        self._call = self._classes["Call"]
        self._step = self._classes["Step"]
        self._values = {
            policy.id: self._classes[self._params[policy.id]](**_plain(policy.params)) for policy in policies
        }
        self._every = self._classes["EveryParams"](
            **{self._params[policy.id].lower(): self._values[policy.id] for policy in policies}
        )
        conditions = [
            text for policy in policies for text in (policy.when, *(exemption.when for exemption in policy.exceptions))
        ]
        words = set(_CALL_FIELD.findall(" ".join(conditions)))
        if any(_CALL_BARE.search(condition) for condition in conditions):  # `[call].exists(c, c.tools ...)`
            words = set(re.findall(r"\w+", " ".join(conditions)))
        self._read = tuple((name, reader) for name, reader in READERS.items() if whole or name in words)
        of_steps = [policy.when for policy in policies if policy.scope is not PolicyScope.CALL]
        of_steps += [one.when for policy in policies for one in policy.exceptions]
        words = set(re.findall(r"\w+", " ".join(of_steps)))
        self._read_of_steps = tuple((name, reader) for name, reader in STEP_READERS.items() if whole or name in words)
        self._environments: dict[tuple[str, bool], cel.Env] = {}

    def _environment(self, name: str, message: str, *, sequence: bool) -> cel.Env:
        if (message, sequence) not in self._environments:
            variables = {
                "findings": cel.Type.List(cel.Type(f"{_PACKAGE}.Finding")),
                "call": cel.Type(f"{_PACKAGE}.Call"),
                name: cel.Type(f"{_PACKAGE}.{message}"),
            }
            if sequence:
                variables["steps"] = cel.Type.List(cel.Type(f"{_PACKAGE}.Step"))
            self._environments[message, sequence] = cel.NewEnv(self._pool, variables=variables)
        return self._environments[message, sequence]

    @property
    def reads(self) -> frozenset[str]:
        """The fields of `call` that conditions and exceptions of these policies may read."""
        return frozenset(name for name, _ in self._read)

    def compile(self, policy: Policy, condition: str) -> Condition:
        """A condition of this policy; raises `IllTyped`."""
        sequence = policy.scope is not PolicyScope.CALL
        environment = self._environment("params", self._params[policy.id], sequence=sequence)
        expression = _compile(environment, condition)
        return Condition(environment, expression, {"params": self._values[policy.id]}, sequence=sequence)

    def silent(self, policies: Sequence[Policy]) -> Silence:
        """What tells at once that none of these policies' conditions holds without findings, in the call or a step."""
        fixed = [policy for policy in policies if not _CIRCUMSTANCES.search(policy.when)]
        # Those read findings only: without any, what they say of one call they say of all.
        if self._together(fixed).holds(self._call()):
            policies = [policy for policy in policies if _CIRCUMSTANCES.search(policy.when)]
        return self._together(policies)

    def _together(self, policies: Sequence[Policy]) -> Silence:
        parts: list[Condition] = []
        sequence = any(policy.scope is not PolicyScope.CALL for policy in policies)
        combined = self._environment("every_params", "EveryParams", sequence=sequence)
        for start in range(0, len(policies), _TOGETHER):
            # `[x].exists(params, c)` is c with `params` bound to x: exactly c's value, or its error.
            terms = [
                f"[every_params.{self._params[policy.id].lower()}].exists(params, (\n{policy.when}\n))"
                if "params" in policy.when
                else f"(\n{policy.when}\n)"
                for policy in policies[start : start + _TOGETHER]
            ]
            expression = _compile(combined, " || ".join(terms))
            parts.append(Condition(combined, expression, {"every_params": self._every}, sequence=sequence))
        return Silence(parts)

    def call(self, call: Call) -> Message:
        """What conditions read of a call: only the fields that some condition of the set names."""
        values = {name: value for name, reader in self._read if (value := reader(call)) is not None}
        made: Message = self._call(**values)
        return made

    def finding(self, finding: Finding, *, alias: str, name: str) -> Message:
        """A finding under the name that the policy gives its detector."""
        made: Message = self._finding(**finding_values(finding, alias=alias, name=name))
        return made

    def step(
        self,
        call: Call,
        *,
        order: int,
        current: bool,
        kind: str,
        name: str,
        seconds: float,
        tools: Sequence[str],
        documents: Sequence[Document],
        findings: Sequence[Message],
    ) -> Message:
        """A step of a sequence; of its call, what no condition of the set names is left out."""
        values = {field: reader(call) for field, reader in self._read_of_steps}
        made: Message = self._step(
            order=order, current=current, kind=kind, name=text(name), seconds=seconds, findings=findings, **values
        )
        if tools:
            made.tools.extend(text(tool) for tool in tools)
        if documents:
            for document in step_documents(documents):
                made.documents.add(**document)
        return made


NO_STEPS: list[Message] = []


class Condition:
    """A compiled condition, with its policy's parameters; one about a `sequence` reads steps too."""

    def __init__(
        self,
        environment: cel.Env,
        expression: cel.Expression,
        values: Mapping[str, Message],
        *,
        sequence: bool = False,
    ) -> None:
        self._environment = environment
        self._expression = expression
        self._values = dict(values)
        self._sequence = sequence

    def given(self, params: Mapping[str, ParamValue]) -> Condition:
        """The same condition with these values of its policy's parameters. Raises TypeError or ValueError for a value
        of another type."""
        made: Message = type(self._values["params"])(**_plain(params))
        return Condition(self._environment, self._expression, {"params": made}, sequence=self._sequence)

    def holds(self, call: Message, findings: list[Message], steps: list[Message] = NO_STEPS) -> bool:
        """True or False; raises `ConditionFailed` for anything else."""
        values: dict[str, Any] = {"call": call, "findings": findings, **self._values}
        if self._sequence:
            values["steps"] = steps
        activation = self._environment.Activation(values)
        try:
            result = self._expression.eval(activation)
        except RuntimeError as error:
            # The iteration budget is exceeded: the one error that is raised, not returned.
            raise ConditionFailed(str(error)[:200]) from None
        value = result.value()
        if value is True or value is False:
            return value
        raise ConditionFailed(str(value)[:200] if result.type() == cel.Type.ERROR else "the result is not a boolean")


class Silence:
    """`a || b || ...` of many conditions. CEL's `||` is false only if each side is false without an error, so False
    here means that every single condition would have answered False; anything else means: ask them singly."""

    def __init__(self, parts: Sequence[Condition]) -> None:
        self._parts = tuple(parts)
        self._of_nothing: bool | None = None

    def holds(self, call: Message, steps: list[Message] = NO_STEPS) -> bool:
        """Whether no condition holds, and none fails, with no findings at all, in the call or its steps."""
        if steps or call.ByteSize():
            return self._ask(call, steps)
        if self._of_nothing is None:  # a call of which nothing is read is like any other
            self._of_nothing = self._ask(call, steps)
        return self._of_nothing

    def _ask(self, call: Message, steps: list[Message]) -> bool:
        try:
            return not any(part.holds(call, [], steps) for part in self._parts)
        except ConditionFailed:
            return False


_LOCATED = re.compile(r"<input>:(\d+):(-?\d+): (.*)")


def _compile(environment: cel.Env, condition: str) -> cel.Expression:
    if len(condition) > _LARGEST or "\0" in condition:
        raise IllTyped([Mistake(line=1, column=1, message="the condition is too long or holds a NUL character")])
    try:
        expression = environment.compile(condition)
    except UnicodeError:
        raise IllTyped([Mistake(line=1, column=1, message="the condition is not valid Unicode")]) from None
    except Exception as error:
        raise IllTyped(_mistakes(str(error))) from None
    result = expression.return_type()
    if result != cel.Type.BOOL:
        name = result.name().lower()
        raise IllTyped([Mistake(line=1, column=1, message=f"the condition gives {name}; it must give true or false")])
    return expression


def _mistakes(message: str) -> list[Mistake]:
    """The compiler's message, one mistake a located line; positions in the combined text count from 1."""
    found = [
        Mistake(line=max(1, int(line)), column=max(1, int(column)), message=_readable(words)[:300])
        for line, column, words in _LOCATED.findall(message)
    ]
    if found:
        return found
    first = message.split("\n", 1)[0].removeprefix("INVALID_ARGUMENT: ")
    return [Mistake(line=1, column=1, message=first[:300] or "the condition does not compile")]


def _readable(words: str) -> str:
    words = words.removesuffix(" [INVALID_ARGUMENT]").replace(f"'{_PACKAGE}.", "'").replace(f"({_PACKAGE}.", "(")
    words = words.replace(" (in container '')", "")
    if words.startswith("Syntax error") and " expecting " in words:
        words = words.split(" expecting ", 1)[0]
    return words


def _type_of(value: ParamValue) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "double"
    if isinstance(value, str):
        return "string"
    return "list(string)" if all(isinstance(item, str) for item in value) else "list(double)"


def _plain(params: Mapping[str, ParamValue]) -> dict[str, Any]:
    return dict(params)


def _add(message: descriptor_pb2.DescriptorProto, name: str, kind: str, *, optional: bool = False) -> None:
    """Adds a field of a type as `context.Field` names it."""
    field = message.field.add(
        name=name, json_name=name, number=len(message.field) + 1, label=_Descriptor.LABEL_OPTIONAL
    )
    if kind.startswith("list("):
        field.label = _Descriptor.LABEL_REPEATED
        kind = kind[5:-1]
    elif kind.startswith("map("):
        # proto3 maps are repeated entry messages (https://protobuf.dev/programming-guides/proto3/#backwards)
        entry_name = "".join(word.capitalize() for word in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for part, of in zip(("key", "value"), kind[4:-1].split(", "), strict=True):
            _add(entry, part, of)
        field.label = _Descriptor.LABEL_REPEATED
        field.type = _Descriptor.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"
        return
    if kind in _SCALARS:
        field.type = getattr(_Descriptor, _SCALARS[kind])
    else:
        field.type = _Descriptor.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    if optional:
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")


def paths_of(condition: str) -> list[str]:
    """The selections `call.x.y` and `params.x` that a condition reads, in order, each once; not those in strings."""
    bare = re.sub(r"""("(\\.|[^"\\])*"|'(\\.|[^'\\])*'|//[^\n]*)""", " ", condition)
    found = re.findall(r"(?<![\w.])((?:call|params)(?:\.[a-z_][a-z0-9_]*\b(?!\s*\())+)", bare)
    return list(dict.fromkeys(found))
