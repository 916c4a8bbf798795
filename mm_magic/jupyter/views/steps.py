"""Draws a turn in which the model calls functions: each answer of it in a view of its own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.views.choose import View

if TYPE_CHECKING:
    from mm_magic.rendering.bundles import Bundle
    from mm_magic.rendering.calls import ShownCall
    from mm_magic.session.run import Call

Known: TypeAlias = "dict[Call, dict[str, Any] | None]"
"""How the objects that functions returned show themselves, by their calls."""
_OWN = ("image/png", "text/html")
"""How an object may show itself in a card."""


class Steps:
    """A view that goes on in a new one, which `make` gives, below the calls of each answer.

    If it `is_live`, calls are drawn when they begin, and again when they have their results.
    `known` has how the objects show themselves that the functions returned.
    """

    def __init__(self, make: Callable[[], View], *, is_live: bool) -> None:
        self._make = make
        self._is_live = is_live
        self._view = make()
        self._is_closed = False
        self._is_calling = False
        self._has_calls = False
        self.known: Known = {}

    @property
    def is_blank(self) -> bool:
        """Whether nothing was drawn yet."""
        return not self._has_calls and self._view.is_blank

    def update(self, thinking: str, text: str) -> None:
        """Take what just came."""
        self._open().update(thinking, text)

    def draw_at_end(self) -> None:
        """Draw the answer that comes now when it has ended."""
        self._open().draw_at_end()

    def tick(self, waiting: str) -> None:
        """Some time has passed; while calls are made, they stay as they are drawn."""
        if not self._is_calling and (waiting or not self._is_closed):
            self._open().tick(waiting)

    def thinking_done(self, title: str) -> None:
        """Fold the thinking under `title`."""
        self._open().thinking_done(title)

    def calling(self, calls: "Bundle", waiting: str) -> None:
        """A call begins: draw it at once, as a function may keep the kernel busy.

        Where it can't be drawn again `waiting` tells of it, unless that is empty.
        """
        self._is_calling = True
        if self._is_live:
            self._has_calls = True
            self._view.finish(calls)
        else:
            self._view.end_text()
            self._view.tick(waiting)

    def called(self, calls: "Bundle") -> None:
        """The calls of an answer have their results, and end its view."""
        self._has_calls = self._is_closed = True
        self._is_calling = False
        self._view.finish(calls)

    def finish(self, status: "Bundle", value: "Bundle | None" = None) -> None:
        """Write the final form of the last answer."""
        self._open().finish(status, value)

    def _open(self) -> View:
        if self._is_closed:
            self._view, self._is_closed = self._make(), False
        return self._view


def bundle_of(
    shell: InteractiveShell,
    calls: "tuple[Call, ...]",
    known: "Known",
    *,
    is_asked: bool = False,
) -> "Bundle":
    """The calls of one answer, with the objects that the functions returned.

    If it `is_asked`, the reader decides on the first call without a result: its arguments are seen
    at once, and it is the last one, as the question is below it. `known` has how the objects show
    themselves, and gets it: each is asked once, as that may take a while.
    """
    from mm_magic.rendering.calls import calls_bundle

    if is_asked:
        have_results = [call.result is not None for call in calls]
        calls = calls[: have_results.index(False) + 1] if False in have_results else calls
    return calls_bundle([_shown(shell, each, known, is_open=is_asked) for each in calls])


def _shown(shell: InteractiveShell, call: "Call", known: "Known", *, is_open: bool) -> "ShownCall":
    from mm_magic.rendering.calls import ShownCall

    use, result = call.use, call.result
    if result is None:
        return ShownCall(use, is_open=is_open)
    if call not in known:
        known[call] = _own(shell, result.value)
    return ShownCall(use, result.text, result.is_error, known[call])


def waiting_for(calls: "tuple[Call, ...]") -> str:
    """What is being waited for while calls are made."""
    from mm_magic.rendering.calls import ShownCall, call_line

    use = next(each.use for each in calls if each.result is None)
    return f"calling {call_line(ShownCall(use))}"


def _own(shell: InteractiveShell, value: object) -> "dict[str, Any] | None":
    """How an object shows itself, where that is more than text.

    One that draws on the page by itself, as a widget does, is not asked to.
    """
    if value is None or shell.display_formatter is None:
        return None
    formatter: Any = shell.display_formatter  # its methods have no annotations
    draws = formatter.ipython_display_formatter
    before, draws.enabled = draws.enabled, False
    try:
        found, _ = formatter.format(value, include=_OWN)
    finally:
        draws.enabled = before
    return found or None
