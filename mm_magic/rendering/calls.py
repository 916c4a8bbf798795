"""The calls of an answer as MIME bundles: one line each, with arguments and result folded below it.

Pure. Names, arguments and results are text of a model or of what it asked to read, so nothing in
them is Markdown or HTML. Of the object that a function returned, the reader gets its own table or
picture; a table goes through an allowlist.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.steps import answered, call_in_words
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import ToolResultBlock, ToolUseBlock
from mm_magic.rendering.bundles import Bundle, disarmed, finished_bundles
from mm_magic.rendering.code import CODE_STYLE
from mm_magic.rendering.exchange_view import cut_in_the_middle
from mm_magic.rendering.markdown import (
    IGNORE,
    escaped,
    only_table,
    without_blank_lines,
)
from mm_magic.wording import fenced, plain, shortened

_CALL_SHOWN = 80  # characters of name and arguments in its line
_RESULT_SHOWN = 60  # characters
_NAME = 40  # characters of an argument's name in a title
_LARGEST_TABLE = 100_000  # characters of HTML
_LARGEST_PICTURE = 1_500_000  # characters in base64
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
_TABLE_RULE = re.compile(r"\|(?: *:?-+:? *\|)+(?:\n|\Z)")
_BAR = re.compile(r"(?<!\\)\|")
_PRE = f"{CODE_STYLE};white-space:pre-wrap;overflow-wrap:anywhere"


class ShownCall(NamedTuple):
    """A call. `result` is None while it has none; `own` is how the object shows itself.

    Of one that `is_open` the arguments are seen at once, and whole: the reader decides on them.
    """

    use: ToolUseBlock
    result: str | None = None
    is_error: bool = False
    own: Bundle | None = None
    is_open: bool = False


def calls_bundle(calls: Sequence[ShownCall]) -> Bundle:
    """Return the calls of one answer, each with its result folded below it."""
    return {
        "text/html": without_blank_lines("".join(map(_html, calls))),
        "text/markdown": "\n\n".join(map(_markdown, calls)),
        "text/plain": "\n".join(map(_plain, calls)),
    }


def step_bundles(reply: Reply, *, hide_thinking: bool) -> list[Bundle]:
    """Return the parts of the answers that called, before the last one."""
    found: list[Bundle] = []
    for message, calls in answered(reply.earlier_steps):
        found += finished_bundles(
            message.thinking, "Thinking", message.text, hide_thinking=hide_thinking
        )
        shown = [_of_blocks(*each) for each in calls]
        found += [calls_bundle(shown)] if shown else []
    return found


def _of_blocks(use: ToolUseBlock, result: ToolResultBlock | None) -> ShownCall:
    if result is None:
        return ShownCall(use)
    return ShownCall(use, result.text, result.is_error)


def call_line(call: ShownCall) -> str:
    """A call in one line, as `look(at="sky") → blue`."""
    called = shortened(call_in_words(call.use), _CALL_SHOWN)
    if call.result is None:
        return _going_on(called)
    return f"{called} → {'failed: ' if call.is_error else ''}{_beginning(call.result)}"


def _going_on(line: str) -> str:
    """A line that ends with an ellipsis, whether or not it was cut."""
    return line if line.endswith("…") else f"{line} …"


def _beginning(result: str) -> str:
    """The first line of a result; of a table in Markdown, the names of its columns."""
    first, *more = result.strip().split("\n", 1)
    if more and _TABLE_RULE.match(more[0]):
        names = filter(None, map(str.strip, _BAR.split(first)))
        return shortened(f"table: {', '.join(names)}", _RESULT_SHOWN)
    line = shortened(first, _RESULT_SHOWN)
    return _going_on(line) if more else line


def _html(call: ShownCall) -> str:
    state = " open" if call.is_open else ""
    line = f"Call: <code>{escaped(call_line(call))}</code>"
    return (
        f'<details class="mm-call {IGNORE}"{state}><summary>{line}</summary>'
        f"{_folded(call)}</details>"
    )


def _folded(call: ShownCall) -> str:
    parts = [(escaped(title), _pre(text)) for title, text in _arguments(call)]
    if call.result is not None:
        own = _own_html(call.own or {}, call.result)
        parts += [("Result", own)] if own else []
        title = "Text that the model gets" if own else "Error" if call.is_error else "Result"
        parts.append((title, _pre(cut_in_the_middle(call.result))))
    body = "".join(f"<small>{title}</small>{html}" for title, html in parts)
    return f'<div style="margin-left:1em">{body}</div>'


def _own_html(own: Bundle, alt: str) -> str:
    """A picture or a table of what a function returned; "" if it has neither."""
    picture, table = own.get("image/png"), own.get("text/html")
    if isinstance(picture, str) and len(picture) <= _LARGEST_PICTURE and _BASE64.fullmatch(picture):
        data = "".join(picture.split())
        text = escaped(shortened(alt, _RESULT_SHOWN)).replace('"', "&quot;")
        return f'<p><img src="data:image/png;base64,{data}" alt="{text}"></p>'
    if isinstance(table, str) and len(table) <= _LARGEST_TABLE:
        return f'<div style="overflow-x:auto;margin-bottom:1em">{only_table(table)}</div>'
    return ""


def _pre(text: str) -> str:
    # Without <code> the fonts of a page that nbconvert makes are those of prose.
    return f'<pre style="{_PRE}"><code>{escaped(text)}</code></pre>'


def _arguments(call: ShownCall) -> list[tuple[str, str]]:
    """The arguments, each part with its title: JSON, and texts of several lines as they are."""
    given = call.use.input
    if isinstance(given, str):
        parts = [("Arguments", given)]
    else:
        texts = {name: value for name, value in given.items() if _has_lines(value)}
        others = {name: value for name, value in given.items() if name not in texts}
        parts = [("Arguments", _json(others))] if others or not texts else []
        parts += [(f"Argument {shortened(plain(name), _NAME)}", str(texts[name])) for name in texts]
    return parts if call.is_open else [(title, cut_in_the_middle(text)) for title, text in parts]


def _has_lines(value: object) -> bool:
    """Whether it is a text of several lines, such as code, that shows all that it holds."""
    if not isinstance(value, str) or "\n" not in value.strip():
        return False
    return value.replace("\n", "").replace("\t", "").isprintable()


def _json(given: JsonObject) -> str:
    return json.dumps(given, ensure_ascii=False, indent=2)


def _markdown(call: ShownCall) -> str:
    blocks = [disarmed(f"Call: {call_line(call)}")]
    for title, text in _arguments(call):
        blocks += [disarmed(title)] * (title != "Arguments")
        blocks.append(fenced(plain(text), "text"))
    if call.result is not None:
        blocks.append(fenced(plain(cut_in_the_middle(call.result)), "text"))
    return "\n\n".join(blocks)


def _plain(call: ShownCall) -> str:
    return plain(f"Call: {call_line(call)}")
