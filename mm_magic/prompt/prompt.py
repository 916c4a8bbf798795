"""A prompt as a value: the content blocks that a user's message holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mm_magic.errors import UsageError
from mm_magic.prompt.no_data import NoDataError, refuse_handle
from mm_magic.prompt.pictures import PictureError, picture_of
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Block, ImageBlock, TextBlock, prompt_block_from_wire, said
from mm_magic.protocol.request import encode_message
from mm_magic.protocol.request_key import prompt_print, trimmed

Asked: TypeAlias = str | Sequence[object]
"""What a program asks: a text, or a list of texts and pictures."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked. Raises UsageError for one of white space only, which the service refuses."""

    content: tuple[Block, ...]

    def __post_init__(self) -> None:
        if all(isinstance(block, TextBlock) and not block.text.strip() for block in self.content):
            raise UsageError(
                "the prompt is empty",
                next_steps=("In a cell, write it on the lines below `%%minimax`.",),
            )

    def __str__(self) -> str:
        """As a reader sees it: its text, and of each picture what it is, in square brackets."""
        return "".join(
            f"[{block}]" if isinstance(block, ImageBlock) else said(block) for block in self.content
        )

    @classmethod
    def of_text(cls, text: object) -> "Prompt":
        """The prompt that is this text. Raises UsageError where it is no text."""
        if not isinstance(text, str):
            raise UsageError(f"the prompt must be text, got {type(text).__name__}")
        return cls((TextBlock(text),))

    @classmethod
    def of(cls, value: object) -> "Prompt":
        """The prompt that a text is, or a list of texts and pictures. Raises UsageError."""
        if isinstance(value, str):
            return cls.of_text(value)
        if not isinstance(value, list | tuple):
            raise UsageError(
                f"the prompt must be text, got {type(value).__name__}",
                next_steps=('With pictures, write a list: `mm.ask(["What is this?", fig])`',),
            )
        return cls(tuple(_block(part) for part in value if not _is_blank(part)))

    @classmethod
    def from_wire(cls, content: object) -> "Prompt":
        """Read `to_wire`'s JSON, or any content of a user's message. Raises UsageError."""
        if not isinstance(content, list):
            return cls.of_text(content)
        blocks = (prompt_block_from_wire(each) for each in content if isinstance(each, dict))
        return cls(tuple(blocks))

    @property
    def text(self) -> str:
        """Its text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    @property
    def pictures(self) -> list[ImageBlock]:
        """Its pictures, in order."""
        return [block for block in self.content if isinstance(block, ImageBlock)]

    def to_wire(self) -> str | list[JsonObject]:
        """A text alone is a plain string, and anything else a list of blocks."""
        match self.content:
            case (TextBlock(text, extra),) if not extra:
                return text
            case blocks:
                return [block.to_wire() for block in blocks]

    def asks_as(self, other: "Prompt") -> bool:
        """Whether it is the same prompt; blank lines and spaces around it do not count."""
        is_alike = self.text.strip() == other.text.strip()  # before a picture is decoded
        return is_alike and trimmed(self.described()) == trimmed(other.described())

    def differs_in_pictures(self, other: "Prompt") -> bool:
        """Whether it is the same prompt but for what its pictures show."""
        one, another = prompt_print(self.described()), prompt_print(other.described())
        return one != another and one.partition("-")[0] == another.partition("-")[0]

    def message(self) -> JsonObject:
        """The message that asks it."""
        return {"role": "user", "content": self.to_wire()}

    def described(self) -> JsonObject:
        """The same message, with what each picture is in place of its data."""
        if not self.pictures:
            return self.message()
        content = [
            block.described() if isinstance(block, ImageBlock) else block.to_wire()
            for block in self.content
        ]
        return {"role": "user", "content": content}

    def encode(self) -> bytes:
        """The JSON of that message."""
        return encode_message("user", self.to_wire())


def _is_blank(part: object) -> bool:
    return isinstance(part, str) and not part.strip()


def _block(part: object) -> Block:
    """A part of a prompt. Raises UsageError for what is neither text nor a picture."""
    if isinstance(part, str):
        return TextBlock(part)
    kind = type(part).__name__
    try:
        picture = picture_of(part)
        if picture is None:
            refuse_handle(part)
    except NoDataError as error:
        step = _in_python(error.step("value"))
        why = f"a prompt can hold only text and pictures, got {error.what}"
        raise UsageError(why, next_steps=(step,)) from None
    except PictureError as error:
        step = _in_python(error.step.format("picture"))
        raise UsageError(f"a picture ({kind}) can't be sent: {error}", next_steps=(step,)) from None
    if picture is None:
        step = 'As text: `f"… {value}"`'
        raise UsageError(
            f"a prompt can hold only text and pictures, got {kind}", next_steps=(step,)
        )
    return picture.block


def _in_python(step: str) -> str:
    """A step for a cell as one for a program, where no braces stand around a name."""
    return step.replace("{{", "`").replace("}}", "`")
