"""Draws what is finished: a bundle, a reply, a turn that was drawn before."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.replies import Replies
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.prompt.prompt import Prompt
from mm_magic.session.answerer import Kept, Nobody
from mm_magic.session.cell_run import CellEnd
from mm_magic.session.session import Session
from mm_magic.wording import in_window, plain, turns_listed, window_width

if TYPE_CHECKING:  # the Markdown parser is loaded at the first drawing
    from mm_magic.rendering.bundles import Bundle
    from mm_magic.session.turn_request import TurnRequest


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


def show_request(shell: InteractiveShell, text: str) -> None:
    """Print the text of a request. With thinking in it, a page gets a display that is marked: what
    is printed can't be told from what the cell's own code prints."""
    from mm_magic.rendering.bundles import request_bundle

    bundle = request_bundle(text)
    if len(bundle) > 1:
        show(shell, bundle, is_code=True)
    else:
        print(text)


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


def show_replies(shell: InteractiveShell, replies: Replies, *, hide_thinking: bool) -> None:
    """Display several answers that another cell asked for."""
    if running_cell(shell).audience == "terminal":
        print()  # the table begins below `Out[3]: `
    show(shell, *replies_bundles(shell, replies, hide_thinking=hide_thinking))


def replies_bundles(
    shell: InteractiveShell, replies: Replies, *, hide_thinking: bool
) -> "list[Bundle]":
    """Several answers in their final form, for a page or for the terminal."""
    from mm_magic.jupyter.views.comparison import in_lines, on_page

    if running_cell(shell).audience == "terminal":
        return in_lines(replies, hide_thinking=hide_thinking, width=width_of(shell))
    return on_page(replies, hide_thinking=hide_thinking)


def draw_again(
    shell: InteractiveShell, turn: Turn, state: State | None, *, hide_thinking: bool
) -> None:
    """Display a turn, prompt first, with its status."""
    from mm_magic.session.notes import continues_note

    is_choice = turn.others and turn.conversation is not None
    notes = [continues_note(turn)] if is_choice else []
    status = status_of(turn, state, notes, is_copy=True)
    show(shell, *again(shell, turn, hide_thinking=hide_thinking), status)


def again(shell: InteractiveShell, turn: Turn, *, hide_thinking: bool) -> "Sequence[Bundle]":
    """A turn as it is displayed again: its prompt, its thinking unless its own cell hid it, and
    its answer."""
    from mm_magic.rendering.bundles import line_bundle

    prompt = line_bundle(f"Turn {turn.number}: {turn.prompt}" if turn.number else str(turn.prompt))
    hide = hide_thinking or turn.hides_thinking
    return [
        prompt,
        *picture_bundles(turn.prompt),
        *answer_bundles(shell, turn, hide_thinking=hide),
    ]


def picture_bundles(prompt: Prompt) -> "list[Bundle]":
    """The pictures of a prompt, in their order."""
    if not prompt.pictures:
        return []
    from mm_magic.rendering.bundles import picture_bundle

    return list(map(picture_bundle, prompt.pictures))


def show_pictures(shell: InteractiveShell, requests: "Sequence[TurnRequest]") -> None:
    """Display the pictures of the prompt that these requests ask, before the answers come.

    Not if no answer can come, nor if the cell keeps its old one, which comes with its own pictures.
    """
    is_kept = any(isinstance(each.answerer, Kept) for each in requests)
    if not is_kept and not all(isinstance(each.answerer, Nobody) for each in requests):
        show(shell, *picture_bundles(requests[0].ask.prompt))


def answer_bundles(
    shell: InteractiveShell, turn: Turn, *, hide_thinking: bool
) -> "Sequence[Bundle]":
    """What was answered in a turn, without its prompt."""
    if not turn.others:
        return _reply_bundles(turn.reply, hide_thinking=hide_thinking)
    from mm_magic.session.variants import replies_of

    return replies_bundles(shell, replies_of(turn), hide_thinking=hide_thinking)


def leave_in_file(shell: InteractiveShell, session: Session, end: CellEnd) -> None:
    """When a cell has ended: put the turns that the page does not show into its outputs."""
    turns, picks = [*end.undrawn, *end.kept], [*_with_turns(end.kept_picks)]
    if not turns and not picks:
        return
    from mm_magic.conversation.saved_turn import pick_json, record_json, turn_json
    from mm_magic.rendering.bundles import TURN_MIME, status_bundle

    lines = [
        *_sentences("Remembered", end.undrawn),
        *_sentences("Kept from an earlier run of this cell", end.kept),
        *_picked(picks),
    ]
    bundle = status_bundle([], lines, None)
    bundle[TURN_MIME] = record_json(
        (turn_json(turn, session.conversations.state_of(turn)) for turn in turns),
        ((there.name, there.state) for there, _, _ in picks),
        (pick_json(pick, turn) for _, pick, turn in picks),
    )
    show(shell, bundle)


def _with_turns(
    picks: Iterable[tuple[Conversation, Pick]],
) -> Iterator[tuple[Conversation, Pick, Turn]]:
    """The picks with their turns, unless these were forgotten."""
    for there, pick in picks:
        if (turn := there.numbered(pick.number)) is not None:
            yield there, pick, turn


def _picked(picks: Iterable[tuple[Conversation, Pick, Turn]]) -> list[str]:
    return [
        f"Picked: answer {pick.answer} for turn {turn.number} of {there.name}."
        for there, pick, turn in picks
        if not pick.is_undone
    ]


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
    from mm_magic.rendering.values import reply_bundles

    title = thinking_title(reply.thinking_seconds)
    parts = reply_bundles(reply, title, hide_thinking=hide_thinking)
    if not reply.earlier_steps:
        return parts
    from mm_magic.rendering.calls import step_bundles  # few answers call

    return [*step_bundles(reply, hide_thinking=hide_thinking), *parts]


def value_of(shell: InteractiveShell, reply: Reply) -> "Bundle | None":
    """What stands in place of the text of a reply that is a value; None if it is none.

    In a terminal, where the text was printed as it came, it is the table alone.
    """
    if not reply.has_value:
        return None
    from mm_magic.rendering.values import value_bundle, value_table

    if running_cell(shell).audience == "terminal":
        return value_table(reply, width=width_of(shell))
    return value_bundle(reply)


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
