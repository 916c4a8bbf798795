"""The rows of what is drawn, remembered and sent again, without a browser or a clock."""

import gc
import json
import time
import tracemalloc
from collections import Counter

from support.asks import ask_of

from bench.table import Row
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.jupyter.views.finished import status_of
from mm_magic.jupyter.views.page import Live
from mm_magic.protocol.messages import Message, TextBlock, Usage
from mm_magic.rendering.bundles import Bundle
from mm_magic.session.options import Options
from mm_magic.session.session import Session

TOKENS = 20_000
TOKENS_A_SECOND = 100
TURNS = 1_000
_PART = """\
The sky is *blue* because `air` scatters short waves more: the intensity is $I(\\lambda) \\sim
\\lambda^{-4}$, so that violet and blue light come from **all** sides. Sunsets are red for the same
reason: what is left of the light has come a long way through the air.

- the light of the sun holds all colours
- the short waves are scattered four to nine times more

```python
for wavelength in range(400, 700, 50):
    print(wavelength, (400 / wavelength) ** 4)
```

"""


def rows(*, is_short: bool) -> list[Row]:
    """Measure all of them. They take about 10 s."""
    return [*_drawing(), *_conversation(15 if is_short else 60)]


class _Screen:
    """Counts what a front end would be sent, under a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: dict[str, Bundle] = {}
        self.bytes = 0
        self.messages: Counter[int] = Counter()  # in each second

    def clock(self) -> float:
        return self.now

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        assert update == (slot in self.shown)
        self.shown[slot] = bundle
        self.bytes += len(json.dumps(bundle, ensure_ascii=False).encode())
        self.messages[int(self.now)] += 1


def _answer(tokens: int) -> str:
    """Prose, formulas, lists and code; four characters are a token."""
    return (_PART * (tokens * 4 // len(_PART) + 1))[: tokens * 4]


def drawn(text: str, status: Bundle) -> _Screen:
    """A screen to which an answer was drawn as it grew, with this status below it."""
    screen, ticks = _Screen(), 0
    live = Live(screen, clock=screen.clock)
    for at in range(0, len(text), 4):
        live.update("", text[at : at + 4])
        screen.now += 1 / TOKENS_A_SECOND
        while ticks * 0.05 <= screen.now:
            live.tick("")
            ticks += 1
    live.finish(status)
    return screen


def _drawn(tokens: int) -> _Screen:
    text = _answer(tokens)
    return drawn(text, status_of(commit(session(), "Why is the sky blue?", text), None, []))


def _drawing() -> list[Row]:
    begin = time.process_time()
    short, long = _drawn(TOKENS // 10), _drawn(TOKENS)
    seconds = time.process_time() - begin
    what = f"drawing {TOKENS:,} tokens at {TOKENS_A_SECOND} a second"
    busiest = max(long.messages.values())
    return [
        Row(
            f"{what}: bytes to the front end",
            f"{long.bytes / 1e6:.1f} MB",
            f"CPU {seconds:.1f} s",
            long.bytes / TOKENS,
            260,
            "B a token",
        ),
        Row(
            f"{what}: bytes against a tenth of the tokens",
            f"{long.bytes / 1e3:.0f} kB",
            f"{short.bytes / 1e3:.0f} kB",
            long.bytes / short.bytes,
            10,
        ),
        Row(
            f"{what}: messages in the busiest second",
            f"{sum(long.messages.values()):,} in all",
            "–",
            busiest,
            10,
            "a second",
        ),
    ]


def session() -> Session:
    return Session({"MINIMAX_BASE_URL": "http://127.0.0.1:9"})  # to which nothing is sent


def commit(session: Session, prompt: str, text: str, model: str = "bench") -> Turn:
    """A turn of the conversation "main", as a cell of its own would make it."""
    session.cells.begin(f"cell-{prompt}")
    prepared = session.turns.request(ask_of(prompt, Options(model=model)))
    message = Message("id", model, content=(TextBlock(text),), usage=Usage(12, 250))
    turn = prepared.turn(Reply(message, "complete", "url", None))
    return session.conversations.commit(turn)


def _conversation(rounds: int) -> list[Row]:
    gc.collect()
    tracemalloc.start()
    try:
        here = session()
        for turn in range(TURNS):
            commit(here, f"Question {turn}: {'why? ' * 30}", f"Answer {turn}. " * 65)
        options = Options(model="bench")
        prepared = here.turns.request(ask_of("And now?", options))
        prepared.request.encode()
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()
    ours, plain = [], []
    body = prepared.request.to_body()
    for _ in range(rounds):
        begin = time.process_time()
        here.turns.request(ask_of("And now?", options)).request.encode()
        middle = time.process_time()
        json.dumps(body, ensure_ascii=False).encode()
        ours.append(middle - begin)
        plain.append(time.process_time() - middle)
    size = len(prepared.request.encode())
    return [
        Row(
            f"building the request, {TURNS:,} turns of history, {size / 1e6:.1f} MB",
            f"{min(ours) / TURNS * 1e6:.2f} µs a turn",
            f"json.dumps {min(plain) / TURNS * 1e6:.2f} µs",
            min(ours) / min(plain),
            0.4,
            "x of json.dumps",
        ),
        Row(
            f"memory of a conversation of {TURNS:,} turns of 1 kB",
            f"{memory:.1f} MB",
            "–",
            memory,
            10,
            "MB",
        ),
    ]
