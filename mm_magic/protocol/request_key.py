"""What makes two requests the same request: what the notebook said, and nothing else.

Saved turns and recordings are found by it. A package default, the environment, the address and the
way of the answer are not in it, so that a new release or another machine asks the same request.
"""

from dataclasses import dataclass, field

from mm_magic.protocol.json_values import JsonObject, as_text, fingerprint


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request by its meaning.

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
        question = [self.options, self.prompt]
        turns = ";".join(map(",".join, self.earlier))  # 0.1 ms for 1,000 turns; as JSON 4 ms
        object.__setattr__(self, "question", fingerprint(question))
        object.__setattr__(self, "hash", fingerprint([*question, turns]))

    @property
    def prompt_print(self) -> str:
        """The fingerprint of the prompt, as later requests have it among their earlier ones."""
        return fingerprint(self.prompt)

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
