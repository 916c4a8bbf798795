"""Why a request has no answer in a recording: the nearest recorded one, and what mends it."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.transport.recording.file_format import MEANING, Asked, RecordedExchange
from mm_magic.wording import option

NOT_RECORDED = "This prompt was not recorded."
"""The whole of a step where no recorded prompt is like it."""
_COMPARED = 1000  # characters of a prompt: comparing takes the square of the time
_ALIKE = 0.6  # of 1.0: below that two prompts have nothing to do with each other
_SHOWN = 60  # characters of a prompt

_OPTIONS = {
    "model": "-m",
    "temperature": "-t",
    "max_tokens": "--max-tokens",
    "top_p": "--top-p",
    "system": "-s",
    "thinking": "--thinking",
}


def difference(requests: Sequence[Asked], recorded: Sequence[RecordedExchange]) -> list[str]:
    """Sentences on what is other about the nearest recorded request; none if nothing is near.

    `requests` are one prompt with its options, behind each history that it may have here.
    """
    request = requests[0]
    offered = [exchange for exchange in recorded if exchange.is_offered]
    same_prompt = [each.asked for each in offered if each.asked.prompt == request.prompt]
    if same_prompt:
        pairs = [(here, there) for here in requests for there in same_prompt]
        request, nearest = min(pairs, key=lambda pair: _distance(*pair))
        return [*_of_options(request, nearest), *_of_context(request, nearest, offered)]
    hashes = {each.hash for each in requests}
    if unfinished := [each for each in recorded if each.asked.hash in hashes]:
        how = "was stopped" if unfinished[-1].ending == "stopped" else "broke off"
        return [f"Its answer {how} when it was recorded: record it again."]
    return _of_prompt(request, [each.asked for each in offered])


def _distance(request: Asked, other: Asked) -> tuple[int, int]:
    """Fewer options that differ first, then fewer messages."""
    same = SequenceMatcher(None, request.earlier, other.earlier, autojunk=False)
    matching = sum(block.size for block in same.get_matching_blocks())
    messages = len(request.earlier) + len(other.earlier) - 2 * matching
    return len(list(_differing(request, other))), messages


def _differing(request: Asked, other: Asked) -> Iterator[str]:
    return (n for n in MEANING if request.parameters.get(n) != other.parameters.get(n))


# Options


def _of_options(request: Asked, other: Asked) -> list[str]:
    names = list(_differing(request, other))
    if not names:
        return []
    words = [_option(name, other.parameters) for name in names]
    options = [word for word in words if word.startswith("-")]
    sentence = f"Recorded with {', '.join(words)}"
    if len(options) < len(words):
        return [f"{sentence}."]
    return [f"{sentence}: `%%minimax {' '.join(options)}`"]


def _option(name: str, parameters: JsonObject) -> str:
    """The option that sends this parameter as it was recorded; else it is only named."""
    value = parameters.get(name)
    if name == "stream":
        return "--stream" if value else "--no-stream"
    if name == "thinking":
        value = as_object(value).get("type", "auto")
    if name == "system":
        value = value or ""
    line = None
    if value is not None and name in _OPTIONS:
        line = option(_OPTIONS[name], f"--{name.replace('_', '-')}", str(value))
    return line or f"another {'system prompt' if name == 'system' else name}"


# What came before


def _of_context(request: Asked, other: Asked, offered: Iterable[RecordedExchange]) -> list[str]:
    """What is other about the messages before the prompt: a prompt and an answer make a turn."""
    here, there = request.earlier, other.earlier
    if here == there:
        return []
    texts = {each.asked.prompt_print: each.asked.text for each in offered}
    if here[::2] == there[: len(here) : 2]:
        missing = there[len(here) :: 2]
        if not missing:
            turn = 1 + next(i for i in range(len(here)) if here[i] != there[i]) // 2
            return [
                f"Recorded after another answer to turn {turn}{_named(texts, here[2 * turn - 2])}: "
                "run that cell again first."
            ]
        turn = len(here) // 2 + 1
        if len(missing) == 1:
            named = _named(texts, missing[0])
            return [f"Recorded after turn {turn}{named}: run that cell first."]
        last = turn + len(missing) - 1
        named = _named(texts, missing[0])
        return [
            f"Recorded after turns {turn} to {last}: run those cells first, "
            f"from turn {turn}{named} on."
        ]
    if there[::2] == here[: len(there) : 2]:
        turn = len(there) // 2 + 1
        before = "as the first turn" if turn == 1 else f"right after turn {turn - 1}"
        return [
            f"Recorded {before}: here more turns come before it. `%minimax forget` drops one, or "
            "restart the kernel and run the cells from the top."
        ]
    place = next(i for i in range(0, len(there), 2) if here[i : i + 1] != there[i : i + 1])
    named = _named(texts, there[place])
    return [f"Recorded with another prompt as turn {place // 2 + 1}{named}: run that one first."]


def _named(texts: dict[str, str], prompt: str) -> str:
    """The prompt with this fingerprint, if the recording tells it."""
    text = texts.get(prompt, "")
    return f", {shortened(text)}" if text else ""


# Another prompt


def _of_prompt(request: Asked, others: Iterable[Asked]) -> list[str]:
    texts = {each.text: each for each in others if each.text}
    edited = [
        text
        for text, other in texts.items()
        if other.earlier == request.earlier and not list(_differing(request, other))
    ]
    near = max(texts, key=lambda text: _likeness(request.text, text), default="")
    if _likeness(request.text, near) >= _ALIKE:
        return [f"{NOT_RECORDED} The nearest recorded prompt: {shortened(near)}"]
    if edited:
        return [f"{NOT_RECORDED} Recorded in this place: {shortened(edited[0])}"]
    return [NOT_RECORDED]


def _likeness(first: str, second: str) -> float:
    return SequenceMatcher(None, first[:_COMPARED], second[:_COMPARED], autojunk=False).ratio()


def shortened(text: str) -> str:
    """A prompt in quotes on one line."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + '…'}”"
