"""The quiet line under an answer: who answered, which turn, how many tokens, what it cost."""

from mm_magic.catalog import cost
from mm_magic.conversation import Reply
from mm_magic.protocol.messages import Usage
from mm_magic.session import Prepared


def status_parts(prepared: Prepared, reply: Reply) -> list[str]:
    """The parts of the line, in order; each is short, and may hold text of the server's."""
    who = _who(prepared, reply)
    if not reply.message.content and reply.status != "complete":
        return [who, "no answer" if reply.status == "incomplete" else "stopped"]
    parts = [who, _place(prepared)]
    if reply.status != "complete":  # the service counts at the end: what it said before is a guess
        return [*parts, reply.status]
    parts += [*_tokens(reply.usage), _price(prepared, reply)]
    if reply.stop_reason not in ("end_turn", None):
        parts.append(f"stop reason: {reply.stop_reason}")
    return parts


def status_notes(prepared: Prepared, reply: Reply) -> list[str]:
    """Sentences below the line."""
    notes = list(prepared.notes)
    asked = prepared.request.model
    if reply.model and reply.model != asked and reply.backend != "offline":
        notes.append(f"{asked} was asked, {reply.model} answered.")
    if reply.status != "complete":
        return notes
    if reply.stop_reason == "max_tokens":
        limit = prepared.request.max_tokens
        notes.append(f"The answer was cut at max_tokens {limit}; --max-tokens sets another limit.")
    if not reply.text.strip() and prepared.conversation is not None:
        stays = any(turn.key == prepared.key for turn in prepared.conversation.turns)
        earlier = "; the turn that this cell had before stays" if prepared.key and stays else ""
        notes.append(f"The reply has no text, so it is not remembered{earlier}.")
    return notes


def _who(prepared: Prepared, reply: Reply) -> str:
    if reply.backend == "offline":
        return "Offline demo, not a language model"
    return reply.model or prepared.request.model


def _place(prepared: Prepared) -> str:
    if prepared.conversation is None:
        return "alone"
    name = "" if prepared.conversation.name == "main" else f"{prepared.conversation.name}: "
    sent = prepared.history.sent
    return f"{name}turn {prepared.number}" + (f", {sent} earlier sent" if sent else "")


def _tokens(usage: Usage) -> list[str]:
    if usage.input_tokens is None and usage.output_tokens is None:
        return []
    parts = [f"{_count(usage.input_tokens)} in / {_count(usage.output_tokens)} out"]
    if usage.cache_read_input_tokens:
        parts.append(f"{usage.cache_read_input_tokens:,} cached")
    return parts


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _price(prepared: Prepared, reply: Reply) -> str:
    known = reply.backend == "minimax"
    dollars = cost(reply.model or prepared.request.model, reply.usage) if known else None
    if dollars is None:
        return "price —"
    return f"${dollars:.4f}" if dollars >= 0.00005 else "under $0.0001"
