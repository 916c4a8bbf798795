"""What does not go together on the line of a cell, with the line that works."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import Arguments
from mm_magic.session.options import BY_NAME
from mm_magic.wording import quoted


class _Refused(NamedTuple):
    """What is refused where `applies`; `told` and `steps` hold words of the line in braces."""

    applies: Callable[[Arguments], object]
    told: str
    steps: tuple[str, ...]


_TABLE = (
    _Refused(
        lambda a: a.confirm and not a.tools,
        "--confirm asks before a function is called, but no function is named",
        ("Name one: `%%minimax --tools f --confirm`",),
    ),
    _Refused(
        lambda a: a.rows and a.tools,
        "--rows asks once per row, so it can't be used with --tools",
        ("Without functions: `%%minimax --rows {rows}`",),
    ),
    _Refused(
        lambda a: a.type and a.tools,
        "--type reads the answer as a value, so it can't be used with --tools",
        ("Ask first: `%%minimax {tools}`", "Then, in the next cell: `%%minimax {type}`"),
    ),
    _Refused(
        lambda a: a.varying and a.tools,
        "--tools works with only one answer, so {lists} can {each}have only one value",
        ("With one answer: `%%minimax {first}{tools}`",),
    ),
    _Refused(
        lambda a: a.answers > 1 and a.tools,
        "--tools works with only one answer, so it can't be used with {several}",
        ("With one answer: `%%minimax {tools}`",),
    ),
    _Refused(
        lambda a: a.varying and a.rows,
        "--rows asks once per row, so {lists} can {each}have only one value",
        (
            "With one value{of_each}: `%%minimax {first}{table}`",
            "To try another value, replace this one{renamed} and run the cell again.",
        ),
    ),
    _Refused(
        lambda a: a.n > 1 and a.rows,
        "--rows asks once per row, so it can't be used with -n {n}",
        ("Without -n: `%%minimax {table}`",),
    ),
    _Refused(
        lambda a: a.without and a.rows,
        "--rows asks once per row, so it can't be used with --without",
        ("Write: `%%minimax {table}`",),
    ),
    _Refused(
        lambda a: a.literal and a.rows,
        "--rows fills in {{{{…}}}}, so it can't be used with --literal",
        ("Without --literal: `%%minimax {table}`",),
    ),
    _Refused(
        lambda a: a.budget and not a.rows,
        "--budget works only with --rows: it limits the cost of a whole table",
        (
            "With a table: `%%minimax --rows NAME --budget 0.5`",
            "For a single answer, limit its length: `%%minimax --max-tokens 500`",
        ),
    ),
)


def check_together(arguments: Arguments) -> None:
    """Raise UsageError for options that do not go together."""
    for each in _TABLE:
        if each.applies(arguments):
            words = _words(arguments)
            steps = [step.format_map(words) for step in each.steps]
            raise UsageError(each.told.format_map(words), next_steps=steps)


def _words(arguments: Arguments) -> Mapping[str, object]:
    """What the sentences quote of a line."""
    flags = [BY_NAME[name].flags[0] for name in arguments.varying]
    first = [BY_NAME[name].on_line(values[0]) for name, values in arguments.varying.items()]
    n = [f"-n {arguments.n}"] * (arguments.n > 1)
    kind = f"--type {quoted(arguments.type)}" if arguments.type else ""
    to = f"-o {arguments.to}" if arguments.to else ""
    return {
        "rows": arguments.rows,
        "table": " ".join(filter(None, [f"--rows {arguments.rows}", kind, to])),
        "tools": f"--tools {','.join(arguments.tools)}",
        "type": kind,
        "n": arguments.n,
        "lists": " and ".join(flags),
        "each": "each " * (len(flags) > 1),
        "of_each": " each" * (len(flags) > 1),
        "first": "".join(f"{each} " for each in first if each),
        "several": " and ".join([*n, *["--without"] * bool(arguments.without)]),
        "renamed": ", choose a new name for -o," if arguments.to else "",
    }
