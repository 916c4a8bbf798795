"""Several answers with their settings in words, ready to be displayed."""

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
from mm_magic.session.options import BY_NAME
from mm_magic.session.variants import value_in_words


def on_page(replies: Replies, *, hide_thinking: bool) -> list[Bundle]:
    """The table, and the answers below it."""
    answers = list(map(_shown, replies.outcomes))
    return [compare_table(answers), *answers_on_page(answers, hide_thinking=hide_thinking)]


def in_lines(replies: Replies, *, hide_thinking: bool, width: int | None) -> list[Bundle]:
    """The same for a terminal `width` columns wide."""
    answers = list(map(_shown, replies.outcomes))
    table = compare_table(answers, width=width)
    return [table, *answers_in_lines(answers, hide_thinking=hide_thinking)]


def running_table(replies: Replies, states: Mapping[int, str]) -> Bundle:
    """The table while the answers come; `states` has those on their way, by number."""
    answers = map(_shown, replies.outcomes)
    return compare_table([replace(a, state=states.get(a.outcome.number, "")) for a in answers])


def _shown(outcome: Outcome) -> ShownAnswer:
    settings = {
        BY_NAME[name].flags[0]: value_in_words(name, value)
        for name, value in outcome.settings.items()
    }
    return ShownAnswer(outcome, settings)
