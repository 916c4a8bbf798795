"""What a cell leaves out of its requests in turn (`--without`), checked before any is sent."""

from collections.abc import Sequence

from mm_magic.conversation.left_out import SYSTEM, LeftOut
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.commands.here import Here
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.template import fill_in, inserts
from mm_magic.session.left_out import check_left_out
from mm_magic.session.turn_request import Ask
from mm_magic.wording import closest


def left_out_of(here: Here, arguments: Arguments, ask: Ask, body: str) -> Sequence[LeftOut]:
    """What the cell that asks this leaves out. Raises UsageError where it isn't there.

    Whether a turn is there is known when the request is built.
    """
    found = [LeftOut(each) for each in arguments.without]
    check_left_out(found, ask.options, arguments.varying)
    if ask.alone and (turn := next((each for each in found if each.turn), None)):
        raise UsageError(
            f"with --alone no earlier turns are sent, so {turn} can't be left out",
            next_steps=(f"Without --alone: `%%minimax --without {','.join(arguments.without)}`",),
        )
    return [
        LeftOut(each.what, _prompt_without(here, arguments, each, body.strip("\r\n")))
        if each.is_variable
        else each
        for each in found
    ]


def spaces_for_commas(arguments: Arguments, prompt: str) -> UsageError | None:
    """The error of `--without 2 system` and `--without turn 2`; None where it is another slip."""
    names = {SYSTEM, *(name for _, name, _ in inserts(prompt))}
    meant = [each for each in (*arguments.without, *arguments.words) if each not in _FILLERS]
    if not arguments.without or not all(each in names or each.isdecimal() for each in meant):
        return None
    return UsageError(
        f"{' '.join(arguments.words)!r} is not an option",
        next_steps=(f"Write: `%%minimax --without {','.join(meant)}`",),
    )


def _prompt_without(here: Here, arguments: Arguments, left_out: LeftOut, prompt: str) -> Prompt:
    """The prompt with nothing in the place of a variable. Raises UsageError."""
    name = left_out.what
    if arguments.literal:
        raise UsageError(
            f"with --literal no variable is filled in, so {left_out} can't be left out",
            next_steps=(f"Without --literal: `%%minimax --without {name}`",),
        )
    names = list(dict.fromkeys(each for _, each, _ in inserts(prompt)))
    if name not in names:
        used = ", ".join(f"{{{{{each}}}}}" for each in names) or "none"
        near = closest(name, [*names, SYSTEM])
        guess = (f"Did you mean `--without {near}`?",) if near else ()
        raise UsageError(
            f"the prompt has no {left_out} to leave out",
            next_steps=(*guess, f"Variables in the prompt: {used}.", _OTHERS),
        )
    content = fill_in(prompt, here.last_error.variables(prompt), without=name).content
    try:
        return Prompt(content)
    except UsageError:
        raise UsageError(
            f"without {left_out}, nothing is left of the prompt",
            next_steps=(f"Write in words what to do with {left_out}.",),
        ) from None


_FILLERS = ("turn", "turns", "and")
_OTHERS = "To leave out an earlier turn, give its number; for the system prompt, write `system`."
