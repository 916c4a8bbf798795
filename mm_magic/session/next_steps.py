"""What to do next, in plain words, for each kind of failure."""

from collections.abc import Sequence

from mm_magic.errors import MiniMaxError
from mm_magic.transport.endpoint import REGIONS, Endpoint
from mm_magic.wording import option

_AGAIN = "Try again."
_WITHOUT_NETWORK = (
    "Without a network: `%minimax replay` shows recorded answers again, and `%minimax offline` "
    "lets the demo answer."
)


def next_steps(
    error: MiniMaxError, endpoint: Endpoint | None, models: Sequence[str] = ()
) -> tuple[str, ...]:
    """Sentences for the reader of `error`; its own, if it has any.

    `models` are the names that the server offers, where it was asked.
    """
    if error.kind in ("connection", "timeout"):
        own = [step for step in error.next_steps if step != _WITHOUT_NETWORK]
        return (*(own or [_AGAIN]), _WITHOUT_NETWORK)
    if error.next_steps:
        return error.next_steps
    match error.kind:
        case "auth":
            return _auth(endpoint)
        case "billing":
            return ("Top up the account on MiniMax's site, then try again.",)
        case "permission":
            return ("`%minimax models` lists the models; choose another one with `-m NAME`.",)
        case "not_found":
            return _not_found(models)
        case "rate_limit" if not error.retryable:
            return ("Wait until the time that the message names, or choose another plan.",)
        case "rate_limit":
            return ("Wait a minute, then try again.",)
        case "overloaded":
            return ("Wait a little, then try again, or ask another model.",)
        case "too_large":
            return ("Shorten the prompt, or send no earlier turns (--alone).",)
        case "bad_request" if error.code in (1026, 1027):
            return ("Say it in other words: the service filters some subjects.",)
        case "bad_request":
            return ("`%minimax request` shows what was sent.",)
        case "protocol" | "server" if error.retryable or error.reply:
            return (_AGAIN,)
        case _ if error.request_id:
            return ("If it lasts, tell the service's support the request id below.",)
        case _:
            return (_AGAIN,)


def _auth(endpoint: Endpoint | None) -> tuple[str, ...]:
    if endpoint is not None and endpoint.key is None:
        steps = ["No key was sent, and this server wants one: `%minimax key`, or MINIMAX_API_KEY."]
    else:
        steps = ["Check the key: `%minimax key` in a notebook, MINIMAX_API_KEY in a script."]
    if endpoint is not None and endpoint.host in REGIONS:
        region = REGIONS[endpoint.host]
        other = "https://api.minimaxi.com/anthropic"
        if region != "global":
            other = "https://api.minimax.io/anthropic"
        steps.append(
            f"Keys are per region, and this address is the {region} one. "
            f"For a key of the other region: MINIMAX_BASE_URL={other}"
        )
    return tuple(steps)


def _not_found(models: Sequence[str]) -> tuple[str, ...]:
    if not models:
        return (
            "Check the model's name, and MINIMAX_BASE_URL.",
            "`%minimax models` lists the models.",
        )
    offers = f"The server offers: {', '.join(models)}"
    if (line := option("-m", "--model", models[0])) is None:
        return (offers,)
    return (offers, f"For this cell: `%%minimax {line}`; for all: `%minimax {line}`")
