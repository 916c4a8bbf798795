"""`%minimax key`, `models`, `usage`, `live` and `offline`: which server answers."""

from collections.abc import Collection, Sequence

from IPython.core.error import StdinNotImplementedError

from mm_magic.conversation.catalog import MODELS, PRICES_DATE, find
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.mistakes import key_in_cell
from mm_magic.jupyter.views.finished import show, width_of
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.next_steps import next_steps
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.session.who_answers import (
    TypedKey,
    clean_key,
    keyless_endpoint,
    no_server_error,
    odd_key_note,
)
from mm_magic.transport.endpoint import REGIONS, Endpoint
from mm_magic.web_page import in_page
from mm_magic.wording import model_name, option, plain


def usage(here: Here, _words: Sequence[str]) -> None:
    """`%minimax usage`: tokens and cost so far."""
    print_lines("\n".join(here.session.meter.lines()))


_COLUMNS = ("model", "window", "thinking", "images", "price in / out")


def models(here: Here, _words: Sequence[str]) -> None:
    """`%minimax models`: what the server offers; the known names where none can be asked."""
    from mm_magic.rendering.tables import table_bundle

    session, told = here.session, []
    if session.who.endpoint() is None:
        names: Collection[str] = MODELS
        told.append("The offline demo accepts any model name.")
    else:
        names = _listed(session)
    if session.options.model in names:
        told.append(f"In use: {model_name(session.options.model)}.")
    if any(map(find, names)):
        told.append(
            "Context windows are in tokens. "
            f"Prices are in USD per million tokens, as of {PRICES_DATE}."
        )
    rows = [_model_row(name) for name in names]
    show(here.shell, table_bundle(_COLUMNS, rows, told, width=width_of(here.shell)))


def _model_row(name: str) -> list[str]:
    """What is known of a model, under `_COLUMNS`."""
    known = find(name)
    if known is None:
        return [name, "", "", "", ""]
    price = known.price
    return [
        name,
        f"{known.window:,}",
        "unless disabled" if known.thinks_if_asked else "always",
        "yes" if known.sees else "",
        f"${price.input:.2f} / ${price.output:.2f}" if price else "",
    ]


def key(here: Here, words: Sequence[str]) -> None:
    """`%minimax key`: ask for the key without showing it; it stays in memory only."""
    if words:
        raise key_in_cell()
    if in_page():
        raise no_server_error()
    session = here.session
    host = keyless_endpoint(session.who.environ).host
    secret = clean_key(_typed())
    if secret is None:
        raise UsageError("no key was entered; nothing has changed")
    before = session.who.typed_key, session.who.choice
    session.who.typed_key = TypedKey(secret, host)
    session.who.choice = "live"
    try:
        _check(session, session.who.endpoint())
    except (MiniMaxError, KeyboardInterrupt):
        session.who.typed_key, session.who.choice = before
        raise
    print_lines("\n".join(map(plain, _from_now_on(session))))
    session.watchers.tell()


def offline(here: Here, _words: Sequence[str]) -> None:
    """`%minimax offline`: the demo answers, on purpose."""
    session = here.session
    session.who.choice = "offline"
    session.replay(None)
    way = session.who.way_to_model()
    print_lines(f"From now on, `%%minimax` asks {session.answering()}. {way}")


def live(here: Here, _words: Sequence[str]) -> None:
    """`%minimax live`: a real server answers."""
    session = here.session
    before, session.who.choice = session.who.choice, "live"
    try:
        session.who.endpoint()
    except MiniMaxError:
        session.who.choice = before
        raise
    session.replay(None)
    print_lines(f"From now on, `%%minimax` asks {plain(session.answering())}.")


def _typed() -> str:
    import getpass  # with termios, 2 ms that only a typed key costs

    try:
        return getpass.getpass("MiniMax API key (it is not shown or saved): ")
    except (StdinNotImplementedError, EOFError):
        raise UsageError(
            "no key can be typed here",
            next_steps=(
                "Set the environment variable MINIMAX_API_KEY before you run the notebook.",
            ),
        ) from None


def _from_now_on(session: Session) -> list[str]:
    """Where the key is kept, and what answers now that there is one."""
    kept = "The key is kept in this kernel only, in no file."
    if (replaying := session.recordings.replaying) is not None:
        return [f"{kept} Answers still come from {replaying.in_words()}. "
                f"`%minimax live` asks {session.who.in_words()}."]  # fmt: skip
    return [
        f"{kept} From now on, `%%minimax` asks {session.who.in_words()}. "
        "`%minimax offline` switches to the demo."
    ]


def _check(session: Session, endpoint: Endpoint | None) -> None:
    """Try the key by listing the models, and say what it is good for."""
    assert endpoint is not None
    region = REGIONS.get(endpoint.host)
    where = f"{endpoint.host} ({region})" if region else "your own server"
    try:
        offered = _listed(session)
    except MiniMaxError as error:
        if error.kind == "auth":
            raise
        print_lines(plain(f"The key for {where} could not be checked: {error.message}."))
        if odd := odd_key_note(endpoint):
            print_lines(odd)
        return
    model = session.options.model
    print_lines(f"The key works with {where}.")
    if offered and model not in offered:
        told = f"{model} is not in the server's list: {', '.join(offered)}"
        print_lines(plain(told))
        if line := option("-m", "--model", offered[0]):
            print_lines(f"  %minimax {line}")
    elif offered:
        print_lines(f"{model} is in the server's list.")


def _listed(session: Session) -> list[str]:
    endpoint = session.who.endpoint()
    try:
        return run_to_end(session.models.ask(session.client))
    except MiniMaxError as error:
        error.next_steps = next_steps(error, endpoint)
        raise
