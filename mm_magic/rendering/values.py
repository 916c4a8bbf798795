"""An answer that is a value as a MIME bundle: its JSON as a small table, the answer folded below.

Pure. All of it is text of the model's, so nothing in it is Markdown or HTML.
"""

import json
from collections.abc import Mapping, Sequence

from mm_magic.conversation.reply import Reply
from mm_magic.protocol.json_values import parse_json
from mm_magic.protocol.last_json import last_json
from mm_magic.rendering.bundles import (
    Bundle,
    dim_paragraphs,
    disarmed,
    finished_bundles,
    folded_thinking,
)
from mm_magic.rendering.markdown import IGNORE, escaped
from mm_magic.rendering.tables import table_bundle
from mm_magic.wording import fenced, shortened

_ROWS = 50  # that are shown
_LONGEST = 500  # characters of JSON that no table can hold
_COLUMNS = 12  # of objects in a list; more stand in one column as JSON
_WHOLE = "The full answer"


def reply_bundles(reply: Reply, title: str, *, hide_thinking: bool) -> list[Bundle]:
    """Return the parts of a finished reply: its thinking if there is any, and its text or value.

    `title` is that of the thinking.
    """
    if not reply.has_value:
        return finished_bundles(reply.thinking, title, reply.text, hide_thinking=hide_thinking)
    value = value_bundle(reply)
    if not reply.thinking.strip():
        return [value]
    return [folded_thinking(reply.thinking, title, is_hidden=hide_thinking), value]


def value_bundle(reply: Reply) -> Bundle:
    """Return a value as a table, and folded below it the answer, after the first try if any."""
    table = value_table(reply)
    folded = [(_WHOLE, reply.text)]
    if reply.first_try is not None:
        folded.insert(0, ("The first answer", reply.first_try.text))
    html = "".join(_folded_html(title, text) for title, text in folded)
    quoted = (f"{title}:\n\n{_quoted(disarmed(text.strip()))}" for title, text in folded)
    return {
        "text/html": f"{table['text/html']}{html}",
        "text/markdown": "\n\n".join([fenced(str(table["text/plain"]), "text"), *quoted]),
        "text/plain": table["text/plain"],
    }


def value_table(reply: Reply, *, width: int | None = None) -> Bundle:
    """Return the table alone; its plain text fits a terminal of `width` columns."""
    text = last_json(reply.text).json or ""
    value = parse_json(text)
    if value is None and text != "null":  # nested too deeply
        value = shortened(text, _LONGEST)
    if isinstance(value, dict):
        columns, rows = ["field", "value"], [[name, _cell(value[name])] for name in value]
    elif isinstance(value, list):
        columns, rows = _of_list(value[:_ROWS])
    else:
        columns, rows = ["value"], [[_cell(value)]]
    total = len(value) if isinstance(value, list | dict) else 1
    notes = [f"The first {_ROWS} of {total:,} are shown."] if total > _ROWS else []
    if not total:
        notes = ["an empty list" if isinstance(value, list) else "an empty object"]
    return table_bundle(columns, rows[:_ROWS], notes, width=width)


def _of_list(values: Sequence[object]) -> tuple[list[str], list[list[str]]]:
    """Objects have a column for each name, in the order in which they come; others have one."""
    objects = [each for each in values if isinstance(each, Mapping)]
    names = list(dict.fromkeys(name for each in objects for name in each))
    if len(objects) < len(values) or not 0 < len(names) <= _COLUMNS:
        return ["value"], [[_cell(each)] for each in values]
    rows = [[_cell(each[name]) if name in each else "" for name in names] for each in objects]
    return names, rows


def _cell(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _folded_html(title: str, text: str) -> str:
    return (
        f'<details class="mm-answer {IGNORE}"><summary>{escaped(title)}</summary>'
        f"{dim_paragraphs(text, margin='margin-left:1em;')}</details>"
    )


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
