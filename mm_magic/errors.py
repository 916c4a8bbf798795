"""What can go wrong, sorted by whose move it is.

    MiniMaxError
    ├── UsageError      yours: an option, a value or a setting is wrong; nothing was sent
    ├── ServiceError    the service answered, and the answer is no
    ├── NetworkError    no answer, or not all of it, reached this machine
    ├── ProtocolError   an answer came, but it is not the Messages API, or it broke off
    └── AnswerError     a complete answer came, but it is not of the type that you asked for
    Stopped             you stopped the cell: not a failure, so not a MiniMaxError

`except MiniMaxError` therefore never swallows a Stop. No message holds a key.
"""

from collections.abc import Sequence
from traceback import extract_tb
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mm_magic.wording import in_lines, plain

if TYPE_CHECKING:
    from mm_magic.conversation.reply import Reply

Kind = Literal[
    "usage",
    "auth",
    "billing",
    "permission",
    "not_found",
    "bad_request",
    "too_large",
    "rate_limit",
    "overloaded",
    "server",
    "redirect",
    "connection",
    "timeout",
    "protocol",
    "value",
]


_BOLD, _RESET = "\x1b[1m", "\x1b[0m"  # red would be 2.95:1 on JupyterLab's dark error colour


GENERATED = "get_ipython().run_"
"""A line that holds this was made of a magic, by IPython or as IPython does it."""

_TELLING = 8
"""So many of a key's first characters are not shown, either: a server's words may be cut there."""


class MiniMaxError(Exception):
    """The base of all errors that mm_magic raises.

    `kind` says what sort of failure it is. `retryable`: nothing of an answer had come, and the same
    request may succeed later, so that a program may send it again. `reply` is what had arrived
    before the failure, or None; `replies`, if several answers were asked for, all of them; `rows`,
    if a table was asked about, that table with the answers so far.
    `next_steps` are plain sentences, also in a script's traceback.
    `status` is the HTTP status, `code` MiniMax's own error number, `request_id` what support asks
    for, `retry_after` the seconds that the server asked to wait; each is None if unknown.
    """

    _speaker = "mm_magic"
    """Whose words the message is, as its card says."""

    def __init__(  # noqa: PLR0913 - what is known of a failure, by name
        self,
        message: str,
        *,
        kind: Kind,
        retryable: bool = False,
        status: int | None = None,
        code: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        next_steps: Sequence[str] = (),
    ) -> None:
        super().__init__(plain(message))
        self.message = message
        self.kind: Kind = kind
        self.retryable = retryable
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.next_steps = next_steps
        self.reply: Reply | None = None
        self.replies: Sequence[Reply] | None = None
        self.rows: Any = None

    @property
    def next_steps(self) -> tuple[str, ...]:
        return self._next_steps

    @next_steps.setter
    def next_steps(self, steps: Sequence[str]) -> None:
        self._next_steps = tuple(steps)
        self.__notes__ = [plain(f"→ {step}") for step in steps]  # Python's traceback shows these

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it whole, for pools of processes: Exception's own way forgets the keywords."""
        return _restored, (type(self), self.args, self.__dict__)

    def redact(self, secret: str) -> None:
        """Take `secret` out of all words, also where they were cut in the middle of it."""
        self.message = _without(secret, self.message)
        self.args = tuple(_without(secret, str(arg)) for arg in self.args)
        self.next_steps = [_without(secret, step) for step in self.next_steps]
        self.request_id = self.request_id and _without(secret, self.request_id)

    def card(self) -> str:
        """What happened, what to do next, and what support asks for, as plain text."""
        known = (
            ("MiniMax's code", self.code),
            ("HTTP", self.status),
            ("request ID", self.request_id),
        )
        details = " · ".join(f"{name} {value}" for name, value in known if value is not None)
        lines = (self.message, *(f"→ {step}" for step in self.next_steps), details)
        return plain("\n".join(line for line in lines if line))

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback, of whose frames only the cells' help."""
        # One string: in some modes of %xmode IPython puts no line ends between several.
        # The kind tells whose move it is; of a slip on the line the reader knows that.
        kind = "" if self.kind == "usage" else f" ({self.kind})"
        title = f"{self._speaker}{kind}:"
        card = in_lines(f"{title} {self.card()}").replace(title, f"{_BOLD}{title}{_RESET}", 1)
        return ["\n".join((card, *_lines_of_cells(self.__traceback__)))]


def _lines_of_cells(raised: TracebackType | None) -> list[str]:
    """The lines of notebook cells that led to the error, but for those that a magic became."""
    return [
        plain(f"  line {frame.lineno} in {frame.name}: {frame.line}")
        for frame in extract_tb(raised)
        if ("ipykernel_" in frame.filename or frame.filename.startswith("<ipython-input"))
        and GENERATED not in (frame.line or "")
    ]


def _without(secret: str, text: str) -> str:
    """The text without the secret, and without its first characters if they are telling."""
    for end in range(len(secret), min(len(secret), _TELLING) - 1, -1):
        text = text.replace(secret[:end], "…") if end else text
    return text


def _restored(
    sort: type[MiniMaxError], args: tuple[object, ...], state: dict[str, object]
) -> MiniMaxError:
    error = sort.__new__(sort, *args)
    error.__dict__.update(state)
    return error


class UsageError(MiniMaxError):
    """An option, a value or a setting is wrong; nothing was sent."""

    def __init__(self, message: str, *, next_steps: Sequence[str] = ()) -> None:
        super().__init__(message, kind="usage", next_steps=next_steps)


class ServiceError(MiniMaxError):
    """The service refused the request, or failed while it answered."""

    _speaker = "MiniMax"


class NetworkError(MiniMaxError):
    """No answer, or not all of it, reached this machine.

    `was_sent`: the request may have reached the server, which then charges for it.
    """

    was_sent = True


class ProtocolError(MiniMaxError):
    """What arrived is not an answer of the Messages API, or it broke off."""

    def __init__(
        self, message: str, *, retryable: bool = False, next_steps: Sequence[str] = ()
    ) -> None:
        super().__init__(message, kind="protocol", retryable=retryable, next_steps=next_steps)


class AnswerError(MiniMaxError):
    """A complete answer came, but it is not of the type that you asked for."""

    def __init__(self, message: str, *, next_steps: Sequence[str] = ()) -> None:
        super().__init__(message, kind="value", next_steps=next_steps)


class Stopped(Exception):
    """You stopped the cell.

    `reply` is what had arrived by then, or None; `replies`, where several answers were asked for,
    all that had; `rows`, where a table was asked about, that table with the answers so far.
    The line under a reply says that it was stopped, so the card below that line does not.
    """

    def __init__(
        self,
        reply: "Reply | None" = None,
        replies: "Sequence[Reply] | None" = None,
        rows: Any = None,
    ) -> None:
        super().__init__("stopped")
        self.reply = reply
        self.replies = replies
        self.rows = rows

    def _render_traceback_(self) -> list[str]:
        if self.replies is not None:
            return ["→ For complete answers, run the cell again."]
        if self.reply is not None:
            return ["→ For a complete answer, run the cell again."]
        return [f"{_BOLD}Stopped.{_RESET}"]
