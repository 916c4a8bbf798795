"""One notebook in a real kernel whose cells run at random for as long as one likes.

The server answers "Say oak" with "<Say oak>", so the oracle is short: what each cell holds, and
that a cell's request carries what the cells above it hold.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from support.kernels import Cell, Kernel
from support.left import LOAD, LOOK_AT_IT, Left
from support.loopback import Connection, Loopback, captured, chunk, head, reset, sse, stall
from support.pages import Page
from support.rows import echo, prompt_of
from support.soak import Watched

CELLS = "abcdefgh"
TABLE = "m"  # the cell of tables: it makes no turn
WORDS = ("oak", "elm", "fir", "ash", "yew", "lime", "alder", "beech", "rowan", "cedar")
HALF = "Half an answer"
_LISTEN = """
import logging
from mm_magic.session.api import session
_heard = []
class _Hearing(logging.Handler):
    def emit(self, record):
        _heard.append(record.getMessage())
logging.getLogger("asyncio").addHandler(_Hearing(logging.WARNING))
sys.unraisablehook = lambda raised: _heard.append(repr(raised.exc_value))
threading.excepthook = lambda raised: _heard.append(repr(raised.exc_value))
"""
_TURNS = """
await session().client.aclose()  # what is kept open for the next request
print(json.dumps({
    "heard": _heard,
    "running": len(session().running.runs),
    "turns": [[t.prompt.text, t.reply.text.strip()] for c in session().conversations.values()
              for t in c.turns],
}))
"""


def answer(connection: Connection) -> None:
    """Echo; to "hang" comes half an answer, and to "tear" half an answer and a reset."""
    prompt = prompt_of(connection)
    if "hang" not in prompt and "tear" not in prompt:
        echo(connection)
        return
    head()(connection)
    chunk(sse(*captured(text=HALF)[:8]))(connection)
    (stall if "hang" in prompt else reset)(connection)


def texts(request: Any) -> list[str]:
    """The texts of a request's messages, in order."""
    found: list[str] = []
    for message in request["messages"]:
        content = message["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        found += [block["text"].strip() for block in blocks if "text" in block]
    return found


class LivingNotebook:
    """A notebook, its kernel, and its server. What happens is counted in `met`.

    `turns` has for each cell its prompt and its answer, in the order in which they ran first.
    """

    def __init__(self, folder: Path, met: Counter[str]) -> None:
        self._met = met
        self._answer = Watched(answer)
        self._server = Loopback(self._answer)
        path = folder / "lesson.ipynb"
        data = folder / "data"
        environment = {"JUPYTER_DATA_DIR": str(data), "MINIMAX_BASE_URL": self._server.url}
        self._kernel = Kernel(folder, environment | {"JPY_SESSION_NAME": str(path)})
        self._page = Page(path, data, self._kernel)
        self.turns: dict[str, tuple[str, str]] = {}
        self._rows: dict[str, str] = {}  # that this kernel has
        self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._kernel.close()
        self._server.close()

    def step(self, chance: Random) -> None:
        """Something that a user does; then all must be as the rules say."""
        weights: dict[Callable[[Random], None], int] = {
            self._ask: 10,
            self._compare: 3,
            self._fail: 3,
            self._stop: 2,
            self._map: 2,
            self._stop_map: 1,
            self._save: 1,
            self._panel: 1,
        }
        (chosen,) = chance.choices([*weights], [*weights.values()])
        self._met["cells"] += 1
        chosen(chance)

    def look(self) -> Left:
        """What the kernel has; and its conversation is the one that it must be."""
        found = json.loads(self._kernel.run(_TURNS).stdout)
        expected = {"heard": [], "running": 0, "turns": [*map(list, self.turns.values())]}
        assert found == expected
        return Left(after=self._met["cells"], **json.loads(self._kernel.run(LOOK_AT_IT).stdout))

    def restart(self) -> None:
        """Save, restart the kernel, and go on with what the file holds."""
        self._save()
        self._kernel.restart()
        self._met["restarts"] += 1
        self._rows = {}
        self._load()
        self.look()

    def _load(self) -> None:
        self._page.run("load", "%load_ext mm_magic")
        self._kernel.run(LOAD + _LISTEN)

    def _ask(self, chance: Random) -> None:
        cell, prompt = chance.choice(CELLS), f"Say {chance.choice(WORDS)}"
        self._run(cell, prompt)
        self.turns[cell] = prompt, f"<{prompt}>"

    def _compare(self, chance: Random) -> None:
        cell, prompt = chance.choice(CELLS), f"Say {chance.choice(WORDS)}"
        options, number = chance.choice([("-n 2", 2), ("-t 0.1,0.5,1", 3)])
        self._run(cell, prompt, options, number=number)
        self.turns[cell] = prompt, f"<{prompt}>"
        self._met["compares"] += 1

    def _fail(self, chance: Random) -> None:
        """The cell keeps the turn that it had."""
        prompt = chance.choice(("boom", "tear"))
        ran = self._run(chance.choice(CELLS), prompt)
        assert ran.status == "error"
        self._met["faults"] += 1

    def _stop(self, chance: Random) -> None:
        cell = chance.choice(CELLS)
        ran = self._run(cell, "hang", when=lambda ran: HALF in str(ran.displays))
        assert ran.ename == "Stopped"
        self.turns[cell] = "hang", HALF
        self._met["stopped"] += 1

    def _map(self, chance: Random) -> None:
        words = chance.sample(WORDS, chance.randint(1, 8))
        new = [word for word in words if word not in self._rows]
        ran = self._run_rows(words, new)
        assert ran.status == "ok"
        self._rows |= dict.fromkeys(words, "")

    def _stop_map(self, chance: Random) -> None:
        """Stopped when one row hangs and all others have their answers."""
        words = [*chance.sample(WORDS, chance.randint(1, 7)), "hang"]
        new = [word for word in words if word not in self._rows]
        done = f"{len(words) - 1} of {len(words)}"
        ran = self._run_rows(words, new, when=lambda ran: done in str(ran.displays))
        assert ran.ename == "Stopped"
        self._rows |= dict.fromkeys(words[:-1], "")
        self._met["stopped"] += 1

    def _panel(self, _chance: Random) -> None:
        assert self._page.run("p", "%minimax panel").status == "ok"

    def _save(self, _chance: Random | None = None) -> None:
        self._page.save()
        self._met["saves"] += 1

    def _run(
        self,
        cell: str,
        prompt: str,
        options: str = "",
        *,
        number: int = 1,
        when: Callable[[Cell], bool] | None = None,
    ) -> Cell:
        """Run a cell that asks; it asks so often, behind the turns of the cells above it."""
        above = [*self.turns]
        above = above[: above.index(cell)] if cell in above else above
        carried = [text for each in above for text in self.turns[each]]
        ran = self._page.ask(cell, prompt, options, when=when)
        self._check_requests([[*carried, prompt]] * number)
        return ran

    def _run_rows(
        self, words: Sequence[str], new: Sequence[str], when: Callable[[Cell], bool] | None = None
    ) -> Cell:
        self._kernel.run(f"trees = [{{'word': word}} for word in {words!r}]")
        ran = self._page.ask(TABLE, "Say {{word}}", "--rows trees", when=when)
        self._check_requests([[f"Say {word}"] for word in new])
        self._met["maps"] += 1
        self._met["rows"] += len(words)
        return ran

    def _check_requests(self, expected: Sequence[Sequence[str]]) -> None:
        """These texts were sent, and nothing is being answered any more."""
        assert self._answer.is_at_rest(), "the server still answers a request of a cell that ended"
        asked = [each.json for each in self._server.requests if each.method == "POST"]
        found = sorted(map(texts, asked))
        assert found == sorted(map(list, expected)), f"{found} were sent, not {expected}"
        self._met["requests"] += len(asked)
        self._server.requests.clear()
