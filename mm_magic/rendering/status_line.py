"""The quiet line under an answer: who answered, which turn, tokens, price and seconds."""

from mm_magic.conversation.catalog import dollars, find, longer, price_of
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.protocol.json_values import as_count
from mm_magic.protocol.messages import Usage
from mm_magic.wording import model_name


def status_parts(turn: Turn, *, to: str | None = None) -> list[str]:
    """The parts of the line, in order; each is short, and may hold text of the server's.

    `to` is the variable that the reply was put into.
    """
    return [*_parts(turn), *([f"stored in {to}"] if to else [])]


def _parts(turn: Turn) -> list[str]:
    who, reply = who_answered(turn), turn.reply
    if not reply.message.content and reply.status != "complete":
        place = [] if turn.conversation else [_place(turn, is_lost=True)]
        return [who, *place, "no answer" if reply.status == "incomplete" else "stopped"]
    is_lost = turn.conversation is not None and not reply.may_enter()
    parts = [who, *filter(None, [_place(turn, is_lost=is_lost)])]
    if reply.status != "complete":  # the service counts at the end: what it said before is a guess
        return [*parts, reply.status + (", not remembered" if is_lost else "")]
    parts += filter(None, [tokens_in_words(reply.usage), _price(turn), _took(reply)])
    if reply.stop_reason not in ("end_turn", None):
        parts.append(f"stop reason: {reply.stop_reason}")
    return parts


def status_notes(turn: Turn) -> list[str]:
    """Sentences below the line."""
    notes, reply = [], turn.reply
    if reply.origin is not None and reply.origin.is_loose:
        notes.append("Recorded with different earlier turns.")
    if reply.model and reply.model != turn.model and not turn.is_demo:
        notes.append(f"{turn.model} was asked for, but {model_name(reply.model)} answered.")
    if reply.status != "complete":
        return notes
    if reply.stop_reason == "max_tokens":
        notes.append(_cut_note(turn))
    if not reply.text.strip() and turn.conversation is not None:
        notes.append("The reply has no text, so it is not remembered.")
    return notes


def _cut_note(turn: Turn) -> str:
    """Where the answer was cut, and the line that gets a longer one."""
    reply, limit = turn.reply, as_count(turn.parameters.get("max_tokens")) or 0
    used = reply.usage.output_tokens or limit
    is_text = bool(reply.text.strip())
    if used < 0.9 * limit and is_text:  # the service has a limit of its own, and this is below ours
        return (
            f"The service cut the answer off after {used:,} tokens, short of max_tokens {limit}. "
            "To continue, ask in the next cell: `Go on.`"
        )
    cut = f"The answer was cut off at max_tokens {limit}."
    if not is_text and reply.thinking.strip():
        cut = f"Thinking used up all of max_tokens {limit}, so there is no text."
    if reply.backend == "recorded":  # another request is not in the recording
        return cut
    more = longer(turn.model, limit)
    steps = [f"For a longer answer: `%%minimax --max-tokens {more}`"] if more else []
    known = find(turn.model)
    if not is_text and known is not None and known.takes_effort and known.always_thinks:
        steps.append("For less thinking: `%%minimax --effort low`")
    return " ".join([cut, *steps])


def who_answered(turn: Turn) -> str:
    """The model, or that it was none; and when that was, where it was recorded."""
    model = "Offline demo, not a language model" if turn.is_demo else _model(turn)
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
    """As "39 in / 41 out"; "" where the server did not count."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return ""
    text = f"{_count(usage.input_tokens)} in / {_count(usage.output_tokens)} out"
    cached = usage.cache_read_input_tokens
    return f"{text} · {cached:,} cached" if cached else text


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _price(turn: Turn) -> str:
    """What it cost; "" where that is not known, or nothing: only MiniMax's own prices are known."""
    price = price_of(turn.reply, turn.model)
    return "" if price is None else dollars(price)


def _took(reply: Reply) -> str:
    """How long the answer took; "" where that is not known."""
    return "" if reply.seconds is None else f"{reply.seconds:.1f} s"
