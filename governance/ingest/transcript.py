"""What was said in a call, out of any of the message shapes that are in use.

One reader for all of them, because producers mix them freely: OpenTelemetry parts, OpenAI chat and Responses items,
Anthropic blocks, Gemini parts, Bedrock Converse blocks, LangChain's serialised messages, OpenInference and Vercel AI
SDK objects. A shape nobody knows is kept as its JSON text under its own type: never lost, never an error.
"""

from __future__ import annotations

import re
from heapq import heappop, heappush
from typing import Any

from governance.domain.calls import Document, Message, ToolCall
from governance.ingest.text import (
    as_number,
    as_text,
    as_texts,
    clipped,
    from_json,
    identity,
    label,
    storable,
    structure,
)

MAX_DEPTH = 24
MAX_PARTS = 100_000
"""So many messages, tool calls and documents a call has each by itself; the rest of a longer list is one, as JSON."""
_ROLES = {
    "human": "user",
    "ai": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool-call": "assistant",
    "tool-response": "tool",
}
_TOOL_ROLES = frozenset({"tool", "function"})
_CALL_TYPES = frozenset(
    {"tool_call", "tool_use", "tool-call", "function_call", "function", "server_tool_call", "server_tool_use"}
    | {"mcp_call", "custom_tool_call", "toolCall"}
)
_RESULT_TYPES = frozenset(
    {"tool_call_response", "tool_result", "tool-result", "function_call_output", "server_tool_call_response"}
    | {"tool_call_result", "custom_tool_call_output", "mcp_call_output", "tool_response"}
)
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "plain_text", "markdown"})
_REASONING_TYPES = frozenset({"reasoning", "thinking", "reasoning_content", "summary_text", "reasoning_text"})
_MEDIA_TYPES = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "audio_url": "audio",
    "image-url": "image",
    "audio-url": "audio",
    "video-url": "video",
    "document-url": "file",
    "binary": "blob",
    "input_file": "file",
    "file": "file",
    "document": "file",
    "uri": "uri",
    "blob": "blob",
    "video": "video",
    "video_url": "video",
    "media": "media",
}


class Transcript:
    """Collects the messages and tool calls of one call, each side from the first source that has it.

    A tool call is one entry however often history repeats it; a tool's result joins its call by id, else by name. A
    result whose call is unknown stays an input message of role "tool", or, in a `fragment` of a call, a bare tool call
    with that result, which whoever has the other fragments can join.
    """

    __slots__ = (
        *("_answered", "_by_id", "_fragment", "_heard", "_unanswered", "_waiting"),
        *("calls", "documents", "finish_reasons", "input", "output", "system", "tools"),
    )

    def __init__(self, *, fragment: bool = False) -> None:
        self.input: list[Message] = []
        self.output: list[Message] = []
        self.calls: list[list[Any]] = []  # [id, name, arguments, result or None, its place in this list]
        self.documents: list[Document] = []
        self.finish_reasons: list[str] = []
        self.system: list[Message] = []
        self.tools: Any = None  # definitions, of a body that was read whole
        self._by_id: dict[str, list[Any]] = {}
        self._unanswered: dict[str, list[int]] = {}  # by name, a heap of places in `calls`; some have a result by now
        self._waiting = 0  # all calls before this one have a result
        self._heard = False
        self._answered = False
        self._fragment = fragment

    @property
    def inputs(self) -> tuple[Message, ...]:
        """System instructions that came apart first, unless the messages repeat them."""
        if not self.system:
            return tuple(self.input)
        said = {m.text for m in self.input if m.role in ("system", "developer")}
        return (*[m for m in self.system if m.text not in said], *self.input)

    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple([ToolCall(id=c[0], name=c[1], arguments=c[2], result=c[3]) for c in self.calls])

    @property
    def captured(self) -> bool:
        """Whether there is any content: a tool's bare name or a document's bare id is none."""
        return bool(
            self.input
            or self.system
            or self.output
            or any(call[2] or call[3] is not None for call in self.calls)
            or any(document.text for document in self.documents)
        )

    @property
    def heard(self) -> bool:
        return self._heard

    @property
    def answered(self) -> bool:
        return self._answered

    def hear(self, value: Any, role: str = "user") -> None:
        """Input messages, from the first source that has any."""
        if not self._heard and value:
            before = len(self.calls)
            self.messages(self.input, value, role)
            self._heard = bool(self.input) or len(self.calls) > before

    def answer(self, value: Any) -> None:
        """Output messages, from the first source that has any."""
        if not self._answered and value:
            before = len(self.calls)
            self.messages(self.output, value, "assistant")
            self._answered = bool(self.output) or len(self.calls) > before

    def settle_input(self) -> None:
        """What was read into `input` is the input: no further source is asked."""
        self._heard = True

    def settle_output(self) -> None:
        self._answered = True

    def instruct(self, value: Any) -> None:
        """System instructions, from the first source that has any."""
        if not self.system and value:
            value = structure(value)
            if isinstance(value, (str, dict)) and not (isinstance(value, dict) and "role" in value):
                value = [value]
            if isinstance(value, list):
                for part in self.fitting(value):
                    if not isinstance(part, dict):
                        self._content(self.system, part, "system", 0)
                    elif "role" in part:
                        self.message(self.system, part, "system")
                    else:
                        self._part(self.system, part, "system", 1)

    def say(self, target: list[Message], role: str, text: str, type: str = "text") -> None:
        if text:
            target.append(Message(role=role, text=storable(text), type=type))

    def call(self, id: Any, name: Any, arguments: Any) -> None:
        """A tool was asked for. The same id with the same name and arguments is the same call; one that says nothing
        (OpenInference leaves a bare {"type": "tool_use"} among Anthropic's contents) is none."""
        key, name, arguments = identity(id, 200), label(name, 200), storable(as_text(arguments))
        if not (key or name or arguments):
            return
        known = self._by_id.get(key) if key else None
        if known is not None and _agree(known[1], name) and (_agree(known[2], arguments) or _same(known[2], arguments)):
            self._name(known, name)
            known[2] = known[2] or arguments
            return
        entry: list[Any] = [key, "", arguments, None, len(self.calls)]
        self.calls.append(entry)
        self._name(entry, name)
        if key:
            self._by_id[key] = entry

    def _name(self, entry: list[Any], name: str) -> None:
        if name and not entry[1]:
            entry[1] = name
            heappush(self._unanswered.setdefault(name, []), entry[4])

    def _first_unanswered(self, name: str) -> list[Any] | None:
        """The first call of this name, or of any where there is none, that has no result yet."""
        if not name:
            while self._waiting < len(self.calls) and self.calls[self._waiting][3] is not None:
                self._waiting += 1
            return self.calls[self._waiting] if self._waiting < len(self.calls) else None
        places = self._unanswered.get(name, [])
        while places and self.calls[places[0]][3] is not None:
            heappop(places)
        return self.calls[places[0]] if places else None

    def result(self, target: list[Message], id: Any, name: Any, value: Any) -> None:
        """A tool gave something back: joined to its call (by id, else by name, else the first call that still waits),
        or kept as a message where the call is not known."""
        text = storable(_flat(value))
        key, name = identity(id, 200), label(name, 200)
        entry = self._by_id.get(key) if key else None
        if entry is None and not key and (name or text):
            entry = self._first_unanswered(name)
        if entry is not None and (entry[3] is None or entry[3] == text):
            entry[3] = text
            self._name(entry, name)
        elif text and key and entry is None and self._fragment:
            self._by_id[key] = entry = [key, name, "", text, len(self.calls)]
            self.calls.append(entry)
        elif text:
            target.append(Message(role="tool", text=text))

    def tool(self, id: Any, name: Any, arguments: Any, result: Any) -> None:
        """A tool's own span: call and result together."""
        self.call(id, name, arguments)
        if result is not None:
            if not self.calls:  # a span that says nothing but what came back
                self.calls.append(["", "", "", None, 0])
            entry = self._by_id.get(identity(id, 200)) or self.calls[-1]
            entry[3] = storable(_flat(result))

    def fitting(self, items: list[Any]) -> list[Any]:
        """The items; where there is no room for so many, the rest of them as one text, so that all is kept and examined
        in memory that is bounded."""
        room = MAX_PARTS - len(self.input) - len(self.output) - len(self.system) - len(self.calls) - len(self.documents)
        if len(items) <= room:
            return items
        room = max(room, 0)
        return [*items[:room], as_text(items[room:])]

    # -- messages ----------------------------------------------------------------------------------------------

    def messages(self, target: list[Message], value: Any, role: str) -> None:
        """Messages as a list, one message, a text, or the JSON text of these. `role` is for what names none."""
        self._messages(target, structure(value), role, 0)

    def _messages(self, target: list[Message], value: Any, role: str, depth: int) -> None:
        if isinstance(value, list) and depth < MAX_DEPTH:
            for item in self.fitting(value):
                if isinstance(item, dict):
                    self.message(target, item, role, depth)
                else:
                    self._messages(target, item, role, depth + 1)
        elif isinstance(value, dict):
            self.message(target, value, role, depth)
        elif value is not None:
            self.say(target, role, as_text(value))

    def message(self, target: list[Message], message: dict[str, Any], role: str, depth: int = 0) -> None:
        """One message object of any shape. Nearly all are plain, and those are read without looking for anything else:
        the schema's own {role, parts} and everyone's {role, content}."""
        if len(message) == 1 and type(inner := message.get("message")) is dict:
            message = inner
        plain = message.get("role")
        if type(plain) is str and plain in _SAID:
            if len(message) == 2 and type(text := message.get("content")) is str:
                if text:
                    target.append(Message(role=plain, text=storable(text)))
                return
            if type(parts := message.get("parts")) is list and message.keys() <= _PLAIN:
                self._parts(target, parts, plain, depth)
                if (reason := message.get("finish_reason")) and isinstance(reason, str):
                    self.finish_reasons.append(label(reason, 60))
                return
        message = unwrapped(message)
        if (several := _several(message)) is not None and depth < MAX_DEPTH:
            self._messages(target, several, role, depth + 1)
            return
        kind = message.get("type")
        said = message.get("role")
        if said is None and kind is None and _BARE_PARTS & message.keys():
            self._part(target, message, role, depth)
            return
        if said is None and isinstance(kind, str):
            if kind.lower() in ("human", "ai", "system", "tool", "function", "chat", "aimessagechunk", "developer"):
                said = kind
            elif kind != "message":  # an item of its own: a Responses item, or a part beside messages
                self._part(target, message, role, depth)
                return
        if isinstance(said, str) and said and said != "unknown":
            if said == "thinking":
                message = {**message, "content": None, "reasoning": _reasoning_of(message)}
                said = "assistant"
            role = _ROLES.get(said.lower(), said) if len(said) <= 40 else label(said, 40)
        if (reason := message.get("finish_reason") or message.get("stop_reason")) and isinstance(reason, str):
            self.finish_reasons.append(label(reason, 60))
        content = message.get("parts")
        if content is None:
            content = message.get("contents")
        if content is None:
            content = message.get("content")
        if content is None:
            content = message.get("blocks")  # LlamaIndex
        if role.lower() in _TOOL_ROLES and not _is_result_list(content):
            more = message.get("additional_kwargs")
            id = next((message[k] for k in ("tool_call_id", "toolCallId", "call_id", "id") if message.get(k)), None)
            id = id or (more.get("tool_call_id") if isinstance(more, dict) else None)
            self.result(target, id, message.get("name") or message.get("tool_name"), content)
            return
        before = len(target) + len(self.calls)
        if isinstance(reasoning := message.get("reasoning_content") or message.get("reasoning"), str):
            self.say(target, role, reasoning, "reasoning")
        self._content(target, content, role, depth)
        if isinstance(refusal := message.get("refusal"), str):
            self.say(target, role, refusal, "refusal")
        if isinstance(audio := message.get("audio"), dict):
            self._part(target, {"type": "audio", **audio}, role, depth)
        calls = message.get("tool_calls") or message.get("toolCalls") or message.get("toolInvocations")
        calls = structure(calls)
        for call in self.fitting(calls) if isinstance(calls, list) else ():
            self.request(call)
        if function := message.get("function_call") or message.get("function_call_name"):
            if isinstance(function, dict):
                self.request(function)
            else:
                self.call("", function, message.get("function_call_arguments_json"))
        if content is None and len(target) + len(self.calls) == before and "content" not in message:
            rest = {k: v for k, v in message.items() if k not in _ENVELOPE and v not in (None, "", [], {})}
            if "text" in rest and isinstance(rest["text"], str):
                self.say(target, role, rest["text"])
            elif rest:
                self.say(target, role, as_text(rest), "unknown")

    def request(self, call: Any) -> None:
        """A tool call object of any shape."""
        call = structure(call)
        if not isinstance(call, dict):
            if call:
                self.call("", "", call)
            return
        inner = call.get("tool_call")
        if isinstance(inner, dict):  # OpenInference nests it
            call = inner
        function = call.get("function")
        if not isinstance(function, dict):
            function = call
        id = next((call[k] for k in ("id", "call_id", "toolCallId", "toolUseId", "tool_call_id") if call.get(k)), "")
        name = next((function[k] for k in ("name", "toolName", "tool_name") if function.get(k)), "")
        if not name and isinstance(call.get("function"), str):
            name = call["function"]
        arguments = next(
            (function[k] for k in _ARGUMENTS if k in function),
            None,
        )
        self.call(id, name, arguments)
        for key in ("result", "output", "response"):  # invocations that carry their result
            if (call.get(key) is not None and call is not function) or (call.get(key) is not None and "state" in call):
                self.result(self.input, id, name, call[key])
                break

    # -- parts -------------------------------------------------------------------------------------------------

    def _content(self, target: list[Message], content: Any, role: str, depth: int) -> None:
        if isinstance(content, str):
            self.say(target, role, content)
        elif isinstance(content, list):
            if depth >= MAX_DEPTH:
                self.say(target, role, as_text(content), "unknown")
                return
            self._parts(target, content, role, depth)
        elif isinstance(content, dict):
            self._part(target, content, role, depth + 1)
        elif content is not None:
            self.say(target, role, as_text(content))

    def _parts(self, target: list[Message], parts: list[Any], role: str, depth: int) -> None:
        for part in self.fitting(parts):
            if type(part) is dict and part.get("type") == "text" and type(text := part.get("content")) is str:
                if text:
                    target.append(Message(role=role, text=storable(text)))
            elif isinstance(part, dict):
                self._part(target, part, role, depth + 1)
            else:
                self._content(target, part, role, depth + 1)

    def _part(self, target: list[Message], part: dict[str, Any], role: str, depth: int) -> None:
        type = part.get("type")
        if type is None:
            type = part.get("block_type")  # LlamaIndex
            if isinstance(kind := part.get("kind"), str) and kind in _MEDIA_TYPES:  # Pydantic AI
                type = kind
        if type == "text":
            text = part.get("content")
            if text is None:
                text = part.get("text")
            if isinstance(text, str):
                self.say(target, role, text)
                return
        if depth >= MAX_DEPTH:
            self.say(target, role, as_text(part), "unknown")
            return
        if isinstance(inner := part.get("message_content"), dict):  # OpenInference nests it
            self._part(target, inner, role, depth + 1)
            return
        if not isinstance(type, str) or not type:
            self._untyped(target, part, role, depth)
            return
        kind = type.lower() if type != "toolCall" else type
        if kind in _TEXT_TYPES:
            self.say(target, role, _text_of(part))
        elif kind in _REASONING_TYPES:
            self.say(target, role, _reasoning_of(part), "reasoning")
        elif kind == "refusal":
            self.say(target, role, as_text(part.get("refusal") or part.get("content")), "refusal")
        elif kind in _CALL_TYPES:
            self.request(part)
            if part.get("output") is not None:
                self.result(target, part.get("id") or part.get("call_id"), part.get("name"), part["output"])
        elif kind in _RESULT_TYPES:
            value = next(
                (
                    part[k]
                    for k in ("response", "result", "output", "content", "server_tool_call_response")
                    if part.get(k) is not None
                ),
                None,
            )
            ids = ("id", "tool_call_id", "tool_use_id", "call_id", "toolCallId")
            id = next((part[k] for k in ids if part.get(k)), "")
            if kind == "function_call_output":
                id = part.get("call_id") or id
            self.result(target, id, part.get("name") or part.get("toolName"), value)
        elif kind in _MEDIA_TYPES:
            self._media(target, part, role, _MEDIA_TYPES[kind], type)
        elif kind in ("message", "chat"):
            self.message(target, part, role, depth + 1)
        else:
            text = part.get("content") if isinstance(part.get("content"), str) else part.get("text")
            if isinstance(text, str) and text and set(part) <= {"type", "content", "text", "id"}:
                self.say(target, role, text, label(type, 60))
            else:
                rest = {key: value for key, value in part.items() if key != "type"}
                self.say(target, role, f"[{label(type, 60)}] {as_text(rest)}", label(type, 60))

    def _untyped(self, target: list[Message], part: dict[str, Any], role: str, depth: int) -> None:
        """Gemini's and Bedrock's parts say by their key what they are."""
        if isinstance(part.get("text"), str):
            self.say(target, role, part["text"], "reasoning" if part.get("thought") is True else "text")
        elif isinstance(call := part.get("functionCall") or part.get("function_call") or part.get("toolUse"), dict):
            self.request(call)
        elif isinstance(
            result := part.get("functionResponse") or part.get("function_response") or part.get("toolResult"), dict
        ):
            value = result.get("response") if "response" in result else result.get("content")
            self.result(target, result.get("id") or result.get("toolUseId"), result.get("name"), value)
        elif isinstance(data := part.get("inlineData") or part.get("inline_data"), dict):
            self._media(target, data, role, "blob", "blob")
        elif isinstance(data := part.get("fileData") or part.get("file_data"), dict):
            self._media(target, data, role, "file", "file")
        elif isinstance(part.get("reasoningContent"), dict):
            self.say(target, role, _reasoning_of(part["reasoningContent"]), "reasoning")
        elif isinstance(part.get("image"), dict):
            self._media(target, part["image"], role, "image", "image")
        elif "parts" in part or "role" in part or "content" in part or "kwargs" in part:
            self.message(target, part, role, depth + 1)
        elif part:
            self.say(target, role, f"[unknown] {as_text(part)}", "unknown")

    def _media(self, target: list[Message], part: dict[str, Any], role: str, kind: str, type: str) -> None:
        """What is no text, as a bracketed description: its place where it has one, its size where it came inline."""
        if kind in ("uri", "blob", "file", "media") and isinstance(part.get("modality"), str) and part["modality"]:
            kind = label(part["modality"], 20)
        place, size = "", 0
        queue: list[Any] = [part]
        for _ in range(6):
            if not queue:
                break
            found = queue.pop(0)
            if isinstance(found, dict):
                queue.extend(found[k] for k in _PLACES if found.get(k))
                continue
            text = as_text(found)
            if text.startswith("data:"):
                size = size or max(0, len(text) - text.find(",") - 1) * 3 // 4
            elif len(text) <= 2048 and ("/" in text[:64] or "." in text[-8:] or len(text) < 128) and not place:
                place = text
            elif len(text) > 128:
                size = size or len(text) * 3 // 4
        mime = next((part[k] for k in ("mime_type", "mimeType", "media_type", "mediaType") if part.get(k)), "")
        detail = place or (f"{size} bytes inline" if size else "")
        words = " ".join(w for w in (label(mime, 100), detail) if w)
        text = f"[{kind}: {words}]" if words else f"[{kind}]"
        transcript = part.get("transcript")
        if not isinstance(transcript, str):
            inner = part.get("audio") if isinstance(part.get("audio"), dict) else {}
            transcript = inner.get("transcript") if isinstance(inner, dict) else None
        if isinstance(transcript, str) and transcript:
            text = f"{text} {transcript}"
        self.say(target, role, text, label(type, 60))

    # -- documents ---------------------------------------------------------------------------------------------

    def retrieved(self, value: Any) -> None:
        """Documents as a list of objects or texts, or the JSON text of it."""
        value = structure(value)
        if isinstance(value, dict):
            inner = next(
                (value[k] for k in ("documents", "results", "matches", "chunks", "nodes", "output") if k in value),
                value,
            )
            value = inner if isinstance(inner, list) else [value]
        if not isinstance(value, list):
            value = [value] if value else []
        for item in self.fitting(value):
            if (document := document_of(item)) is not None:
                self.documents.append(document)


def document_of(value: Any) -> Document | None:
    """A document object of any shape; a text is a document without an id. None for nothing."""
    value = structure(value)
    if isinstance(value, str):
        return Document(text=storable(value)) if value else None
    if isinstance(value, list):
        return Document(text=storable(_flat(value))) if value else None
    if not isinstance(value, dict):
        return None
    inner = value.get("document")
    if isinstance(inner, dict):  # OpenInference and some stores nest it
        value = {**value, **inner}
    kwargs = value.get("kwargs")
    if isinstance(kwargs, dict):  # LangChain's serialised form
        value = {**value, **kwargs, "id": kwargs.get("id")}
    metadata = structure(value.get("metadata"))
    if not isinstance(metadata, dict):
        metadata = {}
    text = next((value[k] for k in _DOCUMENT_TEXT if value.get(k) not in (None, "")), "")
    id = next((value[k] for k in _DOCUMENT_ID if value.get(k) not in (None, "")), None)
    if id is None:
        id = next((metadata[k] for k in (*_DOCUMENT_ID, "source", "file_name", "title") if metadata.get(k)), "")
    score = next((s for k in _DOCUMENT_SCORE if (s := as_number(value.get(k))) is not None), None)
    if score is None:
        score = next((s for k in _DOCUMENT_SCORE if (s := as_number(metadata.get(k))) is not None), None)
    labels: list[str] = []
    for source in (value, metadata):
        for key in _DOCUMENT_LABELS:
            if source.get(key):
                labels.extend(clipped(text_, 100) for text_ in as_texts(source[key]))
        if labels:
            break
    if not (text or id or score is not None or labels):
        return None
    return Document(id=identity(id, 200), text=storable(_flat(text)), score=score, labels=tuple(dict.fromkeys(labels)))


_PLACES = (
    *("image_url", "url", "uri", "file_uri", "fileUri", "file_id", "image", "audio", "audio_url", "input_audio"),
    *("source", "file", "file_data", "data", "content", "filename", "title", "name", "video_url", "id", "bytes"),
)
_DOCUMENT_TEXT = ("content", "page_content", "pageContent", "text", "chunk", "snippet", "body", "document", "passage")
_DOCUMENT_ID = ("id", "document_id", "documentId", "doc_id", "chunk_id", "node_id", "uri", "url")
_DOCUMENT_SCORE = ("score", "relevance_score", "relevanceScore", "similarity", "_score")
_DOCUMENT_LABELS = ("labels", "label", "data_labels", "classification", "sensitivity", "sensitivity_label")
_ENVELOPE = frozenset(
    {"role", "type", "name", "id", "index", "finish_reason", "stop_reason", "status", "message", "tool_calls"}
    | {"refusal", "annotations", "audio", "function_call", "response_metadata", "additional_kwargs", "usage_metadata"}
    | {"invalid_tool_calls", "example", "tool_call_chunks", "model", "usage", "toolCalls", "logprobs"}
    | {"parts", "contents", "tool_call_id", "toolCallId", "cache_control", "object", "reasoning", "reasoning_content"}
)


_ARGUMENTS = ("arguments", "args", "input", "parameters", "server_tool_call", "tool_kwargs")
_BARE_PARTS = frozenset({"toolUse", "toolResult", "functionCall", "functionResponse"})
_PLAIN = frozenset({"role", "parts", "finish_reason", "name"})
_SAID = frozenset({"user", "assistant", "system"})


def _agree(first: str, second: str) -> bool:
    return not first or not second or first == second


def _same(first: str, second: str) -> bool:
    """Whether two argument texts say the same: producers differ in white space."""
    if first == second:
        return True
    if len(first) > 100_000 or first[:1] != "{" or second[:1] != "{":
        return False
    parsed = from_json(first)
    return parsed is not None and bool(parsed == from_json(second))


def unwrapped(message: dict[str, Any]) -> dict[str, Any]:
    """A message out of what frameworks put around it."""
    if "lc" in message or "kwargs" in message:
        kwargs = message.get("kwargs")
        if isinstance(kwargs, dict):
            names = message.get("id")
            name = names[-1] if isinstance(names, list) and names else ""
            kind = kwargs.get("type") or (as_text(name).removesuffix("Chunk").removesuffix("Message").lower() or None)
            return {**kwargs, "type": kind}
    if isinstance(inner := message.get("message"), dict):
        outer: dict[str, Any] = {k: message[k] for k in ("finish_reason", "index") if k in message}
        extra = {k: message[k] for k in ("tool_calls",) if k in message and k not in inner}
        return {**outer, **extra, **unwrapped(inner)}
    if isinstance(inner := message.get("data"), dict) and isinstance(message.get("type"), str) and "content" in inner:
        return {**inner, "type": message["type"]}
    if isinstance(inner := message.get("content"), dict) and ("parts" in inner or "role" in inner):
        return {**{k: v for k, v in message.items() if k != "content"}, **inner}
    return message


def _is_result_list(content: Any) -> bool:
    """Whether a tool message's content is made of parts that name their own call ids."""
    if not isinstance(content, list):
        return False
    for part in content:
        if isinstance(part, dict):
            kind = part.get("type")
            if (isinstance(kind, str) and kind in _RESULT_TYPES) or "toolResult" in part:
                return True
            if "functionResponse" in part or "function_response" in part:
                return True
    return False


def _text_of(part: dict[str, Any]) -> str:
    for key in ("text", "content", "value", "input_text", "output_text"):
        value = part.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            return str(value["value"])
        if value is not None:
            return as_text(value)
    return ""


def _several(message: dict[str, Any]) -> list[Any] | None:
    """The messages in LangChain's serialised prompt and in LangGraph's command, which stand where one message would."""
    if "messages" not in message:
        message = message["update"] if isinstance(message.get("update"), dict) else {}
    inner = message.get("messages")
    return inner if isinstance(inner, list) and inner and "role" not in message and "content" not in message else None


def _reasoning_of(part: dict[str, Any]) -> str:
    for key in ("content", "thinking", "text", "reasoning", "summary", "reasoningText"):
        value = part.get(key)
        if value:
            return _flat(value.get("text") or value if isinstance(value, dict) else value)
    return ""


# How JSON begins that is what a framework put around a text: parts, a typed value, a serialised tool message.
_WRAPPED = re.compile(r'\s*(?:\[\s*\{\s*"(?:type|text|json)"|\{\s*"(?:type|lc|output)")\s*:')


def _flat(value: Any, depth: int = 4) -> str:
    """A tool's result or a document as one text: its text parts joined, anything else as JSON, or as it was sent."""
    if isinstance(value, str):
        parsed = structure(value) if depth and _WRAPPED.match(value) else value
        flat = value if parsed is value else _flat(parsed, depth - 1)
        return value if flat == as_text(parsed) else flat
    if isinstance(value, dict):
        inner = _result_in(value) if depth else None
        return as_text(value) if inner is None else _flat(inner, depth - 1)
    if isinstance(value, list) and value:
        texts = []
        for part in value:
            if isinstance(part, dict):
                part = part.get("message_content") or part
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict) and isinstance(text := part.get("text", part.get("content")), str):
                texts.append(text)
            elif isinstance(part, dict) and "json" in part:
                texts.append(as_text(part["json"]))
            else:
                return as_text(value)
        return "\n".join(texts)
    return as_text(value)


def _result_in(value: dict[str, Any]) -> Any:
    """What a tool gave back, out of a text part, the AI SDK's typed value, or LangChain's tool message; else None."""
    if isinstance(value.get("text"), str) and value.keys() <= {"type", "text", "annotations"}:
        return value["text"]
    if "value" in value and value.keys() == {"type", "value"}:
        return value["value"]
    if isinstance(inner := value.get("output"), dict) and value.keys() <= {"output", "kwargs"}:
        value = inner
    message = unwrapped(value)
    return message.get("content") if message.get("type") == "tool" and "tool_call_id" in message else None
