"""Prints one growing reply in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_magic.wording import Wrapping, in_window, plain, window_width

if TYPE_CHECKING:
    from collections.abc import Callable

    from mm_magic.rendering.bundles import Bundle


class Terminal:
    """One reply as plain text that streams; thinking is dimmed where there is `colour`.

    Only on a `tty` are lines broken at words, and is there a line that says what it waits for,
    which is wiped.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        colour: bool = False,
        tty: bool = False,
        hide_thinking: bool = False,
    ) -> None:
        self._write = write
        self._colour = colour
        self._tty = tty
        self._hide_thinking = hide_thinking
        self._held = {"thinking": "", "text": ""}
        self._wrapping = Wrapping(window_width)
        self._kind = ""  # what was printed last
        self._at_margin = True
        self._waiting = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was printed yet."""
        return not self._kind and not self._waiting

    def draw_at_end(self) -> None:
        """Print it as it comes all the same: each word is printed once."""

    def update(self, thinking: str, text: str) -> None:
        """Print what came."""
        if not self._hide_thinking:
            self._stream("thinking", thinking)
        self._stream("text", text)

    def end_text(self) -> None:
        """End the line of the text that came: something else is printed below it."""
        self._flush("thinking")
        self._flush("text")
        self._to_margin()

    def tick(self, waiting: str) -> None:
        """Show `waiting` at the margin; a line of the answer is never touched."""
        if waiting:  # a word that may go on is shown as far as it came
            self._write_out(self._kind, self._wrapping.flush())
        if self._tty and self._at_margin and waiting != self._waiting:
            self._wipe()
            self._write(plain(waiting))
            self._waiting = waiting

    def thinking_done(self, title: str) -> None:
        """End the thinking with a line that tells `title`."""
        self._flush("thinking")
        self._to_margin()
        self._write(self._dimmed(plain(title)) + "\n\n")

    def finish(self, status: Bundle, value: Bundle | None = None) -> None:
        """Print the plain form of `status` on a line of its own, below that of a `value`."""
        self.end_text()
        if value is not None:
            self._write(f"\n{in_window(str(value['text/plain']))}\n\n")
        self._write(f"{self._dimmed(in_window(str(status.get('text/plain', ''))))}\n")

    def _stream(self, kind: str, delta: str) -> None:
        text = self._held[kind] + delta
        # The second half of these may come with the next delta.
        cut = len(text) - (text.endswith("\r") or "\ud800" <= text[-1:] <= "\udbff")
        text, self._held[kind] = text[:cut], text[cut:]
        if kind != self._kind:  # it begins at the margin
            text = text.lstrip("\n")
        if text:
            self._print(kind, plain(text))

    def _flush(self, kind: str) -> None:
        held, self._held[kind] = self._held[kind], ""
        if held:
            self._print(kind, plain(held))
        self._write_out(self._kind, self._wrapping.flush())

    def _print(self, kind: str, shown: str) -> None:
        if kind != self._kind:
            self._write_out(self._kind, self._wrapping.flush())
            if kind == "thinking" and self._kind == "text":  # it thinks again
                self._to_margin()
            self._kind, self._wrapping = kind, Wrapping(window_width)
        self._write_out(kind, self._wrapping.push(shown) if self._tty else shown)

    def _write_out(self, kind: str, shown: str) -> None:
        if not shown:
            return
        self._wipe()
        self._write(self._dimmed(shown) if kind == "thinking" else shown)
        self._at_margin = shown.endswith("\n")

    def _to_margin(self) -> None:
        self._wipe()
        if not self._at_margin:
            self._write("\n")
        self._at_margin = True

    def _wipe(self) -> None:
        if self._waiting:
            self._write("\r\x1b[2K")
            self._waiting = ""

    def _dimmed(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._colour and text else text
