"""The words of the settings panel: the line that reproduces it, its summary, what answers.

Nothing is displayed here. The summary is all that a reader has where no widget is drawn: in a
saved file without its kernel, on GitHub, in a terminal. It holds no address and no key.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

from mm_magic.errors import MiniMaxError
from mm_magic.rendering.bundles import Bundle, disarmed
from mm_magic.rendering.markdown import IGNORE, escaped
from mm_magic.session.options import ROWS, SWITCH, Options, Row
from mm_magic.session.session import Session
from mm_magic.web_page import in_page
from mm_magic.wording import fenced, plain

STILL = "mm-panel-still"
LIVE = "mm-panel"
"""Classes of the summary, and of the widgets that stand in its place while they live."""
DIMMED = "mm-panel-unset"
"""The class of a slider whose option is not set."""

WHY_STILL = (
    "To see the sliders, run the cell with `%minimax panel` in a notebook that shows Jupyter "
    "widgets. `%config MiniMax.temperature = 0.3` also works without them."
)
LEAVE_REPLAY = "%minimax live switches to a server, %minimax offline to the demo."
OFFLINE_ONLY = "%minimax offline switches to the demo."
SET_BACK = "Defaults sets all settings back to their defaults."

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
    f".{LIVE} ::placeholder{{color:var(--jp-ui-font-color2)!important;opacity:1}}"
    f".{LIVE} input[type=checkbox]{{vertical-align:middle}}"
    f".{LIVE} .widget-checkbox{{height:auto}}"
    f".{LIVE} .widget-label-basic{{white-space:normal;overflow:visible;line-height:1.4}}"
    f".{LIVE} .noUi-handle{{border:1px solid var(--jp-ui-font-color2)!important}}"
    f".{DIMMED} .noUi-handle{{background:var(--jp-layout-color3)!important}}"
    f".{LIVE}-line textarea{{font-family:var(--jp-code-font-family);"
    # As high as the line it holds; a browser that doesn't know this shows two rows, and scrolls.
    "field-sizing:content;min-height:3em;max-height:12em}</style>"
)


# -- the line ---------------------------------------------------------------------------------


def reproducing(
    options: Options, varying: Mapping[str, Sequence[object]] = MappingProxyType({})
) -> list[str]:
    """The lines that ask with exactly these settings, whatever the panel says by then.

    The last one begins a cell. Each option has its value there, also one that is not set, as
    `-t default`: without it the line would follow what is set by then. Of a switch only what is
    unusual is said. `varying` are lists of values to compare, by option. Text that can't stand on
    a magic's line, such as one with a line break, is set by lines before it, for a cell of their
    own.
    """
    before, line = [], ["%%minimax"]
    for row in ROWS:
        value = getattr(options, row.name)
        if (word := _on_line(row, varying.get(row.name, (value,)))) is None:
            before.append(f"%config MiniMax.{row.name} = {_literal(value)}")
        elif word:
            line.append(word)
    return [*before, " ".join(line)]


def _on_line(row: Row, values: Sequence[object]) -> str | None:
    """An option and its values; "" where nothing has to be said, None where it can't be."""
    if not row.flags or (row.kind is SWITCH and values == (row.default,)):
        return ""
    return row.flags[0 if values[0] else -1] if row.kind is SWITCH else row.on_line(*values)


def _literal(text: str) -> str:
    """A Python literal that passes through `%config`, which fills in {…} and $…."""
    return repr(text).replace("{", r"\x7b").replace("}", r"\x7d").replace("$", r"\x24")


def hint(answers: int) -> str:
    """What the boxes for several values are for, or how many answers the line asks for now."""
    if answers == 1:
        return (
            "To compare, type several values below a slider; "
            "the line below then asks once for each."
        )
    return (
        f"The line below asks for {answers} answers in one cell. "
        "The settings above stay as they are."
    )


# -- what answers -----------------------------------------------------------------------------


def who_answers(session: Session) -> str:
    """What answers now, and how something else would."""
    try:
        told = f"Answering: {session.answering()}."
        is_demo = session.recordings.replaying is None and session.who.endpoint() is None
    except MiniMaxError as error:
        way = _way_to_model(session) if error.kind == "auth" else ""
        return plain(f"No answer: {error.message}. {way}").strip()
    if session.recordings.replaying is not None:
        return plain(f"{told} {OFFLINE_ONLY if in_page() else LEAVE_REPLAY}")
    if is_demo:
        told += f" {_way_to_model(session)}"
    return plain(told)


def _way_to_model(session: Session) -> str:
    return session.who.way_to_model().replace("`", "")


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


def still(options: Options) -> Bundle:
    """The panel without widgets, as the file keeps it."""
    lines = reproducing(options)
    shown = " · ".join(f"{name} <b>{escaped(value)}</b>" for name, value in options.in_words())
    code = "\n".join(lines)
    why = re.sub("`(.*?)`", r"<code>\1</code>", escaped(WHY_STILL))
    return {
        "text/html": (
            f'{_STYLE}<div class="{STILL} {IGNORE}" dir="auto"><p>Settings for %%minimax: {shown}'
            f'</p><pre style="white-space:pre-wrap">{escaped(code)}</pre>'
            f'<p style="opacity:.75"><small>{why}</small></p></div>'
        ),
        "text/markdown": (
            f"Settings for %%minimax: {disarmed(_row_text(options))}\n\n"
            f"{fenced(plain(code))}\n\n{WHY_STILL}\n"
        ),
        "text/plain": still_text(options),
    }


def still_text(options: Options) -> str:
    """The same for a terminal."""
    lines = "\n".join(f"    {line}" for line in reproducing(options))  # code: never broken
    return plain(f"Settings for %%minimax: {_row_text(options)}\n\n{lines}\n\n{WHY_STILL}")


def _row_text(options: Options) -> str:
    return " · ".join(f"{name} {value}" for name, value in options.in_words())
