"""What to do next, in plain words, for each kind of failure."""

from collections.abc import Sequence

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.failure import CODES
from mm_magic.session import refused_options
from mm_magic.session.options import Options
from mm_magic.transport.endpoint import REGIONS, Endpoint
from mm_magic.wording import option

_AGAIN = "Try again."
_SET_KEY = "Set it with `%minimax key` in a notebook, or MINIMAX_API_KEY in a script."
_SENT = "To see what was sent: `%minimax request`"
_USED = "To see what this notebook has used: `%minimax usage`"
_SHORTER = "Shorten the prompt, or use `--alone` to send no earlier turns."
_WITHOUT_NETWORK = (
    "Without a network, `%minimax replay` answers from a recording, and `%minimax offline` from "
    "the demo."
)


def next_steps(
    error: MiniMaxError,
    endpoint: Endpoint | None,
    models: Sequence[str] = (),
    options: Options | None = None,
) -> tuple[str, ...]:
    """Sentences for the reader of `error`; its own, if it has any.

    `models` are the names that the server offers, where it was asked; `options` are what a turn
    was asked with.
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
            return _billing(error, endpoint)
        case "permission":
            return ("`%minimax models` lists the models; choose another one with `-m NAME`.",)
        case "not_found":
            return _not_found(models)
        case "rate_limit":
            return _rate_limit(error)
        case "overloaded":
            return (
                "Wait a little, then try again. Other models may be less busy; "
                "`%minimax models` lists them.",
            )
        case "too_large":
            return (_SHORTER, *_refused(error, options))
        case "bad_request":
            return _bad_request(error, options)
        case "protocol" | "server" if error.retryable or error.reply:
            return (_AGAIN,)
        case _ if error.request_id:
            return ("If it keeps happening, send the request ID below to the service's support.",)
        case _:
            return (_AGAIN,)


def _auth(endpoint: Endpoint | None) -> tuple[str, ...]:
    if endpoint is not None and endpoint.key is None:
        steps = [f"No key was sent, and this server needs one. {_SET_KEY}"]
    else:
        steps = [f"Check the key. {_SET_KEY}"]
    if endpoint is not None and endpoint.host in REGIONS:
        region = REGIONS[endpoint.host]
        other = "https://api.minimaxi.com/anthropic"
        if region != "global":
            other = "https://api.minimax.io/anthropic"
        steps.append(
            f"A key works only in its own region, and this is the {region} address. "
            f"For a key from the other region, set MINIMAX_BASE_URL={other}"
        )
    return tuple(steps)


def _billing(error: MiniMaxError, endpoint: Endpoint | None) -> tuple[str, ...]:
    """A key of MiniMax draws on one sort of money, and is refused though there is another sort."""
    if endpoint is not None and endpoint.backend != "minimax" and error.code != 1008:
        return (f"Top up the account at {endpoint.host}, then try again.",)
    match endpoint.key_kind if endpoint else "":
        case "sk-api-":
            return (
                "Your key begins with `sk-api-`, so it draws on the account's balance. "
                "Top up the balance on MiniMax's site, then try again.",
                f"If you have a subscription plan, use a key that begins with `sk-cp-`. {_SET_KEY}",
            )
        case "sk-cp-":
            return (
                "Your key begins with `sk-cp-`, so it draws on a subscription plan. "
                "Renew the plan on MiniMax's site, then try again.",
                f"If the account has a balance, use a key that begins with `sk-api-`. {_SET_KEY}",
            )
    return (
        "Top up the account on MiniMax's site, then try again.",
        "There are two kinds of key: `sk-api-…` draws on the balance, `sk-cp-…` on a subscription "
        f"plan. Use a key of the kind that you have paid for. {_SET_KEY}",
    )


def _rate_limit(error: MiniMaxError) -> tuple[str, ...]:
    """A limit that ends by itself soon, or a quota: MiniMax's code tells, after an answer began."""
    meaning = CODES.get(error.code or 0)
    if error.code == 2056:
        return "Wait until the time given in the message, or choose another plan.", _USED
    if meaning is not None and not meaning.retryable:
        return "Wait until the quota resets, or choose a larger plan on MiniMax's site.", _USED
    if error.code == 1039:
        return "Wait a minute, then try again.", "To use fewer tokens: `%%minimax --alone`"
    return ("Wait a minute, then try again.",)


def _bad_request(error: MiniMaxError, options: Options | None) -> tuple[str, ...]:
    if error.code in (1026, 1027):
        return ("Rephrase the prompt: the service filters some topics.", _SENT)
    return (*_refused(error, options), _SENT)


def _refused(error: MiniMaxError, options: Options | None) -> tuple[str, ...]:
    """The line that works, where the server says which option it refuses."""
    found = refused_options.lines(error, options) if options else ()
    return tuple(_both(line) for line in found)


def _both(line: str) -> str:
    return f"For this cell: `%%minimax {line}`; for all cells: `%minimax {line}`"


def _not_found(models: Sequence[str]) -> tuple[str, ...]:
    if not models:
        return (
            "Check the model's name, and MINIMAX_BASE_URL.",
            "`%minimax models` lists the models.",
        )
    offers = f"The server offers: {', '.join(models)}"
    if (line := option("-m", "--model", models[0])) is None:
        return (offers,)
    return (offers, _both(line))
