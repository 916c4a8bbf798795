"""The lines of version 0.1's recordings, as exchanges of today.

Version 0.1 sent and recorded the defaults of temperature, top_p and max_tokens, and knew the
earlier messages by fingerprints that have their thinking in them. Here a value equal to its default
counts as not set, and each earlier message is found among the file's own prompts and answers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.json_values import (
    JsonObject,
    as_count,
    as_object,
    fingerprint,
    join_surrogates,
    settled,
)
from mm_magic.protocol.messages import Block, TextBlock, ThinkingBlock
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.body import take_in
from mm_magic.transport.recording.file_format import DamagedLine, RecordedExchange, exchange_of

_MEANING = (
    "model", "system", "stream", "max_tokens", "temperature", "top_p", "thinking", "tools",
    "tool_choice",
)  # fmt: skip
_DEFAULTS = {"model": "MiniMax-M2.7", "max_tokens": 2048, "temperature": 1, "top_p": 0.95}


def said(parameters: Mapping[str, object]) -> JsonObject:
    """What of a request's parameters counts as set by the notebook."""
    return {
        name: value
        for name, value in parameters.items()
        if name != "stream" and value != _DEFAULTS.get(name) and value not in (None, "")
    }


def keys_for(key: RequestKey, model: str) -> list[RequestKey]:
    """The keys under which version 0.1's files may hold a request, which asks this model.

    Its lines name the model that was asked, also where the notebook did not say one.
    """
    options = [said({"model": model, **key.options}), said(key.options)]
    return [key.with_options(each) for each in options]


def exchanges(wires: Iterable[JsonObject]) -> Iterator[RecordedExchange | DamagedLine]:
    """The exchanges of a file's lines, in order; an error in the place of one that is damaged."""
    lines = [_read(wire) for wire in wires]
    prints: dict[str, str] = {}
    for line in lines:
        if not isinstance(line, DamagedLine):
            prints.update(_prints(line))
    samples: dict[str, dict[tuple[str, int], int]] = {}
    numbered: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if isinstance(line, DamagedLine):
            yield line
            continue
        earlier = tuple(tuple(prints.get(each, each) for each in turn) for turn in line.key.earlier)
        key = RequestKey(line.key.options, earlier, line.key.prompt)
        # Requests that differed in how they streamed are one request now. Who asked first comes
        # first; a line that is missing keeps its place.
        of_key, old = samples.setdefault(key.hash, {}), str(line.extra.get("hash"))
        nth = min(line.sample, len(lines))
        while numbered[key.hash, old] <= nth:
            of_key[old, numbered[key.hash, old]] = len(of_key)
            numbered[key.hash, old] += 1
        sample = of_key[old, nth]
        yield replace(line, key=key, sample=sample, is_version_1=True, extra={})


def _read(wire: JsonObject) -> RecordedExchange | DamagedLine:
    """One line, its earlier messages as version 0.1 knew them; `extra` still has its hash."""
    request = as_object(wire.get("request"))
    messages = request.get("messages")
    try:
        if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
            raise DamagedLine("its request has no prompt")
        if not all(isinstance(message, str | dict) for message in messages):
            raise DamagedLine("its request holds something that is not a message")
        earlier = [each if isinstance(each, str) else _print(each) for each in messages[:-1]]
        given = {name: _whole(request.get(name)) for name in _MEANING}
        parameters = {name: value for name, value in given.items() if value not in (None, "")}
        if wire.get("hash") != _print([parameters, _print(messages[-1]), earlier]):
            raise DamagedLine("its request was changed after it was recorded")
        turns = zip(earlier[::2], earlier[1::2], strict=False)  # a prompt and its answer
        key = RequestKey(said(parameters), tuple(turns), messages[-1])
        return exchange_of(wire, key, as_count(wire.get("nth")) or 0)
    except DamagedLine as error:
        return error


def _prints(line: RecordedExchange) -> Iterator[tuple[str, str]]:
    """Version 0.1's fingerprints of a line's prompt and answer, with those of today."""
    yield _print(line.key.prompt), line.key.prompt_print
    try:
        answer, _, _ = take_in(line.content_type, line.reads, has_ended=line.ending == "complete")
    except MiniMaxError:  # an error has no answer that a later request could hold
        return
    blocks = answer.message().content
    known = _sent(blocks, thinking=False)
    today = fingerprint(_answer(b for b in known if isinstance(b, TextBlock)))
    for sent in (known, _sent(blocks, thinking=True)):
        yield _print(_answer(sent)), today


def _sent(blocks: Sequence[Block], *, thinking: bool) -> list[Block]:
    """The blocks that version 0.1 sent back."""
    kept = [
        block
        for block in blocks
        if not (isinstance(block, TextBlock) and not block.text.strip())
        and (thinking or not isinstance(block, ThinkingBlock))
    ]
    while kept and isinstance(kept[-1], ThinkingBlock):
        kept.pop()
    return kept


def _answer(blocks: Iterable[Block]) -> JsonObject:
    return {"role": "assistant", "content": settled([block.to_wire() for block in blocks])}


def _print(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(join_surrogates(text).encode()).hexdigest()[:16]


def _whole(value: object) -> object:
    """1.0 and 1 are one number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
