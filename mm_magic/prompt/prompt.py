"""A prompt as a value: the content blocks that a user's message holds."""

from dataclasses import dataclass

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Block, TextBlock, block_from_wire
from mm_magic.protocol.request import encode_message
from mm_magic.protocol.request_key import trimmed


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked. Raises UsageError for one of white space only, which the service refuses."""

    content: tuple[Block, ...]

    def __post_init__(self) -> None:
        if all(isinstance(block, TextBlock) and not block.text.strip() for block in self.content):
            raise UsageError("the prompt is empty", next_steps=("Write it on the lines below.",))

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of_text(cls, text: object) -> "Prompt":
        """The prompt that is this text. Raises UsageError where it is no text."""
        if not isinstance(text, str):
            raise UsageError(f"the prompt must be text, got {type(text).__name__}")
        return cls((TextBlock(text),))

    @classmethod
    def from_wire(cls, content: object) -> "Prompt":
        """Read `to_wire`'s JSON, or any content of a user's message. Raises UsageError."""
        if not isinstance(content, list):
            return cls.of_text(content)
        return cls(tuple(block_from_wire(each) for each in content if isinstance(each, dict)))

    @property
    def text(self) -> str:
        """Its text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    def to_wire(self) -> str | list[JsonObject]:
        """A text alone is a plain string, and anything else a list of blocks."""
        match self.content:
            case (TextBlock(text, extra),) if not extra:
                return text
            case blocks:
                return [block.to_wire() for block in blocks]

    def asks_as(self, other: "Prompt") -> bool:
        """Whether it is the same prompt; blank lines and spaces around it do not count."""
        return trimmed(self.message()) == trimmed(other.message())

    def message(self) -> JsonObject:
        """The message that asks it."""
        return {"role": "user", "content": self.to_wire()}

    def encode(self) -> bytes:
        """The JSON of that message."""
        return encode_message("user", self.to_wire())
