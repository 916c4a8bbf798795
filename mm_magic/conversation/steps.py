"""The messages of one turn as JSON: its prompt, and the steps that followed where it called tools.

A turn that goes on is a request of its own: what it is known by are the turns above, the prompt
with all steps but the last as one more of them, and the last step, which has the results.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mm_magic.conversation.sent_messages import Sending, unfinished_messages
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import JsonObject, fingerprint, settled
from mm_magic.protocol.messages import Message, ThinkingBlock, ToolResultBlock, ToolUseBlock
from mm_magic.protocol.request_key import prompt_print


def in_wire(message: Message, prompt: Prompt | None = None) -> JsonObject:
    """Role and content of a message; a `prompt` of text alone is a plain string."""
    if prompt is not None and message.content == prompt.content and message.role == "user":
        return prompt.message()
    content = [block.to_wire() for block in message.content]
    return {"role": message.role, "content": settled(content)}


def prints_of(prompt: Prompt, messages: Sequence[JsonObject]) -> tuple[str, ...]:
    """The fingerprints by which later requests know the messages of a turn, its prompt first."""
    if not messages:
        return ()
    first, *followed = messages
    known = prompt.described() if first == prompt.message() else first
    return (prompt_print(known), *map(fingerprint, followed))


def messages_so_far(
    prompt: Prompt, steps: Sequence[Message], *, in_context: bool
) -> list[JsonObject]:
    """The prompt and the steps behind it, the last of which has the results of calls.

    Thinking goes back only `in_context`, to the server that gave it.
    """
    messages = (Message(role="user", content=prompt.content), *steps)
    return [in_wire(each, prompt) for each in unfinished_messages(messages, Sending(in_context))]


def known_by(prompt: Prompt, steps: Sequence[Message]) -> tuple[tuple[str, ...], JsonObject]:
    """The fingerprints of all messages so far but the last, and the last one."""
    *before, last = messages_so_far(prompt, steps, in_context=False) or [{}]
    return prints_of(prompt, before), last


def call_in_words(use: ToolUseBlock) -> str:
    """A call as Python would write it; its arguments as they came where they are no JSON."""
    given = use.input
    if isinstance(given, str):
        return f"{use.name}({given})"
    told = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())
    return f"{use.name}({', '.join(told)})"


class Answered(NamedTuple):
    """An answer with calls, and each of them with its result; None where it has none."""

    message: Message
    calls: list[tuple[ToolUseBlock, ToolResultBlock | None]]


def answered(steps: Sequence[Message]) -> Iterator[Answered]:
    """The answers among the earlier steps of a turn."""
    for number, message in enumerate(steps):
        if message.role != "assistant":
            continue
        blocks = [block for each in steps[number + 1 : number + 2] for block in each.content]
        results = {each.tool_use_id: each for each in blocks if isinstance(each, ToolResultBlock)}
        calls = [block for block in message.content if isinstance(block, ToolUseBlock)]
        yield Answered(message, [(each, results.get(each.id)) for each in calls])


def think(steps: Sequence[Message]) -> bool:
    """Whether any of the steps has thinking."""
    return any(isinstance(block, ThinkingBlock) for step in steps for block in step.content)
