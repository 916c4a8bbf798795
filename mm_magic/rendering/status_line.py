"""The quiet line under an answer: who answered, which turn, tokens, price and seconds."""

from collections.abc import Iterator, Sequence

from mm_magic.conversation.catalog import dollars, price_of
from mm_magic.conversation.count import Count, count
from mm_magic.conversation.reply import Reply, counted_usage
from mm_magic.conversation.turn import Turn
from mm_magic.protocol.messages import Usage
from mm_magic.rendering.cuts import cut_note, cut_notes, was_cut
from mm_magic.transport.endpoint import DEMO_NAME
from mm_magic.wording import counted, model_name, without_code


def status_parts(turn: Turn, *, to: str | None = None) -> list[str]:
    """The parts of the line, in order; each is short, and may hold text of the server's.

    `to` is the variable that the reply was put into.
    """
    return [*_parts(turn), *([f"stored in {to}"] if to else [])]


def _parts(turn: Turn) -> list[str]:
    who, reply = _who(turn), turn.reply
    called = [counted(len(reply.calls), "call")] if reply.calls else []
    if not any(step.content for step in reply.steps) and reply.status != "complete":
        place = [] if turn.conversation else [_place(turn, is_lost=True)]
        return [who, *place, "no answer" if reply.status == "incomplete" else "stopped"]
    is_lost = turn.conversation is not None and not reply.may_enter()
    parts = [who, *filter(None, [_place(turn, is_lost=is_lost)]), *called]
    if turn.others:
        return [*parts, _total(turn.answers), *["not remembered"] * is_lost]
    if reply.status != "complete":  # the service counts at the end: what it said before is a guess
        return [*parts, reply.status + (", not remembered" if is_lost else "")]
    if reply.problem:
        parts.append("not of the requested type" + (", not remembered" if is_lost else ""))
    parts += filter(None, [tokens_in_words(counted_usage(reply)), _price(turn), _took(reply)])
    if reply.stop_reason not in ("end_turn", None):
        parts.append(f"stop reason: {reply.stop_reason}")
    return parts


def status_notes(turn: Turn) -> list[str]:
    """Sentences below the line."""
    notes, reply = [*_asked_once_more(turn)], turn.reply
    if reply.origin is not None and reply.origin.is_loose:
        notes.append("The answer was recorded with different earlier turns.")
    if reply.origin is not None and reply.origin.is_of_other_picture:
        notes.append("The answer was recorded with a different picture.")
    if any(each.is_demo and each.reply.has_value for each in turn.answers):
        made = "these values" if turn.others else "this value"
        notes.append(f"The demo made up {made} to fit the type.")
    notes += dict.fromkeys(filter(None, map(_other_model, turn.answers)))
    if turn.others:
        notes += cut_notes(turn.answers)
    elif was_cut(turn):
        notes.append(cut_note(turn))
    if reply.status == "complete" and not reply.text.strip() and turn.conversation is not None:
        notes.append("The reply has no text, so it is not remembered.")
    return notes


def _asked_once_more(turn: Turn) -> Iterator[str]:
    """What was wrong with the answers that were not of the requested type."""
    for each in turn.answers:
        if (first := each.reply.first_try) is not None:
            what = f"Answer {each.answer}: the first try" if turn.others else "The first answer"
            problem = without_code(first.problem)
            yield f"{what} did not fit the type ({problem}), so the model was asked again."


def _total(answers: Sequence[Turn]) -> str:
    """What several answers came to; their number alone where none has a count."""
    total = sum((count(each.reply, each.model) for each in answers), Count())
    return counted(total.answers, "answer") if total.uncounted == total.answers else str(total)


def _other_model(turn: Turn) -> str:
    """That another model answered; of a recorded request that named none it is not known."""
    reply = turn.reply
    is_known = reply.backend != "recorded" or "model" in turn.said
    if not reply.model or reply.model == turn.model or turn.is_demo or not is_known:
        return ""
    return f"{turn.model} was asked for, but {model_name(reply.model)} answered."


def _who(turn: Turn) -> str:
    """Who answered, or all of them where several models did."""
    came = [each for each in turn.answers if each.reply.message.content] or [turn]
    return ", ".join(dict.fromkeys(map(who_answered, came)))


def who_answered(turn: Turn) -> str:
    """The model, or that it was none; and when that was, where it was recorded."""
    model = DEMO_NAME if turn.is_demo else _model(turn)
    if turn.reply.backend != "recorded":
        return model
    day = turn.reply.origin.day if turn.reply.origin else ""
    return f"{f'recorded {day}'.strip()}, {model[0].lower() + model[1:] if turn.is_demo else model}"


def _model(turn: Turn) -> str:
    return model_name(turn.reply.model or turn.model)


def _place(turn: Turn, *, is_lost: bool) -> str:
    """The number of the turn; none where it is lost: the next one gets that number."""
    if turn.conversation is None:
        return "alone"
    name = "" if turn.conversation == "main" else f"{turn.conversation}: "
    number = "" if is_lost else f"{name}turn {turn.number}"
    return ", ".join(filter(None, [number, f"{turn.sent} earlier sent" if turn.sent else ""]))


def tokens_in_words(usage: Usage) -> str:
    """As "39 in / 41 out" or "1 in + 38 from cache / 41 out"; "" where the server did not count."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return ""
    cached = usage.cache_read_input_tokens  # the service counts it beside the input
    from_cache = f" + {cached:,} from cache" if cached else ""
    return f"{_count(usage.input_tokens)} in{from_cache} / {_count(usage.output_tokens)} out"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _price(turn: Turn) -> str:
    """What it cost; "" where that is not known, or nothing: only MiniMax's own prices are known."""
    price = price_of(turn.reply, turn.model)
    return "" if price is None else dollars(price)


def _took(reply: Reply) -> str:
    """How long the answer took; "" where that is not known."""
    return "" if reply.seconds is None else f"{reply.seconds:.1f} s"
