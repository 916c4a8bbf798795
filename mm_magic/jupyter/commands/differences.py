"""`%minimax diff`: how the answer of a turn differs from another one to the same cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import read_command
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.history import check_version, no_turns, turn_numbered
from mm_magic.jupyter.views.finished import show
from mm_magic.session.notes import way_to
from mm_magic.session.options import COUNT, option
from mm_magic.session.session import Session
from mm_magic.wording import listed


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """The options of `%minimax diff`."""

    version: int | None = option(
        None, COUNT, "--version", metavar="K",
        help="compare with version K of the answer; the last three are kept until the kernel ends",
    )  # fmt: skip
    answer: int | None = option(
        None, COUNT, "--answer", metavar="K",
        help="compare with answer K, if the cell asked for several answers",
    )  # fmt: skip


def diff(here: Here, words: Sequence[str]) -> None:
    """`%minimax diff [N]`: compare two answers of a turn, by words; without N of the last one.

    It is compared with the answer that it had before; where there is none, with another answer of
    a cell that asked for several.
    """
    from mm_magic.jupyter.views.differences import of_answers, of_nothing, of_versions

    number, given = read_command("diff", DiffOptions, words)
    turn = _last(here.session) if number is None else turn_numbered(here.session, number)
    line = f"%minimax diff {turn.number or ''}".rstrip()
    way = way_to(turn, here.session.options.conversation) if turn.number else ""
    if given.version is not None:
        _check_alone(given, line)
        check_version(turn, given.version, line)
    others = [each for each in turn.others if each.reply.text.strip()]
    if given.answer is None and turn.former:
        version = given.version or turn.former[-1].version
        show(here.shell, *of_versions(turn, version, f"{way}`{line}"))
    elif given.answer is None and not others:
        show(here.shell, of_nothing(turn, line))
    else:
        other = _answer(turn, others, given.answer, line)
        show(here.shell, *of_answers(turn, other, f"{way}`{line}"))


def _last(session: Session) -> Turn:
    """The last turn as it stands now. Raises UsageError."""
    last = session.latest.turn
    if last is not None and last.conversation is None:
        return last
    name = (last and last.conversation) or session.options.conversation
    there = session.conversations.get(name)
    turns = there.turns if there else []
    if not turns:
        raise no_turns("there are no turns yet")
    return next((each for each in turns if last and each.number == last.number), turns[-1])


def _check_alone(given: DiffOptions, line: str) -> None:
    if given.answer is not None:
        raise UsageError(
            "--version and --answer can't be used together",
            next_steps=(f"Write: `{line} --version {given.version}`",),
        )


def _answer(turn: Turn, others: Sequence[Turn], number: int | None, line: str) -> Turn:
    """The other answer with this number; the first of them without one. Raises UsageError."""
    for each in others:
        if number in (None, each.answer):
            return each
    which = f"turn {turn.number}" if turn.number else "the last turn"
    if not others:
        raise UsageError(
            f"{which} has only one answer to compare",
            next_steps=("To ask for two: `%%minimax -n 2`",),
        )
    what = f"{which} has no answer {number}"
    if number == turn.answer:
        what = f"answer {number} is the one that the others are compared with"
    elif number in [each.answer for each in turn.others]:
        what = f"answer {number} has no text"
    raise UsageError(
        f"{what}; other answers: {listed(each.answer for each in others)}",
        next_steps=(f"Write: `{line} --answer {others[0].answer}`",),
    )
