"""The line that works, where a server's words say which option it refuses."""

import re
from collections.abc import Iterator

from mm_magic.conversation.catalog import default_max_tokens
from mm_magic.errors import MiniMaxError
from mm_magic.session.options import BY_NAME, Options

# The words by which a server names an option: mostly the field of the request.
_NAMED = {
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "top_p": re.compile(r"\btop[ _-]?p\b", re.IGNORECASE),
    "effort": re.compile(r"\b(output_config|effort)\b", re.IGNORECASE),
    "thinking": re.compile(r"\bthinking\b", re.IGNORECASE),
}
_OF_A_TURN = re.compile(r"signature|thinking.{0,3} blocks?\b|\bmessages\b", re.IGNORECASE)
_DEMANDED = re.compile(r"\b(requires?|required|must|needs?|only)\b", re.IGNORECASE)
_MAX_TOKENS = re.compile(r"\bmax[ _-]?(\w+[ _-])?tokens\b|\boutput tokens\b", re.IGNORECASE)
_TOO_MANY = re.compile(r"exceed|too (large|high|big|many)|at most|maximum|less", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,-])\d[\d,]*(?![\w.]*\w)")


def lines(error: MiniMaxError, options: Options) -> list[str]:
    """What to write behind `%%minimax` so that the request is taken; [] where that is not told."""
    message = error.message.replace(f"({error.code})", "")
    unset = " ".join(_unset(message, options))
    return [line for line in (unset, _fewer_tokens(error, message, options)) if line]


def _unset(message: str, options: Options) -> Iterator[str]:
    """The options that the server names, as they are where nobody sets them."""
    for name, words in _NAMED.items():
        row = BY_NAME[name]
        if not words.search(message) or (name == "thinking" and _OF_A_TURN.search(message)):
            continue
        if getattr(options, name) != row.default:
            yield f"{row.flags[0]} {row.text(row.default)}"
        elif name == "thinking" and "thinking" in options.parameters():
            yield "--thinking disabled"
        elif name == "thinking" and _DEMANDED.search(message):
            yield "--thinking adaptive"


def _fewer_tokens(error: MiniMaxError, message: str, options: Options) -> str:
    """The largest max_tokens that the message allows; "N" where it doesn't tell.

    Where the prompt and the answer don't fit into the model's window together, no number in the
    message is the one that works.
    """
    if not _MAX_TOKENS.search(message):
        return ""
    sent = options.max_tokens or default_max_tokens(options.model)
    found = (int(number.replace(",", "")) for number in _NUMBER.findall(message))
    limit = max((n for n in found if 1 < n < sent and n != error.status), default=0)
    if error.kind == "too_large" or (not limit and _TOO_MANY.search(message)):
        return "--max-tokens N"
    return f"--max-tokens {limit}" if limit else ""
