"""Several answers to one prompt as MIME bundles: a table of them, and each under its label.

Pure: values in, bundles out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mm_magic.conversation.catalog import dollars
from mm_magic.conversation.replies import Outcome
from mm_magic.conversation.reply import counted_usage
from mm_magic.errors import MiniMaxError
from mm_magic.rendering.bundles import (
    Bundle,
    finished_bundles,
    folded_thinking,
    line_bundle,
    status_bundle,
)
from mm_magic.rendering.columns import MOST_BESIDE, Column, finished_columns
from mm_magic.rendering.status_line import tokens_in_words
from mm_magic.rendering.tables import table_bundle
from mm_magic.rendering.values import value_bundle
from mm_magic.wording import capitalised, listed, share


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer, and in words the options that vary: their flags, with their values.

    `state` says what it does while it is on its way, "" when it has ended.
    """

    outcome: Outcome
    settings: Mapping[str, str] = field(default_factory=dict)
    state: str = ""

    @property
    def has_thinking(self) -> bool:
        return bool(self.outcome.reply.thinking.strip())


def compare_table(answers: Sequence[ShownAnswer], *, width: int | None = None) -> Bundle:
    """A row for each answer: its number, what varies, seconds, tokens, price, and how it ended.

    The plain text fits a terminal of `width` columns.
    """
    flags = list(dict.fromkeys(flag for each in answers for flag in each.settings))
    columns = ["answer", *flags, "seconds", "tokens", "price", "ended"]
    rows = [
        [str(each.outcome.number), *(each.settings.get(f, "") for f in flags), *_measured(each)]
        for each in answers
    ]
    return table_bundle(columns, rows, width=width)


def answers_on_page(answers: Sequence[ShownAnswer], *, hide_thinking: bool) -> list[Bundle]:
    """The answers in columns or folded, equal texts once.

    Up to four have their thinking in bundles of their own above the columns, if one of them has
    any: there each can be opened while the answers grow. More have it with the answer.
    """
    has_boxes = has_thinking_boxes(len(answers)) and any(each.has_thinking for each in answers)
    boxes = [_box(each, hide_thinking=hide_thinking) for each in answers] if has_boxes else []
    columns = []
    for group in same_texts(answers):
        thinking = [] if has_boxes else _thinking(group, hide_thinking=hide_thinking)
        columns.append(Column(_title(group, len(answers)), [*thinking, *_answer(group[0])]))
    return [*boxes, finished_columns(columns)]


def answers_in_lines(answers: Sequence[ShownAnswer], *, hide_thinking: bool) -> list[Bundle]:
    """The answers for a terminal, each under its label with its thinking; equal texts once."""
    found: list[Bundle] = []
    for group in same_texts(answers):
        found.append(line_bundle(_title(group, len(answers))))
        found += [*_thinking(group, hide_thinking=hide_thinking), *_answer(group[0])]
    return found


def has_thinking_boxes(count: int) -> bool:
    """Whether the thinking of so many answers stands in bundles of its own."""
    return count <= MOST_BESIDE


def same_texts(answers: Iterable[ShownAnswer]) -> list[list[ShownAnswer]]:
    """The answers in order, those with equal texts together; one that failed stands alone."""
    groups: dict[object, list[ShownAnswer]] = {}
    for each in answers:
        reply = each.outcome.reply
        is_alone = each.outcome.error is not None or not reply.text.strip()
        name = each.outcome.number if is_alone else reply.text.strip()
        groups.setdefault(name, []).append(each)
    return list(groups.values())


def answer_label(number: int, label: str) -> str:
    """What stands above an answer, with what varies in it."""
    return f"Answer {number} · {label}" if label else f"Answer {number}"


def thinking_title(number: int, seconds: float | None) -> str:
    """The title of an answer's folded thinking."""
    title = f"Thinking for answer {number}"
    return title if seconds is None else f"{title} ({seconds:.1f} s)"


def thinking_line(number: int, *, is_over: bool) -> Bundle:
    """What stands in the place of an answer's thinking until that is folded, or if there is none"""
    return line_bundle(
        f"Answer {number}: no thinking" if is_over else f"Answer {number}: thinking…"
    )


def error_card(error: MiniMaxError) -> Bundle:
    """What stands below an answer that failed."""
    return status_bundle([], error.card().split("\n"), None)


def _title(group: Sequence[ShownAnswer], total: int) -> str:
    first = group[0].outcome
    if len(group) == 1:
        return answer_label(first.number, first.label)
    title = f"{capitalised(share(len(group), total, 'answer'))} are the same"
    if len(group) < total:
        title = f"{title}: {listed(each.outcome.number for each in group)}"
    common = _common_label(group)
    return f"{title} · {common}" if common else title


def _common_label(group: Sequence[ShownAnswer]) -> str:
    """The settings that all of them have; "" where they differ."""
    settings = group[0].settings
    is_common = all(each.settings == settings for each in group)
    return " · ".join(f"{flag} {value}" for flag, value in settings.items()) if is_common else ""


def _thinking(group: Iterable[ShownAnswer], *, hide_thinking: bool) -> list[Bundle]:
    return [_box(each, hide_thinking=hide_thinking) for each in group if each.has_thinking]


def _box(answer: ShownAnswer, *, hide_thinking: bool) -> Bundle:
    number, reply = answer.outcome.number, answer.outcome.reply
    if not answer.has_thinking:
        return thinking_line(number, is_over=True)
    title = thinking_title(number, reply.thinking_seconds)
    return folded_thinking(reply.thinking, title, is_hidden=hide_thinking)


def _answer(answer: ShownAnswer) -> list[Bundle]:
    """Its text, and if it is not complete its error's card, or "stopped"."""
    outcome = answer.outcome
    reply = outcome.reply
    pages = finished_bundles("", "", reply.text, hide_thinking=False)
    if reply.has_value:
        pages = [value_bundle(reply)]
    if outcome.error is not None:
        return [*pages, error_card(outcome.error)]
    is_complete = outcome.reply.status == "complete"
    return pages if is_complete else [*pages, line_bundle(outcome.reply.status)]


def _measured(answer: ShownAnswer) -> list[str]:
    """Seconds, tokens, price and ending; "" for what is not known."""
    outcome = answer.outcome
    took = outcome.reply.seconds
    seconds = "" if took is None else f"{took:.1f}"
    price = "" if outcome.price is None else dollars(outcome.price)
    ended = answer.state or _ending(outcome)
    return [seconds, tokens_in_words(counted_usage(outcome.reply)), price, ended]


def _ending(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"failed: {outcome.error.kind}"
    if outcome.reply.status != "complete":
        return outcome.reply.status
    return outcome.reply.stop_reason or ""
