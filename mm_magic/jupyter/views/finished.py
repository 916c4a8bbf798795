"""Draws what is finished: a bundle, a reply, a turn that was drawn before."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.conversation import State
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.session.cell_run import CellEnd
from mm_magic.session.session import Session
from mm_magic.wording import in_window, plain, turns_listed, window_width

if TYPE_CHECKING:  # the Markdown parser is loaded at the first drawing
    from mm_magic.rendering.bundles import Bundle


def show(shell: InteractiveShell, *bundles: "Bundle", is_code: bool = False) -> None:
    """Display bundles one under the other; in a terminal print their plain text, in lines that fit
    its window unless it `is_code`."""
    if running_cell(shell).audience == "terminal":
        for bundle in bundles:
            text = str(bundle["text/plain"])
            print(text if is_code else in_window(text))
        return
    page = Page(shell)
    for number, bundle in enumerate(bundles):
        page.show(str(number), bundle, update=False)


def width_of(shell: InteractiveShell) -> int | None:
    """The columns that there are for a table; None where a page or a file takes any number."""
    is_window = running_cell(shell).audience == "terminal" and sys.stdout.isatty()
    return window_width() if is_window else None


def show_reply(shell: InteractiveShell, reply: Reply, *, hide_thinking: bool) -> None:
    """Display a reply in full, or without its thinking; in a terminal print its text."""
    if running_cell(shell).audience == "terminal":
        print(in_window(plain(reply.text)))
        return
    show(shell, *_reply_bundles(reply, hide_thinking=hide_thinking))


def draw_again(
    shell: InteractiveShell, turn: Turn, state: State | None, *, hide_thinking: bool
) -> None:
    """Display a turn, prompt first; its thinking stays hidden where its own cell hid it."""
    from mm_magic.rendering.bundles import line_bundle

    prompt = line_bundle(
        f"Turn {turn.number}: {turn.prompt.text}" if turn.number else turn.prompt.text
    )
    status = status_of(turn, state, [], is_copy=True)
    hide = hide_thinking or turn.hides_thinking
    show(shell, prompt, *_reply_bundles(turn.reply, hide_thinking=hide), status)


def leave_in_file(shell: InteractiveShell, session: Session, end: CellEnd) -> None:
    """When a cell has ended: put the turns that the page does not show into its outputs."""
    turns = [*end.undrawn, *end.kept]
    if not turns:
        return
    from mm_magic.conversation.saved_turn import record_json, turn_json
    from mm_magic.rendering.bundles import TURN_MIME, status_bundle

    lines = [
        *_sentences("Remembered", end.undrawn),
        *_sentences("Unchanged, from an earlier run of this cell", end.kept),
    ]
    bundle = status_bundle([], lines, None)
    bundle[TURN_MIME] = record_json(
        turn_json(turn, session.conversations.state_of(turn)) for turn in turns
    )
    show(shell, bundle)


def _sentences(what: str, turns: Sequence[Turn]) -> list[str]:
    """A sentence for each conversation that has some of these turns."""
    by_name: dict[str, list[int]] = {}
    for turn in turns:
        by_name.setdefault(str(turn.conversation), []).append(turn.number)
    return [f"{what}: {turns_listed(numbers)} of {name}." for name, numbers in by_name.items()]


class Page:
    """The displays of one reply under a cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._prefix = os.urandom(16).hex()

    def show(self, slot: str, bundle: "Bundle", *, update: bool) -> None:
        self._shell.display_pub.publish(
            dict(bundle),
            transient={"display_id": f"{self._prefix}-{slot}"},
            update=update,
        )


def thinking_title(seconds: float | None) -> str:
    return "Thinking" if seconds is None else f"Thinking ({seconds:.1f} s)"


def _reply_bundles(reply: Reply, *, hide_thinking: bool) -> "Sequence[Bundle]":
    from mm_magic.rendering.bundles import finished_bundles

    title = thinking_title(reply.thinking_seconds)
    return finished_bundles(reply.thinking, title, reply.text, hide_thinking=hide_thinking)


def status_of(
    turn: Turn,
    state: State | None,
    notes: Sequence[str],
    *,
    to: str | None = None,
    is_copy: bool = False,
) -> dict[str, object]:
    """The last display of a turn: the status line, and the turn itself as JSON.

    `to` is the variable that its reply was put into.
    """
    from mm_magic.conversation.saved_turn import turn_json
    from mm_magic.rendering.bundles import status_bundle
    from mm_magic.rendering.status_line import status_notes, status_parts

    return status_bundle(
        status_parts(turn, to=to),
        [*status_notes(turn), *notes],
        turn_json(turn, state, is_copy=is_copy),
    )
