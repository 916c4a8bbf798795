"""The turns in a notebook file as a recording: what they asked is built anew, as a kernel would.

A file keeps of each turn what was asked and answered, and not when each word came: the answer
begins after the time that the model thought, and goes on at an even pace. How long it took is told
as the file has it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from mm_magic.conversation.conversation import untrusted
from mm_magic.conversation.left_out import turn_in
from mm_magic.conversation.notebook_file import Notebook
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.steps import known_by
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import Turn
from mm_magic.protocol.events import (
    ContentBlockStart,
    MessageDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    ThinkingDelta,
)
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Message
from mm_magic.protocol.request_key import RequestKey
from mm_magic.protocol.stream_writer import write
from mm_magic.transport.demo.send import words_of
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.transport.recording.file_format import Read, RecordedExchange, Recording

SERVER = "notebook"
"""In place of all servers that answered."""

_BEGIN = 0.3  # seconds until the first word
_WORD = 0.02  # seconds from one word of the answer to the next
_TEXT = 2.8  # seconds for the words of an answer at most


def recording_of(notebook: Notebook, *, is_trusted: bool = True) -> Recording:
    """The turns of a notebook. `damaged` has the numbers of those that can't be replayed, and why.

    Turns of several conversations may have one number. One that was made with other turns above
    than stand there now is not replayed: its request can't come again.
    """
    damaged: list[tuple[int, str]] = []
    steps = (
        (each, turn)
        for exchange, turn in answers_of(notebook, damaged, is_trusted=is_trusted)
        for each in _with_steps(exchange, turn)
    )
    exchanges = tuple(exchange for exchange, _ in _numbered(steps))
    return Recording(exchanges, tuple(damaged))


def answers_of(
    notebook: Notebook, damaged: list[tuple[int, str]] | None = None, *, is_trusted: bool = True
) -> Iterator[tuple[RecordedExchange, Turn]]:
    """Each answer that can come again, with its turn; the exchange has no reads yet.

    `damaged` is given the others. Where the file is not trusted, none of its turns is. It takes
    0.3 s for 1,000 turns.
    """
    alone = [each.turn for each in notebook.found if each.turn.conversation is None]
    damaged = [] if damaged is None else damaged
    found: list[tuple[RecordedExchange, Turn]] = []
    for past in pasts(notebook).values():
        there = past[0].conversation()
        stale = there.stale_turns()
        if not is_trusted:
            there.turns = [*map(untrusted, there.turns)]
        for turn in there.turns:
            if turn.is_hidden or turn.copy_of:  # nobody asks for a copy
                continue
            if turn.number in stale:
                damaged.append((turn.number, "earlier turns have changed since"))
            elif turn.as_made.reply.status != "complete":
                damaged.append((turn.number, "its answer was stopped"))
            else:
                found += _of_answers(turn, there.earlier_of(turn))
    for turn in alone if is_trusted else map(untrusted, alone):
        if _is_whole(turn):
            found += _of_answers(turn, [])
    yield from _numbered(found)


def _with_steps(exchange: RecordedExchange, turn: Turn) -> Iterator[RecordedExchange]:
    """The answer as it was asked for: one exchange, and one more for each time that it called.

    How long all of them took is told by the first.
    """
    steps, reply = turn.reply.earlier_steps, turn.reply
    for number, step in enumerate((*steps, reply.message)):
        if step.role == "assistant":
            is_last = number == len(steps)
            message = reply.message if is_last else replace(step, stop_reason="tool_use")
            told = replace(reply, message=message, earlier_steps=())
            if not is_last:
                told = replace(told, thinking_seconds=None)
            key = _behind(exchange.key, turn, steps[:number])
            seconds = exchange.seconds if number == 0 else 0.0
            yield replace(exchange, key=key, reads=tuple(reads_of(told)), seconds=seconds)


def _behind(key: RequestKey, turn: Turn, steps: Sequence[Message]) -> RequestKey:
    """The key of the request that goes on with these steps."""
    if not steps:
        return key
    so_far, results = known_by(turn.sent_prompt, steps)
    return RequestKey(key.options, (*key.earlier, so_far), results)


def _of_answers(turn: Turn, earlier: Sequence[Turn]) -> Iterator[tuple[RecordedExchange, Turn]]:
    """A turn and the other answers to its prompt; those that are not whole only count."""
    for each in turn.answers:
        yield exchange_of(each, key_of(each, earlier)), each


def _is_whole(turn: Turn) -> bool:
    """Whether its answer is complete, and of the type that was asked for."""
    return turn.reply.status == "complete" and not turn.reply.problem


def key_of(turn: Turn, earlier: Iterable[Turn]) -> RequestKey:
    """What the request of a turn behind these is found by."""
    left_out = turn_in(turn.without)
    prints = tuple(each.prints for each in earlier if each.number != left_out)
    return RequestKey(turn.asked, prints, turn.sent_prompt.described())


def exchange_of(turn: Turn, key: RequestKey) -> RecordedExchange:
    """The answer of a turn as an exchange, without its reads."""
    reply, origin = turn.reply, turn.reply.origin
    return RecordedExchange(
        key=key,
        sample=turn.sample,
        day=origin.day if origin else "",
        backend=origin.backend if origin else reply.backend,
        server=OFFLINE if turn.is_demo else SERVER,
        model=reply.model,
        ending="complete" if _is_whole(turn) else "stopped",
        status=200,
        content_type="text/event-stream",
        reads=(),
        is_version_1=turn.is_version_1,
        seconds=reply.seconds,
        is_untrusted=turn.is_untrusted,
    )


def _numbered(
    found: Iterable[tuple[RecordedExchange, Turn]],
) -> Iterator[tuple[RecordedExchange, Turn]]:
    """Of those that ask the same, each is of a cell of its own."""
    counts: dict[str, int] = {}
    for exchange, turn in found:
        sample = counts.get(exchange.key.hash, 0)
        counts[exchange.key.hash] = sample + 1
        yield replace(exchange, sample=sample), turn


def reads_of(reply: Reply, *, in_words: bool = True) -> list[Read]:
    """A stream that makes this reply again, its time of thinking included.

    Not `in_words` each of its texts comes in one piece: nobody watches it grow.
    """
    events = [
        (_is_thinking(block), event)
        for index, block in enumerate(reply.content)
        for event in _block_events(index, block, words_of if in_words else _whole)
    ]
    thought = 1 + max((place for place, (thinks, _) in enumerate(events) if thinks), default=-1)
    thinking = [event for _, event in events[:thought]]
    text = [event for _, event in events[thought:]]
    if thinking and reply.thinking_seconds is None:  # they came in one: nobody could tell
        thinking, text = [], [b"".join([*thinking, *text])]
    end = reply.thinking_seconds if thinking and reply.thinking_seconds is not None else _BEGIN
    steps = len(thinking) + bool(text)  # the first text ends the thinking, to the millisecond
    pace = min(_WORD, _TEXT / max(1, len(text)))
    opening = write(MessageStart(_opening(reply)))
    reads = [
        (0.0, opening),
        *((round(end * place / steps, 3), event) for place, event in enumerate(thinking, start=1)),
        *((round(end + place * pace, 3), event) for place, event in enumerate(text)),
    ]
    closing = write(MessageDelta(reply.stop_reason, None, reply.usage.to_wire()), MessageStop())
    return [*reads, (reads[-1][0], closing)]


def _whole(text: str) -> list[str]:
    return [text] if text else []


def _block_events(
    index: int, block: JsonObject, words_of: Callable[[str], Iterable[str]]
) -> Iterator[bytes]:
    """A block as a stream brings it: the start, and its words one by one."""
    kind = block.get("type")
    text = block.get(str(kind))
    if kind not in ("text", "thinking") or not isinstance(text, str):
        yield write(ContentBlockStart(index, block))
        return
    start = write(ContentBlockStart(index, {**block, kind: ""}))
    for word in words_of(text):
        yield start + write(
            TextDelta(index, word) if kind == "text" else ThinkingDelta(index, word)
        )
        start = b""
    if start:
        yield start


def _is_thinking(block: JsonObject) -> bool:
    return block.get("type") == "thinking" and bool(block.get("thinking"))


def _opening(reply: Reply) -> JsonObject:
    return {"id": reply.id, "type": "message", "role": "assistant", "model": reply.model}
