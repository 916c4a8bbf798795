"""What is asked, in short: for tests that ask a session or a client directly."""

from mm_magic.prompt.prompt import Asked, Prompt
from mm_magic.protocol.request import Request, encode_message
from mm_magic.session.options import Options
from mm_magic.session.turn_request import Ask


def ask_of(
    prompt: Asked, options: Options | None = None, *, alone: bool = False, is_cell: bool = True
) -> Ask:
    """What a `%%minimax` cell asks, or a call from Python."""
    return Ask(Prompt.of(prompt), options or Options(), alone, is_cell)


def said(**given: object) -> Options:
    """The options of a notebook that set these."""
    return Options().overridden(given)


def request_of(prompt: str, *, model: str = "MiniMax-M2.7", **parameters: object) -> Request:
    """A streamed request of one prompt."""
    return Request([encode_message("user", prompt)], {"model": model, "stream": True, **parameters})
