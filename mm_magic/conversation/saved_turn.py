"""A turn as the notebook file keeps it: JSON beside the readable forms.

It holds what is needed to go on from the file, and never a key, a header or an address. Nothing
in it changes from run to run where the reply does not: no cell id, wall-clock time or path.
Reading trusts nothing: a file can come from anybody.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard, get_args

from mm_magic.conversation.conversation import State
from mm_magic.conversation.number_ranges import merged
from mm_magic.conversation.reply import Origin, Reply, Status
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import (
    MAX_NESTING,
    JsonObject,
    as_count,
    as_object,
    as_optional_text,
    as_text,
    is_deep,
    join_surrogates,
)
from mm_magic.protocol.messages import Message, Usage, block_from_wire
from mm_magic.transport.endpoint import Backend
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import read_day

VERSION = 2
"""Of the format. A file with a higher one was written by a later release."""
MAX_NUMBER = 1_000_000
_FIELDS = {
    "version", "id", "conversation", "number", "prompt", "steps", "content", "context", "knew",
    "sent", "status", "backend", "asked", "said", "request_key", "model", "message_id",
    "stop_reason", "usage", "thinking_seconds", "sample", "nth", "replaces", "copy", "state",
    "recorded", "seconds",
}  # fmt: skip
_STATUSES: dict[str, Status] = {word: word for word in get_args(Status)}
_BACKENDS: dict[str, Backend] = {word: word for word in get_args(Backend)}


class UnreadableTurn(ValueError):
    """JSON that is no saved turn of this format. Its text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class SavedTurn:
    """What one piece of saved JSON tells: a turn without its cell, and its conversation's state.

    `index_in_cell` is its place among the turns of its cell. `is_copy` says that it was drawn
    again, by `%minimax show`, so that another cell may hold it, too.
    """

    turn: Turn
    state: State
    index_in_cell: int
    is_copy: bool


def turn_json(turn: Turn, state: State | None, *, is_copy: bool = False) -> JsonObject:
    """The JSON of one turn; `state` is that of its conversation, None if it did not enter it."""
    reply = turn.reply
    optional: JsonObject = {
        "sample": turn.sample,
        "nth": turn.key.index_in_cell if turn.key else 0,
        "replaces": list(turn.replaces),
        "copy": is_copy,
        "state": state and state_json(state),
        "recorded": reply.origin and _origin_json(reply.origin),
        "seconds": _rounded(reply.seconds),
    }
    return _clean(
        {
            "version": VERSION,
            "id": turn.id,
            "conversation": turn.conversation,
            "number": turn.number,
            "prompt": turn.prompt.to_wire(),
            "steps": [_step_json(step) for step in turn.steps],
            "context": turn.context_hash,
            "knew": turn.turns_hash,
            "sent": turn.sent,
            "status": reply.status,
            "backend": reply.backend,
            "asked": turn.parameters,
            "said": sorted(turn.said),
            "request_key": turn.request_key,
            "model": reply.model,
            "message_id": reply.id,
            "stop_reason": reply.stop_reason,
            "usage": reply.usage.to_wire(),
            "thinking_seconds": _rounded(reply.thinking_seconds),
            **{name: value for name, value in optional.items() if value},
            **turn.extra,
        }
    )


def record_json(
    turns: Iterable[JsonObject], states: Iterable[tuple[str, State]] = ()
) -> JsonObject:
    """The JSON of turns that their cell does not show, and of conversations that changed."""
    return {
        "version": VERSION,
        "turns": list(turns),
        "states": {join_surrogates(name): state_json(state) for name, state in states},
    }


def state_json(state: State) -> JsonObject:
    """The JSON of a conversation's state; what is empty is left out."""
    optional: JsonObject = {
        "changes": state.changes,
        "gone": list(map(list, state.gone)),
        "hidden": list(map(list, state.hidden)),
        "last": state.last,
    }
    return {"begins": state.begins, **{name: value for name, value in optional.items() if value}}


def read_turn(wire: object) -> SavedTurn:
    """Read the JSON of one turn. Raises UnreadableTurn."""
    found = as_object(wire)
    version = check_version(found)
    if is_deep(found, limit=2 * MAX_NESTING):  # what a turn adds around its blocks is far less
        raise UnreadableTurn("it is nested too deeply")
    name, number = found.get("conversation"), found.get("number")
    if not (name is None or (isinstance(name, str) and name.strip())):
        raise UnreadableTurn("its conversation has no name")
    if not _is_number(number) or (number == 0) != (name is None):
        raise UnreadableTurn("it has no number")
    *earlier, last = _read_steps(found, version)
    parameters = as_object(found.get("asked"))
    said = _texts(found.get("said")) if version > 1 else version_1.said(parameters)
    turn = Turn(
        conversation=name,
        number=number,
        key=None,
        prompt=_read_prompt(found.get("prompt")),
        reply=_read_reply(found, last),
        earlier_steps=tuple(earlier),
        parameters=parameters,
        said=frozenset(said),
        request_key=as_text(found.get("request_key")),
        sample=_number(found.get("sample")),
        context_hash=as_text(found.get("context")),
        turns_hash=as_text(found.get("knew")),
        sent=as_count(found.get("sent")) or 0,
        replaces=_texts(found.get("replaces")),
        is_version_1=version == 1,
        extra={key: value for key, value in found.items() if key not in _FIELDS},
    )
    return SavedTurn(
        turn=turn,
        state=read_state(found.get("state")),
        index_in_cell=max(0, as_count(found.get("nth")) or 0),
        is_copy=found.get("copy") is True,
    )


def _step_json(step: Message) -> JsonObject:
    return {"role": step.role, "content": [block.to_wire() for block in step.content]}


def _read_prompt(wire: object) -> Prompt:
    try:
        return Prompt.from_wire(wire)
    except UsageError:
        raise UnreadableTurn("it has no prompt") from None


def _read_steps(found: JsonObject, version: int) -> list[Message]:
    """The messages that followed the prompt; version 1 has the content of the only one."""
    steps = found.get("steps") if version > 1 else [{"content": found.get("content")}]
    if not isinstance(steps, list) or not steps:
        raise UnreadableTurn("it has no content")
    return [_read_step(as_object(step)) for step in steps]


def _read_step(wire: JsonObject) -> Message:
    content = wire.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise UnreadableTurn("it has no content")
    role = "user" if wire.get("role") == "user" else "assistant"
    return Message(role=role, content=tuple(block_from_wire(block) for block in content))


def _read_reply(found: JsonObject, last: Message) -> Reply:
    status = _STATUSES.get(as_text(found.get("status")))
    backend = _BACKENDS.get(as_text(found.get("backend")))
    if status is None or backend is None:
        raise UnreadableTurn("its status or backend is unknown")
    message = Message(
        id=as_optional_text(found.get("message_id")),
        model=as_optional_text(found.get("model")),
        content=last.content,
        stop_reason=as_optional_text(found.get("stop_reason")),
        usage=Usage().updated(as_object(found.get("usage"))),
    )
    seconds = _seconds(found.get("seconds"))
    return Reply(
        message,
        status,
        backend,
        _seconds(found.get("thinking_seconds")),
        _read_origin(found.get("recorded"), seconds),
        seconds,
    )


def turns_of(saved: object) -> Sequence[object]:
    """The turns in what an output holds, not read yet: those of a record, or the turn itself."""
    record = as_object(saved)
    return _list(record["turns"]) if "turns" in record else [saved]


def read_record(wire: JsonObject) -> tuple[Sequence[object], dict[str, State]]:
    """The turns, not read yet, and the states of `record_json`. Raises UnreadableTurn."""
    check_version(wire)
    states = as_object(wire.get("states"))
    return turns_of(wire), {name: read_state(each) for name, each in states.items()}


def read_state(wire: object) -> State:
    """Read `state_json`; what can't be read counts as empty."""
    found = as_object(wire)
    return State(
        begins=as_text(found.get("begins")),
        changes=_number(found.get("changes")),
        gone=merged(_pairs(found.get("gone"))),
        hidden=merged(_pairs(found.get("hidden"))),
        last=_number(found.get("last")),
    )


def _origin_json(origin: Origin) -> JsonObject:
    optional: JsonObject = {"day": origin.day, "loose": origin.is_loose}
    return {"backend": origin.backend, **{name: value for name, value in optional.items() if value}}


def _read_origin(wire: object, seconds: float | None) -> Origin | None:
    found = as_object(wire)
    backend = _BACKENDS.get(as_text(found.get("backend")))
    if backend is None:
        return None
    return Origin(backend, read_day(found.get("day")), found.get("loose") is True, seconds)


def check_version(wire: JsonObject) -> int:
    """The version of saved JSON. Raises UnreadableTurn unless this release can read it."""
    version = wire.get("version")
    if not _is_number(version) or version == 0:
        raise UnreadableTurn("it has no version")
    if version > VERSION:
        raise UnreadableTurn("a later release of mm_magic wrote it")
    return version


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def _number(value: object) -> int:
    return value if _is_number(value) else 0


def _rounded(seconds: float | None) -> float | None:
    """To the millisecond."""
    return seconds if seconds is None else round(seconds, 3)


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= MAX_NUMBER else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in _list(value) if isinstance(each, str))


def _pairs(value: object) -> list[tuple[int, int]]:
    """The pairs of whole numbers in a list."""
    pairs = [each for each in _list(value) if isinstance(each, list) and len(each) == 2]
    return [(a, b) for a, b in pairs if _is_number(a) and _is_number(b)]


def _clean(value: JsonObject) -> JsonObject:
    """The value as a file can hold it: without halves of characters."""
    clean: JsonObject = json.loads(join_surrogates(json.dumps(value, ensure_ascii=False)))
    return clean
