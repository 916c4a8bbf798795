"""What makes two requests the same request: what the notebook said, and nothing else.

Saved turns and recordings are found by it. A package default, the environment, the address and the
way of the answer are not in it, so that a new release or another machine asks the same request.
Nor are blank lines and spaces around a prompt: nobody sees whether they are there. A picture is
known by its size and pixels, and no key holds more of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mm_magic.protocol.json_values import JsonObject, as_count, as_object, as_text, fingerprint
from mm_magic.protocol.messages import ImageBlock, picture_in_words, with_pictures_as


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request by its meaning; `prompt` is kept as it was typed, without the data of pictures.

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
        object.__setattr__(self, "prompt", described(self.prompt))
        question = [self.options, trimmed(self.prompt)]
        turns = ";".join(map(",".join, self.earlier))  # 0.1 ms for 1,000 turns; as JSON 4 ms
        object.__setattr__(self, "question", fingerprint(question))
        object.__setattr__(self, "hash", fingerprint([*question, turns]))

    def __str__(self) -> str:
        """The prompt as a reader sees it: of each picture what it is, in square brackets."""
        return "".join(map(_in_words, _blocks(self.prompt))) or self.text

    @property
    def prompt_print(self) -> str:
        """The fingerprint of the prompt, as later requests have it among their earlier ones."""
        return prompt_print(self.prompt)

    @property
    def text(self) -> str:
        """The text of the prompt."""
        blocks = _blocks(self.prompt)
        text = "".join(as_text(as_object(block).get("text")) for block in blocks)
        return text or as_text(self.prompt.get("content"))

    def with_options(self, options: JsonObject) -> "RequestKey":
        """The same prompt behind the same messages with other options."""
        return RequestKey(options, self.earlier, self.prompt)

    @property
    def has_pictures(self) -> bool:
        """Whether a picture is in its prompt or in an earlier one."""
        return any(map(_is_picture, _blocks(self.prompt))) or any("-" in t[0] for t in self.earlier)

    def with_any_pictures(self) -> "RequestKey":
        """The key that all such requests share which differ in their pictures alone."""
        earlier = tuple((turn[0].partition("-")[0], *turn[1:]) for turn in self.earlier)
        return RequestKey(self.options, earlier, _with_any_pictures(self.prompt))

    @property
    def earlier_prompts(self) -> list[str]:
        """The fingerprints of the earlier prompts."""
        return [turn[0] for turn in self.earlier]

    def to_json(self) -> JsonObject:
        """As a recording holds it."""
        earlier = [list(turn) for turn in self.earlier]
        return {"options": self.options, "earlier": earlier, "prompt": self.prompt}


def prompt_print(message: JsonObject) -> str:
    """The fingerprint of a prompt; blank lines and spaces around it do not count.

    That of one with pictures has two parts, "…-…": the second one tells its pictures.
    """
    known = trimmed(message)
    pictures = list(filter(_is_picture, _blocks(known)))
    if not pictures:
        return fingerprint(known)
    return f"{fingerprint(_with_any_pictures(known))}-{fingerprint(pictures)}"


def trimmed(message: JsonObject) -> JsonObject:
    """A prompt without blank lines and spaces around its text, and what its pictures show."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": content.strip()}
    if not isinstance(content, list) or not content:
        return message
    blocks = [_meant(block) for block in _blocks(described(message))]
    blocks[0] = _stripped(blocks[0], str.lstrip)
    blocks[-1] = _stripped(blocks[-1], str.rstrip)
    return {**message, "content": blocks}


def described(message: JsonObject) -> JsonObject:
    """A prompt that says of each picture what it is, in place of its data."""
    return with_pictures_as(ImageBlock.described, message)


def _blocks(message: JsonObject) -> list[object]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_picture(block: object) -> bool:
    """Whether it describes a picture."""
    return as_object(block).get("type") == "image" and "pixels" in as_object(block)


def _in_words(block: object) -> str:
    found = as_object(block)
    if not _is_picture(block):
        return as_text(found.get("text"))
    kind, width, height = (found.get(name) for name in ("media_type", "width", "height"))
    return f"[{picture_in_words(kind, width, height, as_count(found.get('bytes')) or 0)}]"


def _meant(block: object) -> object:
    """Of a picture what it shows; how its file was made does not count."""
    if not _is_picture(block):
        return block
    not_meant = ("media_type", "bytes")
    return {name: value for name, value in as_object(block).items() if name not in not_meant}


def _with_any_pictures(message: JsonObject) -> JsonObject:
    """The prompt without what its pictures show; where they stand is left."""
    blocks = [{"type": "image"} if _is_picture(each) else each for each in _blocks(message)]
    return {**message, "content": blocks} if blocks else message


def _stripped(block: object, strip: Callable[[str], str]) -> object:
    """A block of text without the space at one of its ends; any other block as it is."""
    if not isinstance(block, dict) or not isinstance(block.get("text"), str):
        return block
    return {**block, "text": strip(block["text"])}
