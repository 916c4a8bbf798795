"""A turn's messages as a server accepts them back.

A server that refuses one earlier message refuses every later request of the conversation. A file
can hold anything: what no server takes is left out here, whoever wrote it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from mm_magic.protocol.json_values import as_text
from mm_magic.protocol.messages import (
    Block,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UnknownBlock,
)

_OF_USERS = {"video", "document", "search_result"}
"""The types of block that a user's message may hold beside text, pictures and the results of calls.

A picture that is at an address, or can't be read, is not sent.
"""
_NO_WORD = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64
"""What servers take as the name of a call, and as its id: a model may make up any other."""
NO_JSON = "INVALID_JSON"
"""Arguments that are no JSON go back under this name, as Anthropic's pages advise."""


class Sending(NamedTuple):
    """How messages are sent. `in_context`: to the model and server that gave them, as they were.

    Nobody else gets thinking, or blocks of types that this release does not know. `is_whole`: the
    last message was not cut off, so that its thinking is whole even without a signature.
    """

    in_context: bool
    is_whole: bool = True


def sent_messages(messages: Sequence[Message], how: Sending) -> list[Message]:
    """The messages of a turn, its prompt first, with what a server accepts of their content.

    Users and assistants take turns, and the last message is the assistant's. There are none where
    that can't be had.
    """
    while len(messages) > 1:
        sent = _joined(_filtered(messages, how))
        if messages[-1].role == "assistant" and sent[-1:] and sent[-1].role == "assistant":
            return sent if sent[0].role == "user" else []
        messages = messages[:-1]
    return []


def unfinished_messages(messages: Sequence[Message], how: Sending) -> list[Message]:
    """The same of a turn that goes on: its last message has the results of calls."""
    return _joined(_filtered(messages, how))


def calls_in(message: Message) -> list[ToolUseBlock]:
    """The calls of an answer that can have a result: with a name and an id, each id once."""
    found: dict[str, ToolUseBlock] = {}
    for block in message.content:
        if isinstance(block, ToolUseBlock) and block.id and block.name:
            found.setdefault(_word(block.id), block)
    return list(found.values())


def id_as_sent(use: ToolUseBlock) -> str:
    """The id of a call, by which its result names it where both are sent."""
    return _word(use.id)


def _filtered(messages: Sequence[Message], how: Sending) -> Iterator[Message]:
    """The messages without the blocks that are refused; some may be empty then."""
    messages = list(map(_in_words, messages))
    calls: set[str] = set()
    for message, after in zip(messages, (*messages[1:], None), strict=True):
        if message.role == "user":
            content = _of_user(message.content, calls)
            calls = set()
        else:
            is_whole = how.is_whole or after is not None
            content = _of_assistant(message.content, _results_in(after), how, is_whole=is_whole)
            calls = {block.id for block in content if isinstance(block, ToolUseBlock)}
        unchanged = len(content) == len(message.content) and message.role == "assistant"
        yield message if unchanged else replace(message, content=tuple(content))


def _in_words(message: Message) -> Message:
    """The message with calls and results as every server takes them."""
    if not any(isinstance(block, ToolUseBlock | ToolResultBlock) for block in message.content):
        return message
    return replace(message, content=tuple(map(_acceptable, message.content)))


def _acceptable(block: Block) -> Block:
    match block:
        case ToolUseBlock(id_, name, given):
            name = _word(name)[:_LONGEST_NAME]
            given = {NO_JSON: given} if isinstance(given, str) else given
            return replace(block, id=_word(id_), name=name, input=given)
        case ToolResultBlock(id_):
            return replace(block, tool_use_id=_word(id_))
    return block


def _word(text: str) -> str:
    return _NO_WORD.sub("_", text)


def _of_user(blocks: Sequence[Block], calls: set[str]) -> list[Block]:
    """Results of the calls before it, each once and in front, and what a user may send."""
    results: dict[str, Block] = {}
    others: list[Block] = []
    for block in blocks:
        if isinstance(block, ImageBlock) or (isinstance(block, TextBlock) and block.text.strip()):
            others.append(block)
        elif isinstance(block, ToolResultBlock) and block.tool_use_id in calls:
            results.setdefault(block.tool_use_id, block)
        elif isinstance(block, UnknownBlock) and as_text(block.wire.get("type")) in _OF_USERS:
            others.append(block)
    return [*results.values(), *others]


def _of_assistant(
    blocks: Sequence[Block], answered: set[str], how: Sending, *, is_whole: bool
) -> list[Block]:
    """What goes back of an answer; thinking at its end, which is refused, does not."""
    calls: set[str] = set()
    content: list[Block] = []
    for block in blocks:
        if isinstance(block, ToolUseBlock):
            if not _is_call(block) or block.id not in answered - calls:
                continue
            calls.add(block.id)
        elif not _may_go_back(block, blocks, how, is_whole=is_whole):
            continue
        content.append(block)
    while content and isinstance(content[-1], ThinkingBlock):
        content.pop()
    return content


def _may_go_back(block: Block, among: Sequence[Block], how: Sending, *, is_whole: bool) -> bool:
    match block:
        case TextBlock(text):
            return bool(text.strip())
        case ThinkingBlock(thinking, signature):
            return how.in_context and bool(thinking.strip()) and (is_whole or bool(signature))
        case UnknownBlock(wire):
            return how.in_context and _is_paired(wire, among)
    return False


def _is_call(block: ToolUseBlock) -> bool:
    return bool(block.id and block.name)


def _is_paired(wire: dict[str, object], among: Sequence[Block]) -> bool:
    """Whether the call of a server's tool has its result in the same message, and the reverse."""
    wires = [block.wire for block in among if isinstance(block, UnknownBlock)]
    if "tool_use_id" in wire:
        return any(
            _is_server_call(each) and each.get("id") == wire["tool_use_id"] for each in wires
        )
    if _is_server_call(wire):
        return any(each.get("tool_use_id") == wire.get("id") for each in wires)
    return bool(wire.get("type"))


def _is_server_call(wire: dict[str, object]) -> bool:
    return as_text(wire.get("type")).endswith("_tool_use") and bool(wire.get("id"))


def _results_in(message: Message | None) -> set[str]:
    """The ids of the calls whose results a message holds."""
    if message is None or message.role != "user":
        return set()
    results = {b.tool_use_id for b in message.content if isinstance(b, ToolResultBlock)}
    return results - {""}


def _joined(messages: Iterator[Message]) -> list[Message]:
    """The messages that are not empty; neighbours of one role become one message."""
    joined: list[Message] = []
    for message in messages:
        if not message.content:
            continue
        if joined and joined[-1].role == message.role:
            message = replace(message, content=(*joined.pop().content, *message.content))
        joined.append(message)
    return joined
