"""What the answers of this kernel came to, model by model."""

from collections.abc import Mapping
from threading import Lock

from mm_magic.conversation.catalog import PRICES_DATE, dollars
from mm_magic.conversation.count import Count, count
from mm_magic.conversation.reply import Reply, has_begun
from mm_magic.transport.endpoint import DEMO_NAME, Backend
from mm_magic.wording import counted, model_name, plain

NOTHING = "no answers yet"
_NO_MODEL = "no answers from a model yet"
_SUFFIX: Mapping[Backend, str] = {"url": " on your own server", "recorded": " from a recording"}


class Meter:
    """Adds up answers, by model and by who answered. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[Backend, str], Count] = {}

    def add(self, reply: Reply, asked: str) -> None:
        """Count an answer of the model `asked`, also a cut one; nothing where none began."""
        if not has_begun(reply):
            return
        backend: Backend = "offline" if reply.is_demo else reply.backend
        who = backend, model_name(reply.model or asked)
        with self._lock:
            self._counts[who] = self._counts.get(who, Count()) + count(reply, asked)

    def total(self) -> Count:
        """All that models answered; the demo, which is none and costs nothing, is not in it."""
        return sum((each for (who, _), each in self._rows() if who != "offline"), Count())

    def summary(self) -> str:
        """One short line, of numbers alone."""
        total = self.total()
        if total.answers:
            return f"{total} (prices as of {PRICES_DATE})" if total.has_price else str(total)
        shown = sum(each.answers for _, each in self._rows())
        return f"{_NO_MODEL}; {shown} from the offline demo" if shown else NOTHING

    def lines(self) -> list[str]:
        """The same in words, model by model, fit for a terminal."""
        rows = sorted(self._rows(), key=lambda row: row[0])
        if not rows:
            return ["No answers yet in this kernel."]
        lines = ["Used in this kernel:"]
        for (backend, model), total in rows:
            if backend == "offline":
                lines.append(f"  {DEMO_NAME}: {_demo(total)}")
            else:
                lines.append(f"  {plain(model)}{_SUFFIX.get(backend, '')}: {total}")
        return [*lines, *_explained(self.total())]

    def _rows(self) -> list[tuple[tuple[Backend, str], Count]]:
        with self._lock:
            return list(self._counts.items())


def _demo(total: Count) -> str:
    return f"{counted(total.answers, 'answer')} · free"


def _explained(total: Count) -> list[str]:
    lines = []
    if total.has_price:
        unknown = f"; “{dollars(None)}” means unknown" if total.unpriced else ""
        lines.append(f"Prices as of {PRICES_DATE}{unknown}.")
    if total.uncounted:
        lines.append(
            "Not counted: the answer was stopped or broke off, or its server does not count tokens."
        )
    return lines
