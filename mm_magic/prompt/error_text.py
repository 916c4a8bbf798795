"""An exception as text for a prompt: type, message, and the frames of the user's own code.

No value of a variable is in it, and no path of this machine. It is cut like other values.
"""

import re
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType

from mm_magic.errors import GENERATED
from mm_magic.prompt.values import Text
from mm_magic.wording import counted

MAX_FRAMES = 10
"""At each end of a longer chain of calls."""
MAX_MESSAGE = 1_000
"""Characters of the message."""
_MAX_LINE = 200
_MAX_CAUSES = 3
KEY = r"(?<![A-Za-z0-9])(sk-|eyJ)[\w.-]{8,}"
"""What looks like a key by its beginning, as a pattern for ASCII."""
_KEY = re.compile(KEY, re.ASCII)

Namer = Callable[[str], str | None]
"""What a file of code is called for the reader; None for one that is not the user's own."""


def error_text(error: BaseException, name_of: Namer) -> Text:
    """The text of an exception, and what of it is left out."""
    frames = list(_frames(error.__traceback__, name_of))
    message, cut = _message(error, name_of)
    shown, left_out = frames, [f"message cut at {MAX_MESSAGE:,} characters"] if cut else []
    if len(frames) > 2 * MAX_FRAMES:
        missing = len(frames) - 2 * MAX_FRAMES
        gap = f"  … {counted(missing, 'more call')} …"
        shown = [*frames[:MAX_FRAMES], gap, *frames[-MAX_FRAMES:]]
        left_out.append(f"{2 * MAX_FRAMES} of {len(frames):,} calls")
    head = ["Traceback (most recent call last, own code only):"] if frames else []
    text = "\n".join([*head, *shown, message, *_causes(error, name_of)])
    told = ", ".join(left_out)
    text = _KEY.sub(r"\1…", f"{text}\n\n({told})" if told else text)
    return Text(text, told, is_apart=True)


def _frames(start: TracebackType | None, name_of: Namer) -> Iterator[str]:
    for frame, line in traceback.walk_tb(start):
        code = frame.f_code
        if (name := name_of(code.co_filename)) is None:
            continue
        (summary,) = traceback.StackSummary.extract([(frame, line)], lookup_lines=True)
        if (summary.line or "").startswith(GENERATED):
            continue
        where = "" if code.co_name == "<module>" else f", in {code.co_name}"
        source = f"\n    {summary.line[:_MAX_LINE]}" if summary.line else ""
        yield f"  {name}, line {line}{where}{source}"


def _message(error: BaseException, name_of: Namer) -> tuple[str, bool]:
    """Type and message, and whether they were cut."""
    told = traceback.TracebackException(type(error), error, None)
    lines = "".join(told.format_exception_only()).rstrip("\n")
    if isinstance(error, SyntaxError) and error.filename:
        name = name_of(error.filename) or "another file"
        lines = lines.replace(f'File "{error.filename}"', name)
    is_cut = len(lines) > MAX_MESSAGE
    return (f"{lines[: MAX_MESSAGE - 1]}…" if is_cut else lines), is_cut


def _causes(error: BaseException, name_of: Namer) -> Iterator[str]:
    """A line for each error that led to this one, the latest first.

    None for one that says the same as the error it led to: pandas raises a KeyError again.
    """
    seen = {id(error)}
    before = _message(error, name_of)
    while len(seen) <= _MAX_CAUSES:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            return
        seen.add(id(cause))
        if (told := _message(cause, name_of)) != before:
            yield f"caused by {told[0]}"
        error, before = cause, told
