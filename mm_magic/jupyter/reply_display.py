"""How replies are shown: not again by the cell that drew them, and in full by any other."""

from typing import TYPE_CHECKING, Any

from IPython.core.formatters import IPythonDisplayFormatter
from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.replies import Replies
from mm_magic.conversation.reply import Reply
from mm_magic.jupyter.views.finished import show_replies, show_reply
from mm_magic.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable


class ReplyFormatter:
    """The display of replies in one shell, as a formatter for the type.

    A method of Reply could not tell whether the cell that shows it is the one that drew it.
    """

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell = shell
        self._session = session
        # They are kept, so that no id is used again.
        self._just_drawn: dict[int, Reply | Replies] = {}
        self._drawn_by_ask: dict[int, Reply] = {}
        self._usual: Callable[[object], None] = shell.display_trap.hook

    def register(self) -> None:
        self._shell.display_trap.hook = self._result
        for sort in (Reply, Replies):
            self._formatter.for_type(sort, self._show)  # type: ignore[no-untyped-call]
        self._shell.events.register("post_run_cell", self._forget)

    def unregister(self) -> None:
        self._shell.display_trap.hook = self._usual
        for sort in (Reply, Replies):
            self._formatter.pop(sort, None)  # type: ignore[no-untyped-call]
        self._shell.events.unregister("post_run_cell", self._forget)

    def was_drawn(self, reply: Reply | Replies) -> None:
        """The running cell has just drawn this, as its value."""
        self._just_drawn[id(reply)] = reply

    def was_drawn_by_ask(self, reply: Reply) -> None:
        """The running cell has drawn this reply by `mm.ask`: it may be its value, too."""
        self._drawn_by_ask[id(reply)] = reply

    def _result(self, value: object) -> None:
        """Take the value of a cell: for a reply just drawn, without an empty `Out[3]: ` line."""
        hook: Any = self._shell.displayhook  # its methods have no annotations
        if id(value) not in {*self._just_drawn, *self._drawn_by_ask} or hook.quiet():
            self._usual(value)
            return
        self._just_drawn.pop(id(value), None)
        hook.check_for_underscore()
        hook.update_user_ns(value)
        hook.fill_exec_result(value)

    def _show(self, reply: Reply | Replies) -> None:
        if id(reply) in self._just_drawn:
            del self._just_drawn[id(reply)]
            return
        hide = self._session.options.hide_thinking
        if isinstance(reply, Replies):
            show_replies(self._shell, reply, hide_thinking=hide)
        else:
            show_reply(self._shell, reply, hide_thinking=hide)

    def _forget(self, _result: object) -> None:
        self._just_drawn.clear()
        self._drawn_by_ask.clear()

    @property
    def _formatter(self) -> IPythonDisplayFormatter:
        assert self._shell.display_formatter is not None
        formatter: IPythonDisplayFormatter = self._shell.display_formatter.ipython_display_formatter
        return formatter
