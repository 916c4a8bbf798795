"""A turn as the notebook file keeps it: JSON beside the readable forms.

It holds what is needed to go on from the file, and never a key, a header or an address. Nothing
in it changes from run to run where the reply does not: no cell id, wall-clock time or path.
Reading trusts nothing: a file can come from anybody.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeGuard, get_args

from mm_magic.conversation.conversation import State
from mm_magic.conversation.left_out import LeftOut
from mm_magic.conversation.number_ranges import merged
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.reply import FirstTry, Origin, Reply, Status, Unread
from mm_magic.conversation.turn import Failure, Turn
from mm_magic.errors import Kind, UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.schema import split_schema
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
from mm_magic.protocol.last_json import last_json
from mm_magic.protocol.messages import Message, Usage, block_from_wire
from mm_magic.transport.endpoint import Backend
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import read_day

VERSION = 2
"""Of the format. A file with a higher one was written by a later release."""
MAX_NUMBER = 1_000_000
MAX_TURN_NESTING = 2 * MAX_NESTING
"""Levels of a turn's JSON: what it adds around its blocks is far less."""
_FIELDS = {
    "version", "id", "conversation", "number", "prompt", "steps", "content", "context", "knew",
    "sent", "status", "backend", "asked", "said", "request_key", "model", "message_id",
    "stop_reason", "usage", "thinking_seconds", "sample", "nth", "replaces", "copy", "state",
    "recorded", "seconds", "answer", "answers", "error", "copy_of", "first_try", "problem",
    "untrusted", "without",
}  # fmt: skip
_PICK_FIELDS = {"conversation", "turn", "answer", "change", "nth", "copy"}
_SHARED = ("version", "conversation", "number", "prompt")
"""What all answers to one prompt have in common, as their turn has it."""
_STATUSES: dict[str, Status] = {word: word for word in get_args(Status)}
_KINDS: dict[str, Kind] = {word: word for word in get_args(Kind)}
_BACKENDS: dict[str, Backend] = {word: word for word in get_args(Backend)}


class UnreadableTurn(ValueError):
    """JSON that is no saved turn of this format. Its text says why, in a few words."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedPick:
    """What the JSON of a pick tells: `turn_id` is that of its turn as it was made.

    `index_in_cell` and `is_copy` as in `SavedTurn`.
    """

    conversation: str
    turn_id: str
    answer: int
    change: int
    index_in_cell: int
    is_copy: bool
    extra: Mapping[str, object]


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
    """The JSON of one turn; `state` is that of its conversation, None if it did not enter it.

    Its first answer stands first, whatever was picked: the cell of `%minimax pick` keeps that.
    """
    turn = turn.as_made
    optional: JsonObject = {
        "nth": turn.key.index_in_cell if turn.key and not turn.copy_of else 0,
        "replaces": list(turn.replaces),
        "copy": is_copy,
        "copy_of": turn.copy_of,
        "untrusted": turn.is_untrusted and state is None,
        "state": state and state_json(state),
        "answers": [_answer_json(each) for each in turn.others],
    }
    return _clean(
        {
            "version": VERSION,
            "id": turn.id,
            "conversation": turn.conversation,
            "number": turn.number,
            "prompt": turn.prompt.to_wire(),
            **{name: value for name, value in optional.items() if value},
            **_answer_json(turn),
        }
    )


def _answer_json(turn: Turn) -> JsonObject:
    """What one answer to a prompt has for itself: how it was asked for, and what came."""
    reply = turn.reply
    optional: JsonObject = {
        "sample": turn.sample,
        "recorded": reply.origin and _origin_json(reply.origin),
        "seconds": _rounded(reply.seconds),
        "answer": turn.answer,
        "error": turn.failure and turn.failure._asdict(),
        "without": turn.without and _left_out_json(turn.without),
        "first_try": reply.first_try and _first_try_json(reply.first_try),
        "problem": reply.problem,
    }
    return {
        "steps": [*map(_earlier_step_json, reply.earlier_steps), _step_json(reply.message)],
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


def _left_out_json(left_out: LeftOut) -> JsonObject:
    prompt = {} if left_out.prompt is None else {"prompt": left_out.prompt.to_wire()}
    return {"what": left_out.what, **prompt}


def _first_try_json(first: FirstTry) -> JsonObject:
    return {"problem": first.problem, "text": first.text, "usage": first.usage.to_wire()}


def record_json(
    turns: Iterable[JsonObject],
    states: Iterable[tuple[str, State]] = (),
    picks: Iterable[JsonObject] = (),
) -> JsonObject:
    """The JSON of turns that their cell does not show, of picks and of conversations that changed.

    The state of its conversation goes with each pick.
    """
    record: JsonObject = {
        "version": VERSION,
        "turns": list(turns),
        "states": {join_surrogates(name): state_json(state) for name, state in states},
    }
    return record | {"picks": found} if (found := list(picks)) else record


def pick_json(pick: Pick, turn: Turn, *, is_copy: bool = False) -> JsonObject:
    """The JSON of a pick; `turn` is the one that it is for, whatever answer it has now."""
    optional: JsonObject = {"nth": pick.key.index_in_cell if pick.key else 0, "copy": is_copy}
    return _clean(
        {
            "conversation": turn.conversation,
            "turn": turn.as_made.id,
            "answer": pick.answer,
            "change": pick.change,
            **{name: value for name, value in optional.items() if value},
            **pick.extra,
        }
    )


def state_json(state: State) -> JsonObject:
    """The JSON of a conversation's state; what is empty is left out."""
    optional: JsonObject = {
        "changes": state.changes,
        "gone": list(map(list, state.gone)),
        "hidden": list(map(list, state.hidden)),
        "last": state.last,
        "picks": list(map(list, state.picks)),
        "untrusted": list(map(list, state.untrusted)),
    }
    return {"begins": state.begins, **{name: value for name, value in optional.items() if value}}


def read_turn(wire: object, *, may_be_deep: bool = True) -> SavedTurn:
    """Read the JSON of one turn. Raises UnreadableTurn.

    `may_be_deep` is False where it is known to be nested no deeper than MAX_TURN_NESTING.
    """
    found = as_object(wire)
    version = check_version(found)
    if may_be_deep and is_deep(found, MAX_TURN_NESTING):
        raise UnreadableTurn("nested too deeply")
    name, number = found.get("conversation"), found.get("number")
    if not (name is None or (isinstance(name, str) and name.strip())):
        raise UnreadableTurn("no valid conversation name")
    if not _is_number(number) or (number == 0) != (name is None):
        raise UnreadableTurn("no valid number")
    *earlier, last = _read_steps(found, version)
    parameters = as_object(found.get("asked"))
    said = _texts(found.get("said")) if version > 1 else version_1.said(parameters)
    turn = Turn(
        conversation=name,
        number=number,
        key=None,
        prompt=_read_prompt(found.get("prompt")),
        reply=_read_reply(found, last, earlier),
        parameters=parameters,
        said=frozenset(said),
        request_key=as_text(found.get("request_key")),
        sample=_number(found.get("sample")),
        context_hash=as_text(found.get("context")),
        turns_hash=as_text(found.get("knew")),
        sent=as_count(found.get("sent")) or 0,
        replaces=_texts(found.get("replaces")),
        is_version_1=version == 1,
        answer=_number(found.get("answer")),
        others=_read_others(found),
        failure=_read_failure(found.get("error")),
        without=_read_left_out(found.get("without")),
        copy_of=_number(found.get("copy_of")),
        is_untrusted=found.get("untrusted") is True,
        extra={key: value for key, value in found.items() if key not in _FIELDS},
    )
    return SavedTurn(
        turn=turn,
        state=read_state(found.get("state")),
        index_in_cell=max(0, as_count(found.get("nth")) or 0),
        is_copy=found.get("copy") is True,
    )


def _read_others(found: JsonObject) -> tuple[Turn, ...]:
    """The other answers to the prompt of a turn; one that can't be read is left out.

    So is one whose number another one has. Without a number of its own a turn has no others.
    """
    shared = {name: found.get(name) for name in _SHARED}
    others: dict[int, Turn] = {}
    own = _number(found.get("answer"))
    for each in _list(found.get("answers")) if own else ():
        with suppress(UnreadableTurn):
            other = read_turn({**as_object(each), **shared, "answers": []}).turn
            if other.answer not in (0, own):
                others.setdefault(other.answer, other)
    return tuple(others.values())


def _read_failure(wire: object) -> Failure | None:
    """The error of one of several answers; an unknown kind is that of a server."""
    if not isinstance(wire, dict):
        return None
    kind = _KINDS.get(as_text(wire.get("kind")), "server")
    return Failure(kind, as_text(wire.get("message")))


def _read_left_out(wire: object) -> LeftOut | None:
    """What a request left out. Raises UnreadableTurn where that can't be told."""
    if wire is None:
        return None
    found = as_object(wire)
    prompt = _read_prompt(found["prompt"]) if "prompt" in found else None
    try:
        left_out = LeftOut(as_text(found.get("what")), prompt)
    except UsageError:
        raise UnreadableTurn("unclear what was left out") from None
    if left_out.is_variable is not (prompt is not None):
        raise UnreadableTurn("unclear what was left out")
    return left_out


def _step_json(step: Message) -> JsonObject:
    return {"role": step.role, "content": [block.to_wire() for block in step.content]}


def _earlier_step_json(step: Message) -> JsonObject:
    """A step before the last one; each answer among them was a request, with tokens of its own."""
    usage = step.usage.to_wire()
    return _step_json(step) | ({"usage": usage} if usage else {})


def _read_prompt(wire: object) -> Prompt:
    try:
        return Prompt.from_wire(wire)
    except UsageError:
        raise UnreadableTurn("no prompt") from None


def _read_steps(found: JsonObject, version: int) -> list[Message]:
    """The messages that followed the prompt; version 1 has the content of the only one."""
    steps = found.get("steps") if version > 1 else [{"content": found.get("content")}]
    if not isinstance(steps, list) or not steps:
        raise UnreadableTurn("no content")
    return [_read_step(as_object(step)) for step in steps]


def _read_step(wire: JsonObject) -> Message:
    content = wire.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise UnreadableTurn("no content")
    role = "user" if wire.get("role") == "user" else "assistant"
    blocks = tuple(block_from_wire(block) for block in content)
    return Message(role=role, content=blocks, usage=Usage().updated(as_object(wire.get("usage"))))


def _read_reply(found: JsonObject, last: Message, earlier: Sequence[Message]) -> Reply:
    status = _STATUSES.get(as_text(found.get("status")))
    backend = _BACKENDS.get(as_text(found.get("backend")))
    if status is None or backend is None:
        raise UnreadableTurn("unknown status or backend")
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
        _read_first_try(found.get("first_try")),
        as_text(found.get("problem")),
        tuple(earlier),
        Unread.DATA if _is_typed(found) and last_json(message.text).json else Unread.NONE,
    )


def _is_typed(found: JsonObject) -> bool:
    """Whether a type was asked for: the system prompt ends with its schema."""
    system = as_text(as_object(found.get("asked")).get("system"))
    return split_schema(system)[1] is not None


def _read_first_try(wire: object) -> FirstTry | None:
    if not isinstance(wire, dict):
        return None
    usage = Usage().updated(as_object(wire.get("usage")))
    return FirstTry(as_text(wire.get("problem")), as_text(wire.get("text")), usage)


def turns_of(saved: object) -> Sequence[object]:
    """The turns in what an output holds, not read yet: those of a record, or the turn itself."""
    record = as_object(saved)
    return _list(record["turns"]) if "turns" in record else [saved]


def read_record(wire: JsonObject) -> tuple[Sequence[object], dict[str, State]]:
    """The turns, not read yet, and the states of `record_json`. Raises UnreadableTurn."""
    check_version(wire)
    states = as_object(wire.get("states"))
    return turns_of(wire), {name: read_state(each) for name, each in states.items()}


def read_picks(wire: JsonObject) -> list[SavedPick]:
    """The picks of `record_json`, without cells; one that can't be read is left out."""
    return [each for each in map(_read_pick, _list(wire.get("picks"))) if each is not None]


def _read_pick(wire: object) -> SavedPick | None:
    found = as_object(wire)
    name, turn_id = as_text(found.get("conversation")), as_text(found.get("turn"))
    answer = _number(found.get("answer"))
    if not (name.strip() and turn_id and answer):
        return None
    return SavedPick(
        conversation=name,
        turn_id=turn_id,
        answer=answer,
        change=_number(found.get("change")),
        index_in_cell=_number(found.get("nth")),
        is_copy=found.get("copy") is True,
        extra={key: value for key, value in found.items() if key not in _PICK_FIELDS},
    )


def read_state(wire: object) -> State:
    """Read `state_json`; what can't be read counts as empty."""
    found = as_object(wire)
    return State(
        begins=as_text(found.get("begins")),
        changes=_number(found.get("changes")),
        gone=merged(_pairs(found.get("gone"))),
        hidden=merged(_pairs(found.get("hidden"))),
        last=_number(found.get("last")),
        picks=merged(_pairs(found.get("picks"))),
        untrusted=merged(_pairs(found.get("untrusted"))),
    )


def _origin_json(origin: Origin) -> JsonObject:
    optional: JsonObject = {
        "day": origin.day,
        "loose": origin.is_loose,
        "other_picture": origin.is_of_other_picture,
    }
    return {"backend": origin.backend, **{name: value for name, value in optional.items() if value}}


def _read_origin(wire: object, seconds: float | None) -> Origin | None:
    found = as_object(wire)
    backend = _BACKENDS.get(as_text(found.get("backend")))
    if backend is None:
        return None
    is_loose, is_of_other = (found.get(name) is True for name in ("loose", "other_picture"))
    return Origin(backend, read_day(found.get("day")), is_loose, seconds, is_of_other)


def check_version(wire: JsonObject) -> int:
    """The version of saved JSON. Raises UnreadableTurn unless this release can read it."""
    version = wire.get("version")
    if not _is_number(version) or version == 0:
        raise UnreadableTurn("no version")
    if version > VERSION:
        raise UnreadableTurn("written by a later release of mm_magic")
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
