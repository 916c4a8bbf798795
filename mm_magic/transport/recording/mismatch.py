"""Why a request has no answer in a recording: the nearest recorded one, and what mends it.

It is looked for while the kernel waits, among any number of requests: each is read once, and none
aligned with another, which takes the square of their lengths, or their cube.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from mm_magic.prompt.schema import split_schema
from mm_magic.protocol.json_values import JsonObject, as_object, as_text
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.wording import shortened, turns_listed

NOT_RECORDED = "This prompt was not recorded."
"""The whole of a step where no recorded prompt is like it."""
_RECORDED = "This prompt was recorded"
_COMPARED = 1000  # characters of a prompt
_ALIKE = 0.5  # of 1.0: below that two prompts have nothing to do with each other
_SHOWN = 60  # characters of a prompt

_TYPE = "--type"
"""It has no field of its own in a request: its schema is in the system prompt."""
_DESCRIBED = "type hints or docstrings for the functions"
"""What differs where the functions have the same names."""
_VALUES = 5  # recorded ones of the options that differ

OnLine: TypeAlias = Callable[[str, object], str | None]
"""An option as a magic's line has it, from the name and the value in a request (None: it is not
sent); None where no line can say it."""


def difference(
    keys: Sequence[RequestKey],
    recorded: Sequence[RecordedExchange],
    on_line: OnLine,
    where: Sequence[str] = (),
) -> list[str]:
    """Sentences on how the nearest recorded request differs; none if nothing is near.

    `keys` are one prompt with its options, behind each history that it may have here; `where` are
    the words of its line that say which history that is.
    """
    key = keys[0]
    offered = [exchange for exchange in recorded if exchange.is_offered]
    same_prompt = [each for each in offered if each.key.prompt_print == key.prompt_print]
    if same_prompt:
        pairs = [(here, there) for here in keys for there in same_prompt]
        key, nearest = min(pairs, key=lambda pair: _distance(*pair))
        options = _of_options(key, nearest, same_prompt, on_line, where)
        return [*options, *_of_context(key, nearest.key, offered)]
    hashes = {each.hash for each in keys}
    if unfinished := [each for each in recorded if each.key.hash in hashes]:
        how = "was stopped" if unfinished[-1].ending == "stopped" else "broke off"
        return [f"Its answer {how} when it was recorded: record it again."]
    return _of_prompt(key, [each.key for each in offered])


def _distance(key: RequestKey, other: RecordedExchange) -> tuple[int, int]:
    """Fewer options that differ first, then fewer turns."""
    here, there = Counter(key.earlier), Counter(other.key.earlier)
    return len(_differing(key, other)), ((here - there) + (there - here)).total()


# Options


def _differing(key: RequestKey, other: RecordedExchange) -> list[str]:
    """The names of the options that differ."""
    here = _parted(version_1.said(key.options) if other.is_version_1 else key.options)
    there = _parted(other.key.options)
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    same_functions = _functions(here) == _functions(there)
    return [_DESCRIBED if name == "tools" and same_functions else name for name in names]


def _functions(options: JsonObject) -> list[str]:
    """The names of the functions that may be called."""
    tools = options.get("tools")
    return (
        [as_text(as_object(each).get("name")) for each in tools] if isinstance(tools, list) else []
    )


def _parted(options: JsonObject) -> JsonObject:
    """The options, with the type that was asked for apart from the system prompt."""
    system, schema = split_schema(as_text(options.get("system")))
    if schema is None:
        return options
    others = {name: value for name, value in options.items() if name != "system"}
    return others | ({"system": system} if system else {}) | {_TYPE: schema}


def _of_options(
    key: RequestKey,
    nearest: RecordedExchange,
    same_prompt: Iterable[RecordedExchange],
    on_line: OnLine,
    where: Sequence[str],
) -> list[str]:
    """With which options the prompt was recorded, and the line for the nearest of them."""
    names = _differing(key, nearest)
    if not names:
        return []
    words = [_option(name, nearest.key.options, on_line) for name in names]
    alike = [each for each in same_prompt if len(_differing(key, each)) == len(names)]
    others = [
        [_option(name, each.key.options, on_line) for name in _differing(key, each)]
        for each in alike
    ]
    sentence = f"{_RECORDED} with {_alternatives([words, *others])}"
    there = _parted(nearest.key.options)
    if any(_line(name, there.get(name), on_line) is None for name in names):
        return [f"{sentence}."]
    return [f"{sentence}: `%%minimax {' '.join([*where, *words])}`"]


def _option(name: str, options: JsonObject, on_line: OnLine) -> str:
    """The option that sends this parameter as it was recorded; else it is only named."""
    value = _parted(options).get(name)
    if name == "model" and value is None:
        return "the default model"
    if name == _TYPE and value is None:
        return "no `--type`"
    if name == "tools" and value is None:
        return "no `--tools`"
    if name == _DESCRIBED:
        return f"different {_DESCRIBED}"
    what = "system prompt" if name == "system" else name.strip("-")
    return _line(name, value, on_line) or f"a different {what}"


def _line(name: str, value: object, on_line: OnLine) -> str | None:
    """The option as a line has it; of a type, where its schema tells the name."""
    if name != _TYPE:
        return on_line(name, value)
    schema = as_object(value)
    title = as_text(schema.get("title")) or as_text(schema.get("$ref")).rpartition("/")[2]
    return f"{_TYPE} {title}" if title.isidentifier() else None


def _alternatives(recorded: Iterable[Sequence[str]]) -> str:
    """Each once: "-t 0.1, -t 0.5 and -t 1"; of several options "-m A, -t 1; -m B"."""
    found = list(dict.fromkeys(map(tuple, recorded)))
    told = [", ".join(words) for words in found[:_VALUES]]
    if len(found) > _VALUES:
        told.append(f"{len(found) - _VALUES} more")
    if any(len(words) > 1 for words in found):
        return "; ".join(told)
    return " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))


# What came before


def _of_context(
    key: RequestKey, other: RequestKey, offered: Iterable[RecordedExchange]
) -> list[str]:
    """How the turns before the prompt differ."""
    if key.earlier == other.earlier:
        return []
    texts = {each.key.prompt_print: str(each.key) for each in offered}
    here, there = key.earlier_prompts, other.earlier_prompts
    if there[: len(here)] == here:
        missing = there[len(here) :]
        return [
            _missing(texts, len(here) + 1, missing) if missing else _answered(key, other, texts)
        ]
    if here[: len(there)] == there:
        before = f"right after turn {len(there)}" if there else "as the first turn"
        return [
            f"{_RECORDED} {before}; here, more turns come before it. `%minimax forget` drops "
            "the last one. Or restart the kernel and run the cells from the top."
        ]
    turn = next(n for n, each in enumerate(there, start=1) if here[n - 1 : n] != [each])
    named = _named(texts, there[turn - 1])
    return [f"{_RECORDED} with a different turn {turn}{named}: run that turn's cell first."]


def _missing(texts: Mapping[str, str], first: int, prompts: Sequence[str]) -> str:
    """Turns that came before it when it was recorded, and do not here."""
    named = _named(texts, prompts[0])
    if len(prompts) == 1:
        return f"{_RECORDED} after turn {first}{named}: run that turn's cell first."
    turns = turns_listed(range(first, first + len(prompts)))
    return f"{_RECORDED} after {turns}. Run their cells first, starting with turn {first}{named}."


def _answered(key: RequestKey, other: RequestKey, texts: Mapping[str, str]) -> str:
    """The same prompts, with another answer to one of them."""
    pairs = zip(key.earlier, other.earlier, strict=True)
    turn = next(number for number, (a, b) in enumerate(pairs, start=1) if a != b)
    named = _named(texts, key.earlier[turn - 1][0])
    before = f"a different answer to turn {turn}{named}"
    return f"{_RECORDED} after {before}: run that turn's cell again first."


def _named(texts: Mapping[str, str], prompt: str) -> str:
    """The prompt with this fingerprint, if the recording has it."""
    text = texts.get(prompt, "")
    return f", {quote(text)}" if text else ""


# Another prompt


def _of_prompt(key: RequestKey, others: Iterable[RequestKey]) -> list[str]:
    own, texts = _triples(str(key)), {str(each): each for each in others if str(each)}
    likeness = {text: _likeness(own, _triples(text)) for text in texts}
    near = max(likeness, key=likeness.__getitem__, default="")
    if likeness.get(near, 0) >= _ALIKE:
        return [f"{NOT_RECORDED} The nearest recorded prompt: {quote(near)}"]
    for text, other in texts.items():
        if other.earlier == key.earlier and other.options == key.options:
            return [f"{NOT_RECORDED} The prompt recorded at this point: {quote(text)}"]
    return [NOT_RECORDED]


def _triples(text: str) -> set[str]:
    """Every three characters that stand together, in any script; the beginning counts most."""
    line = f"  {text[:_COMPARED].lower()} "
    return set(map("".join, zip(line, line[1:], line[2:], strict=False)))


def _likeness(first: set[str], second: set[str]) -> float:
    """How much of both they have in common (Dice's coefficient)."""
    return 2 * len(first & second) / (len(first) + len(second))


def quote(text: str) -> str:
    """A prompt in quotation marks on one line."""
    return f"“{shortened(text, _SHOWN)}”"
