"""The prompt of each row: a template with the names of columns, or a function of the row."""

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

from mm_magic.errors import UsageError
from mm_magic.prompt.pictures import NoPictureHereError
from mm_magic.prompt.template import fill, in_double_braces, in_single_braces, inserts
from mm_magic.session.rows.table import Item, Row
from mm_magic.wording import closest, counted

RowPrompt: TypeAlias = str | Callable[[Any], str]
"""A template, or what makes the prompt of a row."""

ROW = "row"
"""In a template, the whole row."""
_SHOWN = 20  # columns


def check(prompt: RowPrompt, names: Sequence[str], variables: Mapping[str, object]) -> None:
    """Raise UsageError unless a template names columns that are there.

    `variables` may be named beside them.
    """
    if callable(prompt):
        return
    if not isinstance(prompt, str):
        raise UsageError(
            f"the prompt must be text or a function of the row, got {type(prompt).__name__}"
        )
    known = {*names, ROW}
    for insert, name, step in inserts(prompt):
        if name not in known and name not in variables:
            raise _unknown(insert, name, names)
        if name == ROW and ROW not in names and step and step not in names:
            raise _unknown(insert, step, names)
    if not known.intersection(name for _, name, _ in inserts(prompt)):
        raise _without_columns(prompt, names)


def _unknown(insert: str, name: str, names: Sequence[str]) -> UsageError:
    near = closest(name, names)
    steps = [f"Did you mean `{_insert_of(near)}`?"] if near else []
    return UsageError(
        f"{insert} can't be filled in: the table has no column {name!r}",
        next_steps=(*steps, columns_told(names)),
    )


def _without_columns(prompt: str, names: Sequence[str]) -> UsageError:
    """All rows would ask the same: how to name a column in the prompt."""
    single = [name for name in in_single_braces(prompt) if name in (*names, ROW)]
    spelt = [name for name in names if f"{{{{{name}}}}}" in in_double_braces(prompt)]
    if single:
        step = f"Write `{_insert_of(single[0])}` in place of `{{{single[0]}}}`."
    elif spelt:
        step = f"Write `{_insert_of(spelt[0])}` in place of `{{{{{spelt[0]}}}}}`."
    else:
        step = f"Put a column into the prompt: `{_insert_of(names[0] if names else ROW)}`"
    return UsageError(
        "the prompt names no column of the table, so every row would send the same prompt",
        next_steps=(step, columns_told(names)),
    )


def _insert_of(name: str) -> str:
    """What puts a column into a template."""
    return f"{{{{{name}}}}}" if name.isidentifier() else f"{{{{row[{name!r}]}}}}"


def columns_told(names: Sequence[str]) -> str:
    """A sentence with the columns of a table."""
    if not names:
        return "The table has no columns."
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"The table's columns: {', '.join(names[:_SHOWN])}{more}."


def prompts(
    prompt: RowPrompt,
    items: Iterable[Item],
    variables: Mapping[str, object],
    empty: Counter[str],
) -> Iterable[str | UsageError]:
    """The prompt of each row, or why it has none.

    `empty` counts the rows whose prompt has nothing in the place of an insert, by the insert.
    """
    found = [] if callable(prompt) else inserts(prompt)
    for item in items:
        try:
            made = _made(prompt, item) if callable(prompt) else _filled(prompt, item, variables)
        except NoPictureHereError:  # so it is in the other rows
            raise
        except UsageError as error:
            yield error
            continue
        empty.update(dict.fromkeys(_without_value(found, item), 1))
        yield made


def _without_value(found: Iterable[tuple[str, str, str]], item: Item) -> Iterator[str]:
    """The inserts of a template, as `inserts` gives them, that a row has no value for."""
    for insert, name, step in found:
        if name != ROW or ROW in item.cells:
            is_empty = name in item.missing
        elif isinstance(item.row, Row):
            is_empty = bool(step) and step in item.missing  # "" may be a column
        else:  # a plain value, or an object with fields
            is_empty = bool(item.missing) and item.row == ""
        if is_empty:
            yield insert


def empty_told(empty: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each insert that rows have no value for."""
    for insert, rows in empty.items():
        have, prompts = ("has", "its prompt is") if rows == 1 else ("have", "their prompts are")
        yield f"{counted(rows, 'row')} {have} no value for {insert}, so {prompts} empty there."


def _filled(prompt: str, item: Item, variables: Mapping[str, object]) -> str:
    cells: MutableMapping[str, object] = {ROW: item.row, **item.cells}
    known = ChainMap(cells, variables) if variables else cells  # type: ignore[arg-type]
    return _checked(fill(prompt, known).prompt)


def _made(prompt: Callable[[Any], str], item: Item) -> str:
    try:
        made = prompt(item.row)
    except Exception as error:  # the user's own code may raise anything
        raise UsageError(f"the prompt function raised {type(error).__name__}: {error}") from error
    return _checked(made)


def _checked(made: object) -> str:
    if not isinstance(made, str):
        raise UsageError(f"the prompt must be text, got {type(made).__name__}")
    if not made.strip():
        raise UsageError("the prompt is empty")
    return made
