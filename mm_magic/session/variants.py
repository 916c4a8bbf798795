"""The variants of one cell: each value that an option has in it, what is left out, and how often
each is asked."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.conversation.left_out import SYSTEM, LeftOut
from mm_magic.conversation.replies import Outcome, Replies
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.schema import split_schema
from mm_magic.protocol.json_values import as_object, as_text, encode_json
from mm_magic.session.options import BY_NAME, ROWS, Options, Row, listed
from mm_magic.wording import shortened

if TYPE_CHECKING:
    from mm_magic.session.turn_request import Ask

WITHOUT = "without"
"""Among the settings that vary: what is left out, "" in the full request."""

_SHOWN = 40  # characters of a value


class Variant(NamedTuple):
    """One of the answers that a cell asks for: the `sample`-th of `samples` with these options.

    `settings` are the options that vary in the cell, by name, with the values they have here.
    `without` is what its request leaves out.
    """

    options: Options
    settings: Mapping[str, object]
    sample: int
    samples: int
    without: LeftOut | None = None

    def of(self, ask: "Ask") -> "Ask":
        """What the cell asks, as this one asks it."""
        return replace(ask, options=self.options, without=self.without)

    @property
    def label(self) -> str:
        """What tells it from the others beside its number, as "-t 0.1" or "-m A · 2 of 3"."""
        return label(self.settings, self.sample, self.samples)


def number_of(varying: Mapping[str, Sequence[object]], n: int, left_out: int = 0) -> int:
    """How many variants there are, where so many things are left out in turn."""
    return math.prod(map(len, varying.values())) * (1 + left_out) * n


def variants(
    options: Options,
    varying: Mapping[str, Sequence[object]],
    n: int = 1,
    without: Sequence[LeftOut] = (),
) -> Iterator[Variant]:
    """The product of all values in the order of the line, each `n` times in a row.

    Each combination is asked in full first, and then without each of these things.
    """
    for values in product(*varying.values()):
        given = dict(zip(varying, values, strict=True))
        for left_out in (None, *without):
            settings = given | ({WITHOUT: left_out.what if left_out else ""} if without else {})
            chosen = options.overridden(given | _unset(left_out))
            for sample in range(1, n + 1):
                yield Variant(chosen, settings, sample, n, left_out)


def _unset(left_out: LeftOut | None) -> dict[str, object]:
    """The option that leaves this out, if one does."""
    return {"system": ""} if left_out and left_out.what == SYSTEM else {}


def label(settings: Mapping[str, object], sample: int, samples: int) -> str:
    """Settings in words, and which of several with the same settings it is.

    Without settings that vary, the answer's number says all: the label is "".
    """
    words = [_setting(name, value) for name, value in settings.items()]
    if words and samples > 1:
        words.append(f"{sample} of {samples}")
    return " · ".join(words)


def _setting(name: str, value: object) -> str:
    """An option with a value as a line has it; a long text is shown by its beginning."""
    if name == WITHOUT:
        return f"without {_left_out(value)}" if value else "full request"
    row = BY_NAME[name]
    flag = row.flags[0]
    return row.on_line(_short(row, value)) or f"{flag} {_short(row, value)}"


def value_in_words(name: str, value: object) -> str:
    """A value by itself, for a table."""
    if name == WITHOUT:
        return _left_out(value) if value else "nothing"
    return str(_short(BY_NAME[name], value)) or "none"


def flag_of(name: str) -> str:
    """The option that varies, as a line has it."""
    return f"--{WITHOUT}" if name == WITHOUT else BY_NAME[name].flags[0]


def _left_out(what: object) -> str:
    return shortened(str(LeftOut(str(what))), _SHOWN)


def _short(row: Row, value: object) -> object:
    return shortened(row.text(value), _SHOWN)


def check_distinct(row: Row, values: Sequence[object]) -> None:
    """Raise UsageError where a value stands twice in a list: `-n` is for asking the same again."""
    once = "Write it once"
    if row.name != "tools":  # which go with one answer
        once += "; `-n 2` asks for two answers to the same request"
    for place, value in enumerate(values):
        if value in values[:place]:
            raise UsageError(
                f"{row.name} has the value {row.text(value)!r} twice", next_steps=(f"{once}.",)
            )


def split(
    given: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, tuple[object, ...]]]:
    """Options from Python: those with one value, and those with a list. Raises UsageError."""
    single, varying = {}, {}
    for name, value in given.items():
        row = BY_NAME[name]
        values = listed(value)
        if values is None:
            single[name] = value
            continue
        if not row.varies:
            raise UsageError(f"{name} must have one value, got {value!r}")
        if not values:
            raise UsageError(f"{name} needs at least one value, got {value!r}")
        check_distinct(row, values)
        if len(values) == 1:
            single[name] = values[0]
        else:
            varying[name] = values
    return single, varying


def replies_of(turn: Turn) -> Replies:
    """The answers to the prompt of a turn, with what varies in what the notebook set."""
    answers = turn.answers
    said = [_settings(each, answers[0]) for each in answers]
    names = [name for name in said[0] if any(each[name] != said[0][name] for each in said)]
    settings = [{name: each[name] for name in names} for each in said]
    equal = [encode_json(each) for each in settings]
    return Replies(
        Outcome(
            number=each.answer or 1,
            reply=each.reply,
            settings=varies,
            label=label(varies, equal[: place + 1].count(own), Counter(equal)[own]),
            model=each.model,
            error=_error(each),
        )
        for place, (each, varies, own) in enumerate(zip(answers, settings, equal, strict=True))
    )


def _settings(turn: Turn, full: Turn) -> dict[str, object]:
    """What may vary, as an answer was asked for; `full` is the one to the full request."""
    found = {row.name: _said(row, turn) for row in ROWS if row.varies}
    left_out = turn.without.what if turn.without else ""
    if left_out == SYSTEM:  # no value of the option itself
        found["system"] = _said(BY_NAME["system"], full)
    return found | {WITHOUT: left_out}


def _said(row: Row, turn: Turn) -> object:
    """The value that the notebook set for an option, or else its default."""
    value = turn.asked.get(row.wire_name or row.name)
    if row.name == "system":  # what asks for a type is no setting
        value = split_schema(as_text(value))[0]
    if isinstance(value, dict):  # as {"type": "adaptive"}
        value = next(iter(as_object(value).values()), None)
    return row.default if value is None else value


def beside_full(replies: Replies) -> Iterator[tuple[Outcome, Outcome]]:
    """Each complete answer beside the first one to the full request with the same other settings.

    There are none unless something was left out.
    """
    full: dict[bytes, Outcome] = {}
    for each in replies.outcomes:
        if WITHOUT not in each.settings or not _is_whole(each):
            continue
        others = encode_json({k: v for k, v in each.settings.items() if k != WITHOUT})
        if others in full:
            yield full[others], each
        elif not each.settings[WITHOUT]:
            full[others] = each


def _is_whole(outcome: Outcome) -> bool:
    return outcome.reply.status == "complete" and bool(outcome.reply.text.strip())


def _error(turn: Turn) -> MiniMaxError | None:
    if turn.failure is None:
        return None
    return MiniMaxError(turn.failure.message, kind=turn.failure.kind)
