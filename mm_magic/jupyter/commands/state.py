"""`%minimax` alone: what answers, with which settings, and what to try."""

from collections.abc import Iterator

from mm_magic.jupyter.arguments import in_columns
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.who_answers import anthropic_hint
from mm_magic.wording import counted, plain

EXAMPLES = """\
Try these, each in its own cell:
  %%minimax                     ask: the prompt goes on the lines below
  %%minimax -t 0.3 --alone      less random, and without the earlier turns
  %%minimax -s "Be brief"       with a system prompt
  %minimax -m MiniMax-M2.5      another model, from now on
  %minimax request              exactly what was sent
%%minimax? explains every option."""


def show_state(here: Here) -> None:
    """Print it."""
    print_lines("\n".join(_lines(here)))


def _lines(here: Here) -> Iterator[str]:
    session = here.session
    yield plain(f"Answering: {session.answering()}")
    yield plain(" · ".join(f"{name} {value}" for name, value in session.options.in_words()))
    for name, conversation in session.conversations.items():
        yield plain(f"conversation {name}: {counted(len(conversation.visible), 'turn')}")
    if (recorder := session.recordings.recorder) is not None:
        yield plain(f"Recording to {recorder.name}: {counted(recorder.count, 'new answer')}")
    if hint := anthropic_hint(session.who.environ):
        yield hint
    yield EXAMPLES
    if session.recordings.replaying is None and session.who.endpoint() is None:
        from mm_magic.transport.demo.offline import DEMOS

        yield "The demo also has practice prompts:"
        yield in_columns([*DEMOS.items()])
