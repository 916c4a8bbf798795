"""The variants of one cell: each value that an option has in it, and how often each is asked."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from mm_magic.conversation.replies import Outcome, Replies
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.schema import split_schema
from mm_magic.protocol.json_values import as_object, as_text, encode_json
from mm_magic.session.options import BY_NAME, ROWS, Options, Row, is_list
from mm_magic.wording import shortened

_SHOWN = 40  # characters of a value


class Variant(NamedTuple):
    """One of the answers that a cell asks for: the `sample`-th of `samples` with these options.

    `settings` are the options that vary in the cell, by name, with the values they have here.
    """

    options: Options
    settings: Mapping[str, object]
    sample: int
    samples: int

    @property
    def label(self) -> str:
        """What tells it from the others beside its number, as "-t 0.1" or "-m A · 2 of 3"."""
        return label(self.settings, self.sample, self.samples)


def number_of(varying: Mapping[str, Sequence[object]], n: int) -> int:
    """How many variants there are."""
    return math.prod(map(len, varying.values())) * n


def variants(
    options: Options, varying: Mapping[str, Sequence[object]], n: int = 1
) -> Iterator[Variant]:
    """The product of all values in the order of the line, each `n` times in a row."""
    for values in product(*varying.values()):
        settings = dict(zip(varying, values, strict=True))
        chosen = options.overridden(settings)
        for sample in range(1, n + 1):
            yield Variant(chosen, settings, sample, n)


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
    row = BY_NAME[name]
    flag = row.flags[0]
    return row.on_line(_short(row, value)) or f"{flag} {_short(row, value)}"


def value_in_words(name: str, value: object) -> str:
    """A value by itself, for a table."""
    return str(_short(BY_NAME[name], value)) or "none"


def _short(row: Row, value: object) -> object:
    return shortened(row.text(value), _SHOWN)


def check_distinct(row: Row, values: Sequence[object]) -> None:
    """Raise UsageError where a value stands twice in a list: `-n` is for asking the same again."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise UsageError(
                f"{row.name} has the value {row.text(value)!r} twice",
                next_steps=("Write it once; `-n 2` asks for two answers to the same request.",),
            )


def split(
    given: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, tuple[object, ...]]]:
    """Options from Python: those with one value, and those with a list of more. Raises UsageError.

    An array counts as the list of its values, which are then Python's own numbers.
    """
    single, varying = {}, {}
    for name, value in given.items():
        row = BY_NAME[name]
        values = _listed(value)
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


def _listed(value: object) -> tuple[object, ...] | None:
    """The values in a list from Python; None if it is one value."""
    if not (isinstance(value, Iterable) and is_list(value)):
        return None
    to_list = getattr(value, "tolist", None)
    return tuple(value if to_list is None else to_list())


def replies_of(turn: Turn) -> Replies:
    """The answers to the prompt of a turn, with what varies in what the notebook set."""
    answers = turn.answers
    said = [{row.name: _said(row, each) for row in ROWS if row.varies} for each in answers]
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


def _said(row: Row, turn: Turn) -> object:
    """The value that the notebook set for an option, or else its default."""
    value = turn.asked.get(row.wire_name or row.name)
    if row.name == "system":  # what asks for a type is no setting
        value = split_schema(as_text(value))[0]
    if isinstance(value, dict):  # as {"type": "adaptive"}
        value = next(iter(as_object(value).values()), None)
    return row.default if value is None else value


def _error(turn: Turn) -> MiniMaxError | None:
    if turn.failure is None:
        return None
    return MiniMaxError(turn.failure.message, kind=turn.failure.kind)
