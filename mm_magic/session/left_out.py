"""What the requests of a cell or a call leave out in turn: whether it can be had without it."""

from collections.abc import Container, Sequence
from contextlib import suppress

from mm_magic.conversation.left_out import SYSTEM, LeftOut
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.build_request import NotSentError
from mm_magic.session.cell_run import CellRun
from mm_magic.session.options import Options, listed
from mm_magic.session.requests import Requests
from mm_magic.session.turn_request import Ask
from mm_magic.session.variants import Variant


def from_python(without: object, *, alone: bool) -> Sequence[LeftOut]:
    """What a call from Python leaves out: a number, "system", or a list of these.

    Its prompt is sent as it stands, so no variable is in it. Raises UsageError.
    """
    values = listed(without)
    found = [_read(each) for each in ((without,) if values is None else values)]
    for each in found:
        if each.is_variable:
            raise UsageError(
                f"a prompt from Python has no variables, so {each} can't be left out",
                next_steps=(f"In a cell, with {each} in the prompt: "
                            f"`%%minimax --without {each.what}`",
                            "In Python, ask twice: `mm.ask(with_it)` and `mm.ask(without_it)`"),
            )  # fmt: skip
        if each.turn and alone:
            raise UsageError(
                f"a call without a conversation sends no earlier turns, so {each} can't be left "
                "out",
                next_steps=(
                    "Name a conversation: "
                    f'`mm.compare(…, without={each.turn}, conversation="main")`',
                ),
            )
    return found


def _read(value: object) -> LeftOut:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UsageError(
            f'without must be the number of a turn or "system", got {value!r}',
            next_steps=('To leave out several, pass a list: `without=[2, "system"]`',),
        )
    return LeftOut(str(value))


def check_left_out(
    found: Sequence[LeftOut], options: Options, varying: Container[str] = ()
) -> None:
    """Raise UsageError for what stands twice in a list, and for a system prompt that is not set, or
    is `varying`.
    """
    for place, each in enumerate(found):
        if each in found[:place]:
            raise UsageError(
                f"{each} is named twice",
                next_steps=("Name it once; `-n 2` asks for two answers to each request.",),
            )
    if SYSTEM not in [each.what for each in found]:
        return
    if "system" in varying:
        raise UsageError(
            "with several system prompts, --without system would ask for the same answer several "
            "times",
            next_steps=('In place of `--without system`, add an empty system prompt: `-s ""`',),
        )
    if not options.system:
        raise UsageError(
            "no system prompt is set, so there is none to leave out",
            next_steps=('Set one: `-s "TEXT"`, or in Python `system="TEXT"`',),
        )


def check_sent(requests: Requests, cell: CellRun, ask: Ask, variants: Sequence[Variant]) -> None:
    """Raise UsageError if a variant of `ask` leaves out a turn that would not be sent.

    The first one leaves out nothing; a cell that keeps the old answer to it sends none. What else
    is wrong with a request is told in its own place.
    """
    full, *others = variants
    with suppress(MiniMaxError):
        if requests.build_next(full.of(ask), cell).keeps is not None:
            return
    for each in others:
        try:
            requests.build_next(each.of(ask), cell)
        except NotSentError:
            raise
        except MiniMaxError:
            continue
