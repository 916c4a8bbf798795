"""The words of the settings panel: the line that reproduces it, its summary, who answers.

Nothing is displayed here. The summary is all that a reader has where no widget is drawn: in a
saved file without its kernel, on GitHub, in a terminal. It holds no address and no key.
"""

import re
from typing import Literal, TypeAlias

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.request import DOCUMENTED_MAX_TOKENS
from mm_magic.rendering.bundles import Bundle, disarmed
from mm_magic.rendering.markdown import IGNORE, escaped
from mm_magic.session.options import ROWS, UNSET, Options, Row
from mm_magic.session.session import Session
from mm_magic.wording import option, plain

STILL = "mm-panel-still"
LIVE = "mm-panel"
"""Classes of the summary, and of the widgets that stand in its place while they live."""
DIMMED = "mm-unset"
"""Class of a slider whose setting is not set."""

WHY_STILL = (
    "Sliders need a running kernel: run the cell with `%minimax panel`, in a notebook that shows "
    "Jupyter widgets. `%config MiniMax.temperature = 0.3` sets the same without them."
)
TOO_MANY = f"Above {DOCUMENTED_MAX_TOKENS}, the API page's limit: the service may cut the answer."
ADD_KEY = "%minimax key adds a key; then a model answers."
LEAVE_REPLAY = "%minimax live goes back to a server, %minimax offline to the demo"

# A saved file keeps both outputs, and a trusted one is drawn with "model not found" in place of
# the widgets. So the summary, which comes right before them, says which of the two is seen. Only a
# widget's output is a Lumino panel.
_SHOWN = f".{LIVE}:not(.jupyter-widgets-disconnected)"
_OUTPUT = ".jp-OutputArea-child"
_STYLE = (
    f"<style>{_OUTPUT}:has(> * .{STILL}):has(+ {_OUTPUT} {_SHOWN}),"
    f"{_OUTPUT}:has(> * .{STILL}) + {_OUTPUT}:has(> .lm-Panel):not(:has({_SHOWN}))"
    "{display:none}"
    f".{LIVE} .widget-label{{white-space:normal;height:auto;line-height:1.4}}"
    f".{LIVE} select{{background-image:none!important;appearance:auto!important}}"
    f".{LIVE} .{DIMMED}{{opacity:.45}}"
    f".{LIVE}-line textarea{{font-family:var(--jp-code-font-family)}}</style>"
)


# -- the line ---------------------------------------------------------------------------------


def reproducing(options: Options) -> list[str]:
    """The lines that ask with exactly these settings, whatever the panel says by then.

    The last one begins a cell. Text that can't stand on a magic's line, such as one with a line
    break, is set by lines before it, for a cell of their own.
    """
    words = {row.name: _word(row, getattr(options, row.name)) for row in ROWS if row.flags}
    before = [
        f"%config MiniMax.{name} = {_literal(getattr(options, name))}"
        for name, word in words.items()
        if word is None
    ]
    return [*before, " ".join(["%%minimax", *filter(None, words.values())])]


def _word(row: Row, value: object) -> str | None:
    """An option with its value; "" for one that is as a switch is anyway; None where it can't be
    typed on a line."""
    if value is None:
        return f"{row.flags[0]} {UNSET}"
    if row.kind == "switch":
        flag = f"--no-{row.name}" if row.off else row.flags[0]
        return "" if value == row.default else flag
    if row.kind == "text":
        return option(row.flags[0], row.flags[-1], str(value))
    shown = decimal(value) if isinstance(value, float) else value
    return f"{row.flags[0]} {shown}"


def _literal(text: str) -> str:
    """A Python literal that passes through `%config`, which fills in {…} and $…."""
    return repr(text).replace("{", r"\x7b").replace("}", r"\x7d").replace("$", r"\x24")


def decimal(value: float | None) -> str:
    if value is None:
        return UNSET
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


# -- who answers ------------------------------------------------------------------------------


def who_answers(session: Session) -> str:
    """Who answers now, and, where that is the demo, how a model would."""
    if session.replaying is not None:
        return plain(f"Replay: {session.replaying.in_words()}. {LEAVE_REPLAY}")
    try:
        endpoint = session.who.endpoint()
    except MiniMaxError as error:
        return plain(f"Nobody: {error.message}. {ADD_KEY if error.kind == 'auth' else ''}").strip()
    if endpoint is None:
        can_go_back = session.who.has_server()
        ask_model = "%minimax live goes back" if can_go_back else ADD_KEY
        return f"Offline demo, not a language model. {ask_model}"
    key = "with a key" if endpoint.key else "without a key"
    if endpoint.backend == "minimax":
        return f"MiniMax ({endpoint.host}), {key}"
    return plain(f"Another server ({endpoint.host}), {key}")


# -- Stop -------------------------------------------------------------------------------------

Reach: TypeAlias = Literal["awaited", "all", "none"]
"""Which running cells a click reaches before their end."""


def reach(version: str, *, has_subshells: bool) -> Reach:
    """What a click reaches in a kernel of this ipykernel version.

    The main thread takes a click between the steps of an awaited cell, since 7.4. From 7.0 to 7.3
    the front end's subshell takes it, a thread of its own, at any time. Else it waits for the end.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers >= (7, 4):
        return "awaited"
    return "all" if numbers >= (7,) and has_subshells else "none"


# -- the summary ------------------------------------------------------------------------------


def summary(options: Options) -> list[tuple[str, str]]:
    """Names and values of the settings, in the panel's order."""
    rows = [
        ("model", options.model),
        ("temperature", decimal(options.temperature)),
        ("max_tokens", str(options.max_tokens or UNSET)),
        ("top_p", decimal(options.top_p)),
        ("thinking", options.thinking + (", hidden" if options.hide_thinking else "")),
        ("system", options.system.replace("\n", " ↵ ") or "none"),
        ("conversation", options.conversation),
    ]
    return rows + ([] if options.stream else [("stream", "no")])


def still(options: Options) -> Bundle:
    """The panel without widgets, as the file keeps it."""
    rows, lines = summary(options), reproducing(options)
    shown = " · ".join(f"{name} <b>{escaped(value)}</b>" for name, value in rows)
    code = escaped("\n".join(lines))
    why = re.sub("`(.*?)`", r"<code>\1</code>", escaped(WHY_STILL))
    return {
        "text/html": (
            f'{_STYLE}<div class="{STILL} {IGNORE}" dir="auto"><p>Settings for %%minimax: {shown}'
            f'</p><pre style="white-space:pre-wrap">{code}</pre>'
            f'<p style="opacity:.75"><small>{why}</small></p></div>'
        ),
        "text/markdown": (
            f"Settings for %%minimax: {disarmed(_row_text(options))}\n\n"
            f"{_fenced(lines)}\n\n{WHY_STILL}\n"
        ),
        "text/plain": still_text(options),
    }


def still_text(options: Options) -> str:
    """The same for a terminal."""
    lines = "\n".join(f"  {line}" for line in reproducing(options))
    return plain(f"Settings for %%minimax: {_row_text(options)}\n\n{lines}\n\n{WHY_STILL}")


def _row_text(options: Options) -> str:
    return " · ".join(f"{name} {value}" for name, value in summary(options))


def _fenced(lines: list[str]) -> str:
    text = plain("\n".join(lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
