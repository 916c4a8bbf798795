"""`%minimax key`, `models`, `usage`, `live` and `offline`: which server answers."""

from collections.abc import Collection, Sequence

from IPython.core.error import StdinNotImplementedError

from mm_magic.conversation.catalog import MODELS, PRICES_DATE, find
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.mistakes import key_in_cell
from mm_magic.session.next_steps import next_steps
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.session.who_answers import TypedKey, clean_key, keyless_endpoint
from mm_magic.transport.endpoint import REGIONS, Endpoint
from mm_magic.wording import in_window, option, plain


def usage(here: Here, _words: Sequence[str]) -> None:
    """`%minimax usage`: tokens and cost so far."""
    print(in_window("\n".join(here.session.meter.lines())))


def models(here: Here, _words: Sequence[str]) -> None:
    """`%minimax models`: what the server offers; the known names where none can be asked."""
    session = here.session
    if session.who.endpoint() is None:
        print("Known models (the offline demo answers under any name):")
        _print_models(MODELS, session.options.model)
        return
    _print_models(_listed(session), session.options.model)


def _print_models(names: Collection[str], used: str) -> None:
    """Each name with what is known of it."""
    width = max(map(len, names), default=0)
    for name in names:
        known = find(name)
        facts = [known.in_words() if known else "", "(in use)" if name == used else ""]
        line = f"  {plain(name):{width}}  {' · '.join(filter(None, facts))}"
        print(in_window(line.rstrip()))
    if any(map(find, names)):
        print(f"Prices as of {PRICES_DATE}, in USD per million tokens.")


def key(here: Here, words: Sequence[str]) -> None:
    """`%minimax key`: ask for the key without showing it; it stays in memory only."""
    if words:
        raise key_in_cell()
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
    session.tell()


def offline(here: Here, _words: Sequence[str]) -> None:
    """`%minimax offline`: the demo answers, on purpose."""
    session = here.session
    session.who.choice = "offline"
    session.replay(None)
    can_go_back = session.who.has_server()
    way = "`%minimax live` switches back." if can_go_back else "`%minimax key` adds a key."
    print(in_window(f"From now on `%%minimax` cells go to {session.answering()}. {way}"))


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
    print(in_window(f"From now on `%%minimax` cells go to {plain(session.answering())}."))


def _typed() -> str:
    import getpass  # with termios, 2 ms that only a typed key costs

    try:
        return getpass.getpass("MiniMax API key (it is not shown or saved): ")
    except (StdinNotImplementedError, EOFError):
        raise UsageError(
            "no key can be typed here",
            next_steps=("Set the environment variable MINIMAX_API_KEY before the run.",),
        ) from None


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
        print(
            in_window(
                f"The key for {where} is kept, but could not be checked: {plain(error.message)}."
            )
        )
        return
    model = session.options.model
    print(in_window(f"The key works at {where}; it stays in memory only."))
    if offered and model not in offered:
        told = f"{model} is not in the server's list: {', '.join(offered)}"
        print(in_window(plain(told)))
        if line := option("-m", "--model", offered[0]):
            print(f"  %minimax {line}")
    elif offered:
        print(f"{model} is in the server's list.")


def _listed(session: Session) -> list[str]:
    endpoint = session.who.endpoint()
    try:
        return run_to_end(session.models())
    except MiniMaxError as error:
        error.next_steps = next_steps(error, endpoint)
        raise
