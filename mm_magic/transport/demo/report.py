"""What the embedded backend says to an ordinary prompt: what arrived, and what changed.

The same words for every prompt, filled with what was measured in it; of what was not sent, nothing
is said. The chances of the words are shown where temperature or top_p was sent. Text that was sent
is quoted so that no Markdown in it can act.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from difflib import SequenceMatcher
from itertools import zip_longest
from zlib import crc32

from mm_magic.prompt.pictures import mean_colour_of
from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.protocol.messages import ImageBlock
from mm_magic.transport.demo.from_schema import json_from
from mm_magic.transport.demo.read_request import (
    DEFAULTS,
    DemoRequest,
    EarlierTurn,
    GivenTool,
    count_words,
)
from mm_magic.transport.demo.sampling import DRAWS, SCORES, Sampling, WordRow, sample
from mm_magic.transport.demo.send import DemoScript, ToolCall
from mm_magic.transport.endpoint import DEMO_NAME
from mm_magic.web_page import ELSEWHERE, in_page
from mm_magic.wording import counted, fenced, turns_listed

OPENING = DEMO_NAME
_THE_WAY = (
    "To ask a real model, set a key with `%minimax key` or the environment variable"
    " `MINIMAX_API_KEY`."
)

_PROMPT_SHOWN = 200
_LINES_SHOWN = 8
_TURNS_SHOWN = 10
_TURNS_SHOWN_BESIDE_OTHERS = 100
_NOT_SENT = "not sent"
_WITHOUT_THINKING = (
    "sent without thinking (thinking goes only to the model that produced it, with the same system"
    " prompt)"
)

# Seconds for the text of an answer, however long it is, and at most for one word of it.
_TEXT_SECONDS = 2.8
_WORD_SECONDS = 0.03


def the_way() -> str:
    """How a real model answers."""
    return ELSEWHERE if in_page() else _THE_WAY


def script(request: DemoRequest, before: DemoRequest | None) -> DemoScript:
    """The answer to `request`; `before` is the request before it."""
    found = changes(request, before)
    text = _text(request, found)
    return _script(_thinking(request, found, text), text)


def script_beside_others(request: DemoRequest, answer: int) -> DemoScript:
    """The short answer to one of several requests at once; `answer` is its number, from 1.

    It depends on its own request alone, whichever of them comes first.
    """
    return _script(_steps(_drawing(request, answer)), _short_text(request, answer))


def script_of_value(
    request: DemoRequest, schema: JsonObject, answer: int = 1, *, is_wrong: bool = False
) -> DemoScript:
    """JSON that is made from the schema in the system prompt; `answer` is its number.

    If it `is_wrong`, it lacks what the schema demands, so that it is asked for once more.
    """
    wrong: object = {} if "required" in schema else None
    made = wrong if is_wrong else json_from(schema, _seed(request.prompt) + answer)
    text = (
        f"{OPENING}: this JSON is made from the schema in the system prompt.\n\n"
        f"```json\n{json.dumps(made, ensure_ascii=False, indent=2)}\n```"
    )
    steps = (
        "find the JSON Schema at the end of the system prompt.",
        "fill it with words and numbers from a fixed list; where to begin depends on the prompt and"
        f" the number of this answer ({answer}).",
    )
    return _script(_steps(steps), text)


def script_of_call(request: DemoRequest, tool: GivenTool) -> DemoScript:
    """A call of the first function that was given, which `tool` is."""
    made = json_from(tool.schema, _seed(request.prompt) + 1)
    text = (
        f"{OPENING}: it calls the first function that it was given, {_code(tool.name)}, with"
        " arguments made from the schema."
    )
    steps = (
        f"count the functions in the request: {len(request.tools)}. The first one is"
        f" {_code(tool.name)}.",
        "fill its schema with words and numbers from a fixed list.",
    )
    return replace(_script(_steps(steps), text), call=ToolCall(tool.name, as_object(made)))


def script_of_results(request: DemoRequest) -> DemoScript:
    """The answer once the function was called: what came back."""
    results = "\n\n".join(map(_fenced, map(_beginning_of, request.results)))
    text = (
        f"{OPENING}: it can't use the result, so it repeats it."
        f"\n\n**Result:**\n\n{results}\n\n{_prompt_in_line(request.prompt)}"
    )
    step = f"read what came back: {counted(len(request.results), 'result')}."
    return _script(_steps([step]), text)


def _beginning_of(text: str) -> str:
    """The first lines of a text."""
    return "\n".join(text.splitlines()[: 2 * _LINES_SHOWN])[: 10 * _PROMPT_SHOWN]


def _seed(prompt: str) -> int:
    """A small number from a prompt, the same on every machine."""
    return crc32(prompt.encode("utf-8", "replace")) % 40


def _script(thinking: str, text: str) -> DemoScript:
    """An answer whose text comes at a pleasant pace."""
    return DemoScript(thinking, text, min(_TEXT_SECONDS / count_words(text), _WORD_SECONDS))


def _short_text(request: DemoRequest, answer: int) -> str:
    """The system prompt, the pictures, the chances, the draws, and what else was sent."""
    sampling = _sample(request, answer)
    temperature, top_p = _sampled_at(request)
    unable = " it can't follow the system prompt;" if request.system else ""
    sections = (
        *_system(request.system),
        f"{OPENING}:{unable} it drew {DRAWS} words at temperature {temperature} and top_p {top_p}.",
        *_pictures(request.pictures),
        *[_chances(sampling)] * request.sets_sampling,
        _draws(sampling),
        *_earlier(request.earlier, _TURNS_SHOWN_BESIDE_OTHERS),
        _prompt_in_line(request.prompt),
        _sent(request.parameters),
    )
    return "\n\n".join(sections)


def _prompt_in_line(prompt: str) -> str:
    return f"**Prompt** ({counted(count_words(prompt), 'word')}): {_beginning(prompt)}"


def _text(request: DemoRequest, found: Sequence[str] | None) -> str:
    """The answer as Markdown; `found` is what differs from the request before."""
    sections = (
        f"{OPENING}: it echoes your request and shows what changed.",
        _prompt(request.prompt),
        *_pictures(request.pictures),
        *_earlier(request.earlier, _TURNS_SHOWN),
        *_system(request.system),
        _changes(found),
        _sent(request.parameters),
        *(_sampling(request) if request.sets_sampling else ()),
    )
    return "\n\n".join(sections)


def _thinking(request: DemoRequest, found: Sequence[str] | None, answer: str) -> str:
    """The steps that led to `answer`, one a paragraph."""
    replies = [turn for turn in request.earlier if turn.answer or turn.thinking]
    messages = len(request.earlier) + len(replies) + 1
    differences = None if found is None else f"{counted(len(found), 'difference')} found"
    limit = "no max_tokens" if request.max_tokens is None else f"max_tokens {request.max_tokens}"
    return _steps(
        (
            f"read the request: {counted(messages, 'message')}, {counted(request.words, 'word')}"
            f" {'including the' if request.system else 'and no'} system prompt.",
            f"compare it with the previous request: {differences or 'there was none'}.",
            *(_drawing(request) if request.sets_sampling else ()),
            f"write the answer: {counted(count_words(answer), 'word')}; {limit}.",
        )
    )


def _drawing(request: DemoRequest, answer: int = 1) -> tuple[str, ...]:
    """The steps that lead to the chances and the draws."""
    temperature, top_p = _sampled_at(request)
    return (
        f"turn the scores of {len(SCORES)} words into chances at temperature {temperature}, and"
        f" keep the likeliest up to top_p {top_p}.",
        f"draw {DRAWS} words; the seed comes from the prompt, the number of earlier turns"
        f" ({len(request.earlier)}) and the number of this answer ({answer}).",
    )


def _steps(steps: Iterable[str]) -> str:
    return "\n\n".join(f"Step {number}: {step}" for number, step in enumerate(steps, 1))


def changes(request: DemoRequest, before: DemoRequest | None) -> list[str] | None:
    """What differs from the request before, one phrase each; None if there was none."""
    if before is None:
        return None
    found = []
    if request.prompt != before.prompt:
        found.append(f"prompt: changed; it was {_code(_first_words(before.prompt))}")
    if request.pictures != before.pictures:
        found.append("pictures: changed")
    turns = _turn_changes(before.earlier, request.earlier)
    if turns:
        found.append(f"earlier turns: {', '.join(turns)}")
    if request.system != before.system:
        found.append(_system_change(before.system, request.system))
    for name in dict.fromkeys((*before.parameters, *request.parameters)):
        if before.parameters.get(name) != request.parameters.get(name):
            found.append(_parameter_change(name, before.parameters, request.parameters))
    return found


def _parameter_change(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """How a parameter was sent; a value that equals the service's default holds as before."""
    change = f"{_name(name)}: {_value(before, name)} → {_value(after, name)}"
    was, now = before.get(name), after.get(name)
    if name not in DEFAULTS or {was, now} != {None, DEFAULTS[name]}:
        return change
    return f"{change}, {'no longer' if now is None else 'now'} sent"


def _fenced(quoted: str) -> str:
    return fenced(quoted, "text")


def _prompt(prompt: str) -> str:
    lines = re.split(r"\r\n|\r|\n", prompt[:_PROMPT_SHOWN].rstrip())
    shown = "\n".join(lines[:_LINES_SHOWN])
    size = counted(count_words(prompt), "word")
    if len(lines) > _LINES_SHOWN or len(prompt.rstrip()) > _PROMPT_SHOWN:
        size += f", the first {len(shown)} of {len(prompt):,} characters shown"
    return f"**Prompt, as it arrived** ({size}):\n\n{_fenced(shown)}"


def _pictures(pictures: Sequence[ImageBlock]) -> list[str]:
    """What arrived of each picture, if there are any: the demo sees no more of it."""
    if not pictures:
        return []
    lines = [f"{n}. {_picture(picture)}" for n, picture in enumerate(pictures, 1)]
    title = f"**Pictures, as they arrived** ({len(pictures)}):"
    return ["\n".join((title, "", *lines))]


def _picture(picture: ImageBlock) -> str:
    colour = mean_colour_of(picture)
    return f"{picture}" + (f", mean colour {_code(colour)}" if colour else "")


def _earlier(turns: Sequence[EarlierTurn], most: int) -> list[str]:
    """The earlier prompts, at `most` so many, so that one that another answer lacks is seen.

    They have no numbers, which would change where one is left out.
    """
    if not turns:
        return []
    more = f", the last {most} shown" if len(turns) > most else ""
    prompts = " · ".join(_literal(_first_words(turn.prompt)) for turn in turns[-most:])
    return [f"**Earlier prompts** ({counted(len(turns), 'turn')} sent along{more}): {prompts}"]


def _system(system: str) -> list[str]:
    if not system:
        return []
    return [f"**System prompt** ({counted(count_words(system), 'word')}): {_beginning(system)}"]


def _beginning(quoted: str) -> str:
    """The beginning of a text as code."""
    return _code(_first_words(quoted, words=20, characters=120))


def _changes(found: Sequence[str] | None) -> str:
    title = "**Changed since the previous request to the demo:**"
    if found is None:
        return f"{title} nothing to compare; this is the first one."
    if not found:
        return f"{title} nothing: the same request again."
    return "\n".join((title, "", *(f"- {change}" for change in found)))


def _turn_changes(before: Sequence[EarlierTurn], now: Sequence[EarlierTurn]) -> list[str]:
    """What differs between two histories.

    Between the turns that both have, turns in the same place with the same prompt are one turn that
    changed; all others were removed or added.
    """
    was_said, is_said = ([(turn.prompt, turn.answer) for turn in turns] for turns in (before, now))
    by_change: dict[str, list[int]] = {}
    removed = added = 0
    matches = SequenceMatcher(None, was_said, is_said, autojunk=False)
    for _, start, end, first, last in matches.get_opcodes():
        pairs = zip_longest(before[start:end], now[first:last])
        for number, (was, turn) in enumerate(pairs, first + 1):
            if was is None or turn is None or was.prompt != turn.prompt:
                removed += was is not None
                added += turn is not None
            elif was != turn:
                by_change.setdefault(_turn_change(was, turn), []).append(number)
    found = [f"{turns_listed(numbers)} {change}" for change, numbers in by_change.items()]
    counts = {"removed": removed, "added": added}
    return found + [f"{count} {what}" for what, count in counts.items() if count]


def _turn_change(was: EarlierTurn, now: EarlierTurn) -> str:
    """How a turn was sent this time, as words behind its number."""
    if was.answer != now.answer:
        return "with a different answer"
    if was.thinking and now.thinking:
        return "with different thinking"
    return "sent with thinking again" if now.thinking else _WITHOUT_THINKING


def _system_change(was: str, now: str) -> str:
    if not was:
        return "system prompt: added"
    return "system prompt: changed" if now else "system prompt: removed"


def _sent(parameters: Mapping[str, object]) -> str:
    each = (f"{_name(name)} {_value(parameters, name)}" for name in parameters)
    return f"**Sent:** {' · '.join(each)}"


def _sampling(request: DemoRequest) -> list[str]:
    """What temperature and top_p did, step by step."""
    sampling = _sample(request)
    temperature, top_p = _sampled_at(request)
    rows = [
        ["word", "score", "temperature 1", f"now {temperature}", f"then top_p {top_p}", "drawn"]
    ]
    for row in sampling.rows:
        shares = [_percent(row.at_one), _percent(row.at_temperature), _kept(row)]
        rows.append([row.word, str(row.score), *shares, _drawn(row)])
    return [
        "**temperature and top_p at work.** This is arithmetic on a table, not a model's choice:"
        " each probability is exp(score ÷ temperature), divided by its sum over all words; top_p"
        " keeps the likeliest words.",
        _table(rows),
        _draws(sampling),
    ]


def _chances(sampling: Sampling) -> str:
    rows = [[row.word, _kept(row), _drawn(row)] for row in sampling.rows]
    return _table([["word", "chance", "drawn"], *rows])


def _draws(sampling: Sampling) -> str:
    return f"**{DRAWS} draws:** {' '.join(sampling.draws)}"


def _sample(request: DemoRequest, answer: int = 1) -> Sampling:
    earlier = len(request.earlier)
    return sample(request.temperature, request.top_p, request.prompt, earlier, answer)


def _sampled_at(request: DemoRequest) -> tuple[str, str]:
    """The temperature and the top_p that hold, as words."""
    temperature, top_p = (_value(request.parameters, name) for name in DEFAULTS)
    return temperature, top_p


def _kept(row: WordRow) -> str:
    return "cut" if row.kept is None else _percent(row.kept)


def _drawn(row: WordRow) -> str:
    return str(row.drawn or "·")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of words and numbers; the first row is the head."""
    rules = ["---", *["--:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:]))


def _value(parameters: Mapping[str, object], name: str) -> str:
    """A parameter in one line; of one that was not sent, the service's default."""
    value = parameters.get(name)
    if value is None:
        return f"{_number(DEFAULTS[name])} (default)" if name in DEFAULTS else _NOT_SENT
    if isinstance(value, float):
        return _number(value)
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False)
    return value if re.fullmatch(r"[A-Za-z0-9.:-]{1,60}", value) else _code(value[:60])


def _name(name: str) -> str:
    return name if re.fullmatch(r"[a-z][a-z_]*[a-z]", name) else _code(name[:60])


def _number(value: float) -> str:
    """A number in its shortest form: 1 for 1.0."""
    return f"{value:.12g}"


def _percent(share: Decimal) -> str:
    return f"{share * 100:.1f} %"


def _first_words(quoted: str, words: int = 6, characters: int = 40) -> str:
    """The first words on one line, with an ellipsis where something is left out."""
    first = quoted.split(None, words)
    line = " ".join(first[:words])
    whole = len(first) <= words and len(line) <= characters
    return line if whole else line[:characters].rstrip() + " …"


def _literal(line: str) -> str:
    """One line that is drawn as it is: bare if no sign in it can be Markdown, else as code."""
    is_plain = re.fullmatch(r"[^\W\d_][\w ,.;:?!'’…-]*", line) and "_" not in line
    return line if is_plain else _code(line)


def _code(line: str) -> str:
    one_line = " ".join(line.split()) or "(empty)"
    ticks = "`" * (_longest_run(one_line) + 1)
    pad = " " if "`" in (one_line[0], one_line[-1]) else ""
    return f"{ticks}{pad}{one_line}{pad}{ticks}"


def _longest_run(quoted: str) -> int:
    """The length of the longest run of backticks."""
    return max((len(run) for run in re.findall(r"`+", quoted)), default=0)
