"""Several answers with their settings in words, and what leaving something out changed."""

from collections.abc import Mapping
from dataclasses import replace

from mm_magic.conversation.replies import Outcome, Replies
from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.comparison import (
    ShownAnswer,
    answers_in_lines,
    answers_on_page,
    compare_table,
)
from mm_magic.session.variants import beside_full, flag_of, value_in_words
from mm_magic.wording import counted

_MOST_COMPARED = 12
"""One takes up to 0.06 s where answers are long, and nothing else happens meanwhile."""


def on_page(replies: Replies, *, hide_thinking: bool) -> list[Bundle]:
    """The table, the answers below it, and how they differ if something was left out."""
    answers = list(map(_shown, replies.outcomes))
    drawn = answers_on_page(answers, hide_thinking=hide_thinking)
    return [compare_table(answers), *drawn, *_differences(replies)]


def in_lines(replies: Replies, *, hide_thinking: bool, width: int | None) -> list[Bundle]:
    """The same for a terminal `width` columns wide."""
    answers = list(map(_shown, replies.outcomes))
    table = compare_table(answers, width=width)
    drawn = answers_in_lines(answers, hide_thinking=hide_thinking)
    return [table, *drawn, *_differences(replies)]


def running_table(replies: Replies, states: Mapping[int, str]) -> Bundle:
    """The table while the answers come; `states` has those on their way, by number."""
    answers = map(_shown, replies.outcomes)
    return compare_table([replace(a, state=states.get(a.outcome.number, "")) for a in answers])


def _shown(outcome: Outcome) -> ShownAnswer:
    settings = {
        flag_of(name): value_in_words(name, value) for name, value in outcome.settings.items()
    }
    return ShownAnswer(outcome, settings)


def _differences(replies: Replies) -> list[Bundle]:
    """The full answer beside each of the others; more than one comparison is folded."""
    pairs = list(beside_full(replies))
    if not pairs:
        return []
    from mm_magic.rendering.differences import several_differences  # few leave something out

    compared = [
        (full.reply.text, other.reply.text, f"From {_named(full)} to {_named(other)}")
        for full, other in pairs[:_MOST_COMPARED]
    ]
    more = len(pairs) - len(compared)
    are = "is" if more == 1 else "are"
    told = f"{counted(more, 'more answer')} {are} not compared here"
    note = f"{told}; %minimax diff --answer K compares one." if more else ""
    return [several_differences(compared, note)]


def _named(outcome: Outcome) -> str:
    return f"answer {outcome.number} ({outcome.label})"
