"""Two answers of a turn compared, and below it what else can be compared or brought back."""

from collections.abc import Iterator, Sequence

from mm_magic.conversation.turn import Turn
from mm_magic.conversation.versions import former_version
from mm_magic.rendering.bundles import Bundle, status_bundle
from mm_magic.rendering.differences import differences_bundle
from mm_magic.rendering.status_line import who_answered
from mm_magic.session.variants import replies_of
from mm_magic.wording import listed, shortened

_PROMPT_SHOWN = 80  # characters


def of_versions(turn: Turn, version: int, line: str) -> Sequence[Bundle]:
    """The answer of a turn compared with a former one.

    `line` begins the sentence that compares others, up to the number of the turn.
    """
    former = former_version(turn, version)
    assert former is not None
    title = f"Turn {turn.number}, from version {version} to version {turn.version}"
    notes = [*_unlike(version, former, turn), *_other_versions(turn, version, line)]
    if turn.others:
        notes.append(f"To compare the answers that the cell has now: {line} --answer K`")
    return _bundles(former, turn, title, notes)


def _unlike(version: int, former: Turn, turn: Turn) -> Iterator[str]:
    """Why else the answers may differ."""
    if not former.prompt.asks_as(turn.prompt):
        prompt = shortened(str(former.prompt), _PROMPT_SHOWN)
        yield f"Version {version} answers a different prompt: “{prompt}”"
    if (who := who_answered(former)) != who_answered(turn):
        yield f"Version {version} is from a different model: {who}"
    if former.without is not None:
        yield f"Version {version} was given without {former.without}."
    if former.reply.status == "stopped":
        yield f"Version {version} was stopped before it was complete."


def _other_versions(turn: Turn, version: int, line: str) -> Iterator[str]:
    restore = line.replace("%minimax diff", "%minimax restore")
    if len(turn.former) == 1:
        yield f"To bring version {version} back: {restore} --version {version}`"
        return
    versions = listed(each.version for each in turn.former)
    yield f"Earlier versions: {versions}. To compare another one: {line} --version K`"
    yield f"To bring one back: {restore} --version K`"


def of_answers(turn: Turn, other: Turn, line: str) -> Sequence[Bundle]:
    """The answer of a turn compared with another one that its cell asked for."""
    varied = {each.number: each.label for each in replies_of(turn).outcomes if each.settings}
    before, after = sorted([turn, other], key=lambda each: each.answer)
    first, second = (_named(each.answer, varied.get(each.answer)) for each in (before, after))
    place = f"Turn {turn.number}, from" if turn.number else "From"
    more = f"To compare answer {turn.answer} with another one: {line} --answer K`"
    notes = [more] if len(turn.others) > 1 else []
    return _bundles(before, after, f"{place} {first} to {second}", notes)


def _named(number: int, label: str | None) -> str:
    return f"answer {number} ({label})" if label else f"answer {number}"


def of_nothing(turn: Turn, line: str) -> Bundle:
    """The sentence where there is nothing to compare."""
    several = "ask for two answers with `%%minimax -n 2`"
    if turn.conversation is None:
        told = f"With --alone no earlier answers are kept. To compare, {several}."
    elif turn.key is None:  # it has no cell that could run again
        told = f"Turn {turn.number} has only one answer. To compare, {several}."
    else:
        told = (
            f"Turn {turn.number} has only one answer. To compare, run its cell again and then run "
            f"`{line}`, or {several}."
        )
    return status_bundle([], [told], None)


def _bundles(before: Turn, after: Turn, title: str, notes: Sequence[str]) -> Sequence[Bundle]:
    bundle = differences_bundle(before.reply.text, after.reply.text, title)
    return [bundle, status_bundle([], notes, None)] if notes else [bundle]
