"""`%minimax …`: the commands of the line magic. Each prints plain text."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from textwrap import dedent
from typing import TYPE_CHECKING

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.history import links_of
from mm_magic.conversation.model_facts import MODELS
from mm_magic.conversation.turn import Link, Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter import mistakes as slips
from mm_magic.jupyter.arguments import COMMANDS, parse_request, request_help
from mm_magic.jupyter.commands.history import Remember
from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.views.finished import show
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.request import Request
from mm_magic.session.next_steps import next_steps
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.session.turn_request import TurnRequest
from mm_magic.session.who_answers import (
    TypedKey,
    anthropic_hint,
    clean_key,
    keyless_endpoint,
)
from mm_magic.transport.endpoint import REGIONS, Endpoint
from mm_magic.wording import json_text, option, plain

if TYPE_CHECKING:
    from mm_magic.jupyter.commands.recording import Taping
    from mm_magic.jupyter.panel.panel import Panels

EXAMPLES = """\
Try, each in a cell of its own:
  %%minimax                     ask: the prompt goes on the lines below
  %%minimax -t 0.3 --alone      colder, and without the earlier turns
  %%minimax -s "Be brief"       with a system prompt
  %minimax -m MiniMax-M2.5      another model, from now on
  %minimax request              what was sent, to the letter
%%minimax? explains every option."""

_PYTHON = ("", "python", "py")  # what a model writes behind the fence of Python code


class Commands:
    """The commands by name; `words` are what follows the name."""

    def __init__(self, shell: InteractiveShell, session: Session, settings: MiniMax) -> None:
        self._shell = shell
        self._session = session
        self._settings = settings
        self._remember = Remember(shell, session)
        self._panels: Panels = {}
        homes = (self, self._remember)
        self.by_name: Mapping[str, Callable[[Sequence[str]], None]] = {
            name: next(getattr(home, name) for home in homes if hasattr(home, name))
            for name in COMMANDS
        }

    def run(self, words: Sequence[str], line: str) -> None:
        """Run the command that `words` begins with; `line` is all behind `%minimax`."""
        command = self.by_name.get(words[0])
        if command is None:
            raise slips.no_command(words, line, COMMANDS)
        command(words[1:])

    def state(self) -> None:
        """`%minimax`: who answers, with what settings, and what to try."""
        options = self._session.options
        print(f"Who answers: {self.who()}")
        settings = (
            f"model {options.model} · temperature {options.temperature:g} · top_p "
            f"{options.top_p:g} · max_tokens {options.max_tokens} · thinking {options.thinking}"
            + (f" · system {options.system!r}" if options.system else "")
        )
        print(plain(settings))
        for name, conversation in self._session.conversations.items():
            count = len(conversation.visible)
            print(f"conversation {plain(name)}: {count} turn{'' if count == 1 else 's'}")
        if (recorder := self._session.recorder) is not None:
            print(plain(f"Recorded in {recorder.name}: {recorder.count} new since it began"))
        if hint := anthropic_hint(self._session.who.environ):
            print(hint)
        if _nesting_is_on():
            print("Event loops of this kernel can be nested; %unload_ext does not undo that.")
        print(EXAMPLES)
        if self._session.replaying is None and self._session.who.endpoint() is None:
            self._list_demos()

    def who(self) -> str:
        """Who answers now, in a few words."""
        if (replaying := self._session.replaying) is not None:
            return plain(replaying.in_words())
        endpoint = self._session.who.endpoint()
        if endpoint is None:
            chosen = "" if self._session.who.choice == "auto" else ", as chosen"
            return f"the offline demo (no language model{chosen})"
        key = "with a key" if endpoint.key else "without a key"
        region = f", {REGIONS[endpoint.host]}" if endpoint.host in REGIONS else ""
        return f"{endpoint.base_url} ({key}{region})"

    def panel(self, _words: Sequence[str]) -> None:
        """`%minimax panel`: the settings as sliders and menus."""
        from mm_magic.jupyter.panel.panel import show_panel

        show_panel(self._shell, self._session, self._settings, self._panels)

    def close(self) -> None:
        """Take all panels off their pages; what stays is their summary."""
        while self._panels:
            self._panels.popitem()[1].close()

    def record(self, words: Sequence[str]) -> None:
        """`%minimax record FILE`: write each request and its answer into a file."""
        self._taping().record(words)

    def replay(self, words: Sequence[str]) -> None:
        """`%minimax replay [FILE]`: a recording answers, or this notebook's own turns."""
        self._taping().replay(words)

    def usage(self, _words: Sequence[str]) -> None:
        """`%minimax usage`: tokens and price so far."""
        print("\n".join(self._session.meter.lines()))

    def models(self, _words: Sequence[str]) -> None:
        """`%minimax models`: what the server offers; the known names where nobody can be asked."""
        if self._session.who.endpoint() is None:
            print("Known models (the offline demo answers under any name):")
            print("\n".join(f"  {name}" for name in MODELS))
            return
        for name in self._listed():
            is_used = name == self._session.options.model
            print(f"  {plain(name)}" + ("  (in use)" if is_used else ""))

    def key(self, words: Sequence[str]) -> None:
        """`%minimax key`: ask for the key without showing it; it stays in memory only."""
        if words:
            raise slips.key_in_cell()
        session = self._session
        host = keyless_endpoint(session.who.environ).host
        secret = clean_key(self._typed())
        if secret is None:
            raise UsageError("no key was given; nothing has changed")
        before = session.who.typed_key, session.who.choice
        session.who.typed_key = TypedKey(secret, host)
        session.who.choice = "live"
        try:
            self._check(session.who.endpoint())
        except (MiniMaxError, KeyboardInterrupt):
            session.who.typed_key, session.who.choice = before
            raise
        session.tell()

    def request(self, words: Sequence[str]) -> None:
        """`%minimax request [N] [--events]`: the exact JSON that was sent last, or for turn N."""
        given = parse_request(words)
        if given.help:
            print(request_help())
            return
        turn = None if given.number is None else self._remember.turn(given.number)
        if given.events:
            self._events(turn)
            return
        if turn is None:
            print(self._last().in_words())
            return
        now = self._session.history_now(turn)
        sent = (
            now.link if turn.link is None and turn.context_hash == now.context_hash else turn.link
        )
        if sent is None:
            print("What was sent is not known any more: earlier turns have changed since.")
        else:
            print(json_text(_body(turn, sent)))
        if sent is None or sent.context_hash != now.context_hash:
            print("\nIf the cell ran again now, it would send:")
            print(json_text(_body(turn, now.link)))

    def _events(self, turn: Turn | None) -> None:
        """The request of a turn, or the last one, beside what came for it."""
        from mm_magic.rendering.exchange_view import wire_bundle

        exchanges = self._session.recent
        kept = exchanges.to(self._last()) if turn is None else exchanges.of_turn(turn.id)
        if kept is None:
            raise UsageError(
                "no answer has come" if turn is None else "what came for it is not known any more",
                next_steps=("Run its cell again: the last few answers are kept as they came.",),
            )
        endpoint = kept.of.endpoint
        key = endpoint.key.reveal() if endpoint and endpoint.key else ""
        show(self._shell, wire_bundle(kept.of.in_words(), kept, key))

    def _last(self) -> TurnRequest:
        if self._session.last is None:
            raise UsageError(
                "nothing was sent yet",
                next_steps=("`%%minimax --dry-run` shows what a cell would send.",),
            )
        return self._session.last

    def code(self, words: Sequence[str]) -> None:
        """`%minimax code [N]`: this cell becomes the Python code of the answer. It is not run."""
        turn = self._remember.turn(words[0]) if words else self._session.last_turn
        if turn is None:
            raise UsageError("there is no answer yet")
        from mm_magic.rendering.markdown import code_blocks

        # It is made plain there: what reorders or hides code is seen in it.
        found = code_blocks(turn.reply.text)
        blocks = [dedent(code) for language, code in found if language in _PYTHON]
        if not blocks:
            raise UsageError("the answer holds no Python code")
        self._shell.set_next_input("\n".join(blocks).rstrip("\n"), replace=True)

    def offline(self, _words: Sequence[str]) -> None:
        """`%minimax offline`: the demo answers, on purpose."""
        self._session.who.choice = "offline"
        self._session.replay(None)
        can_go_back = self._session.who.has_server()
        way = "`%minimax live` goes back." if can_go_back else "`%minimax key` adds a key."
        print(f"From now on {self.who()} answers. {way}")

    def live(self, _words: Sequence[str]) -> None:
        """`%minimax live`: a real server answers."""
        before, self._session.who.choice = self._session.who.choice, "live"
        try:
            self._session.who.endpoint()
        except MiniMaxError:
            self._session.who.choice = before
            raise
        self._session.replay(None)
        print(f"From now on {self.who()} answers.")

    def _typed(self) -> str:
        import getpass  # with termios, 2 ms that only a typed key costs

        try:
            return getpass.getpass("MiniMax API key (it is not shown or saved): ")
        except (StdinNotImplementedError, EOFError):
            raise UsageError(
                "nobody is here to type a key",
                next_steps=("Set the environment variable MINIMAX_API_KEY before the run.",),
            ) from None

    def _check(self, endpoint: Endpoint | None) -> None:
        """Try the key by listing the models, and say what it is good for."""
        assert endpoint is not None
        region = REGIONS.get(endpoint.host)
        where = f"{endpoint.host} ({region})" if region else endpoint.host
        try:
            offered = self._listed()
        except MiniMaxError as error:
            if error.kind == "auth":
                raise
            print(f"The key is kept for {where}, unchecked: {plain(error.message)}.")
            return
        model = self._session.options.model
        print(f"The key works at {where}; it stays in memory only.")
        if offered and model not in offered:
            print(f"{model} is not served. The server offers: {plain(', '.join(offered))}")
            if line := option("-m", "--model", offered[0]):
                print(f"  %minimax {line}")
        elif offered:
            print(f"{model} is served.")

    def _listed(self) -> list[str]:
        endpoint = self._session.who.endpoint()
        try:
            offered = run_to_end(self._session.models())
        except MiniMaxError as error:
            error.next_steps = next_steps(error, endpoint)
            raise
        self._session.offered_models = offered
        return offered

    def _taping(self) -> "Taping":
        from mm_magic.jupyter.commands.recording import Taping

        return Taping(self._shell, self._session)

    def _list_demos(self) -> None:
        from mm_magic.transport.demo.offline import DEMOS

        print("The demo also has prompts to practise with:")
        width = max(map(len, DEMOS))
        print("\n".join(f"  {name:<{width}}  {text}" for name, text in DEMOS.items()))


def _body(turn: Turn, link: Link) -> JsonObject:
    """The request of a turn behind these earlier ones."""
    messages = [*(each.messages for each in links_of(link)), turn.prompt.encode()]
    return Request(messages, turn.parameters).to_body()


def _nesting_is_on() -> bool:
    return hasattr(asyncio, "_nest_patched")  # nest_asyncio2's own mark
