"""`%minimax` alone: which model answers, with what settings, and what to try."""

import asyncio

from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.who_answers import who_answers
from mm_magic.session.options import ROWS, UNSET, Options
from mm_magic.session.who_answers import anthropic_hint
from mm_magic.wording import counted, plain

EXAMPLES = """\
Try, each in a cell of its own:
  %%minimax                     ask: the prompt goes on the lines below
  %%minimax -t 0.3 --alone      colder, and without the earlier turns
  %%minimax -s "Be brief"       with a system prompt
  %minimax -m MiniMax-M2.5      another model, from now on
  %minimax request              what was sent, to the letter
%%minimax? explains every option."""


def show_state(here: Here) -> None:
    """Print it."""
    session = here.session
    print(f"Who answers: {who_answers(session)}")
    print(plain(settings_in_words(session.options)))
    for name, conversation in session.conversations.items():
        print(f"conversation {plain(name)}: {counted(len(conversation.visible), 'turn')}")
    if (recorder := session.recorder) is not None:
        print(plain(f"Recorded in {recorder.name}: {recorder.count} new since it began"))
    if hint := anthropic_hint(session.who.environ):
        print(hint)
    if hasattr(asyncio, "_nest_patched"):  # nest_asyncio2's own mark
        print("Event loops of this kernel can be nested; %unload_ext does not undo that.")
    print(EXAMPLES)
    if session.replaying is None and session.who.endpoint() is None:
        _list_demos()


def settings_in_words(options: Options) -> str:
    """The settings that a request holds, in one line; "default" for one that is not set."""
    sent = [row for row in ROWS if row.wire and row.in_key]
    parts = []
    for row in sent:
        value = getattr(options, row.name)
        if value != "":
            shown = f"{value:g}" if isinstance(value, float) else value
            parts.append(f"{row.name} {UNSET if value is None else shown}")
    return " · ".join(parts)


def _list_demos() -> None:
    from mm_magic.transport.demo.offline import DEMOS

    print("The demo also has prompts to practise with:")
    width = max(map(len, DEMOS))
    print("\n".join(f"  {name:<{width}}  {text}" for name, text in DEMOS.items()))
