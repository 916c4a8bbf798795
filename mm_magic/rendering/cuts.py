"""Sentences on answers that were cut off: where, and the line that gets a longer one."""

from collections.abc import Iterable, Iterator

from mm_magic.conversation.catalog import find, longer
from mm_magic.conversation.turn import Turn
from mm_magic.protocol.json_values import as_count
from mm_magic.wording import listed


def was_cut(turn: Turn) -> bool:
    """Whether its answer ended at a limit."""
    return turn.reply.status == "complete" and turn.reply.stop_reason == "max_tokens"


def cut_note(turn: Turn) -> str:
    """Where the answer of a turn was cut off, and what to do about it."""
    reply, limit = turn.reply, _limit(turn)
    if (used := _short_of(turn)) is not None:
        return (
            f"The service cut the answer off after {used:,} tokens, short of max_tokens {limit}. "
            "To continue, ask in the next cell: `Go on.`"
        )
    cut = f"The answer was cut off at max_tokens {limit}."
    if _is_thinking(turn):
        cut = f"Thinking used up all of max_tokens {limit}, so there is no text."
    if reply.backend == "recorded":  # another request is not in the recording
        return cut
    return " ".join([cut, *_steps(turn)])


def cut_notes(answers: Iterable[Turn]) -> Iterator[str]:
    """The same of several answers to one prompt: those that were cut off alike in one sentence."""
    alike: dict[tuple[str, str], list[Turn]] = {}
    for each in answers:
        if was_cut(each):
            alike.setdefault(_cut_off(each), []).append(each)
    for (verb, where), cut in alike.items():
        numbers = listed(each.answer for each in cut)
        who = f"Answer {numbers} {verb}" if len(cut) == 1 else f"Answers {numbers} {_PLURAL[verb]}"
        yield f"{who} {where}"


_PLURAL = {"was": "were", "has": "have"}


def _cut_off(turn: Turn) -> tuple[str, str]:
    """The verb of the sentence and the rest of it."""
    limit = _limit(turn)
    if (used := _short_of(turn)) is not None:
        rest = f"cut off by the service after {used:,} tokens, short of max_tokens {limit}."
        return "was", rest
    if _is_thinking(turn):
        return "has", f"no text: thinking used up all of max_tokens {limit}."
    return "was", f"cut off at max_tokens {limit}."


def _limit(turn: Turn) -> int:
    return as_count(turn.parameters.get("max_tokens")) or 0


def _short_of(turn: Turn) -> int | None:
    """The tokens of an answer that ended below our limit: the service has one of its own."""
    limit = _limit(turn)
    used = turn.reply.usage.output_tokens or limit
    return used if used < 0.9 * limit and turn.reply.text.strip() else None


def _is_thinking(turn: Turn) -> bool:
    return not turn.reply.text.strip() and bool(turn.reply.thinking.strip())


def _steps(turn: Turn) -> list[str]:
    more = longer(turn.model, _limit(turn))
    steps = [f"For a longer answer: `%%minimax --max-tokens {more}`"] if more else []
    known = find(turn.model)
    is_text = bool(turn.reply.text.strip())
    if not is_text and known is not None and known.takes_effort and known.always_thinks:
        steps.append("For less thinking: `%%minimax --effort low`")
    return steps
