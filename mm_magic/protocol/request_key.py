"""What makes two requests the same request: what the notebook said, and nothing else.

Saved turns and recordings are found by it. A package default, the environment, the address and the
way of the answer are not in it, so that a new release or another machine asks the same request.
Nor are blank lines and spaces around a prompt: nobody sees whether they are there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mm_magic.protocol.json_values import JsonObject, as_text, fingerprint


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request by its meaning; `prompt` is kept as it was typed.

    `options` are the parameters that the notebook set, by the names of the wire. `earlier` has for
    each earlier turn the fingerprints of its messages, its prompt first, without their thinking.
    `prompt` is the last message. `hash` tells requests apart; `question` those whose prompt or
    options differ, whatever came before. Both have 16 hex digits.
    """

    options: JsonObject
    earlier: tuple[tuple[str, ...], ...]
    prompt: JsonObject
    hash: str = field(init=False)
    question: str = field(init=False)

    def __post_init__(self) -> None:
        question = [self.options, trimmed(self.prompt)]
        turns = ";".join(map(",".join, self.earlier))  # 0.1 ms for 1,000 turns; as JSON 4 ms
        object.__setattr__(self, "question", fingerprint(question))
        object.__setattr__(self, "hash", fingerprint([*question, turns]))

    @property
    def prompt_print(self) -> str:
        """The fingerprint of the prompt, as later requests have it among their earlier ones."""
        return prompt_print(self.prompt)

    @property
    def text(self) -> str:
        """The prompt, if it is plain text."""
        return as_text(self.prompt.get("content"))

    def with_options(self, options: JsonObject) -> "RequestKey":
        """The same prompt behind the same messages with other options."""
        return RequestKey(options, self.earlier, self.prompt)

    @property
    def earlier_prompts(self) -> list[str]:
        """The fingerprints of the earlier prompts."""
        return [turn[0] for turn in self.earlier]

    def to_json(self) -> JsonObject:
        """As a recording holds it."""
        earlier = [list(turn) for turn in self.earlier]
        return {"options": self.options, "earlier": earlier, "prompt": self.prompt}


def prompt_print(message: JsonObject) -> str:
    """The fingerprint of a prompt; blank lines and spaces around it do not count."""
    return fingerprint(trimmed(message))


def trimmed(message: JsonObject) -> JsonObject:
    """A prompt without blank lines and spaces around its text."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": content.strip()}
    if not isinstance(content, list) or not content:
        return message
    blocks = [*content]
    blocks[0] = _stripped(blocks[0], str.lstrip)
    blocks[-1] = _stripped(blocks[-1], str.rstrip)
    return {**message, "content": blocks}


def _stripped(block: object, strip: Callable[[str], str]) -> object:
    """A block of text without the space at one of its ends; any other block as it is."""
    if not isinstance(block, dict) or not isinstance(block.get("text"), str):
        return block
    return {**block, "text": strip(block["text"])}
