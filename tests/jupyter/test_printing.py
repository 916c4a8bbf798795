"""How a growing reply is printed in a terminal: as plain text that streams, and nothing else."""

from mm_magic.jupyter.views.terminal import Terminal
from mm_magic.rendering.bundles import status_bundle

STATUS = status_bundle(["MiniMax-M2.7", "39 in / 40 out"], [], {"version": 1})


def printed(*deltas: tuple[str, str], colour: bool = False, hide: bool = False) -> str:
    out: list[str] = []
    terminal = Terminal(out.append, colour=colour, hide_thinking=hide)
    for thinking, text in deltas:
        if text and not any("(1 s)" in part for part in out):
            terminal.thinking_done("Thinking (1 s)")
        terminal.update(thinking, text)
    terminal.finish(STATUS)
    return "".join(out)


def test_a_terminal_gets_streamed_plain_text() -> None:
    """Thinking, its title, the answer and the status follow each other as plain text."""
    assert printed(("Hm", ""), ("", "\n\nBl"), ("", "ue.")) == (
        "Hm\nThinking (1 s)\n\nBlue.\nMiniMax-M2.7 · 39 in / 40 out\n"
    )
    assert "Hm" not in printed(("Hm", ""), ("", "Blue"), hide=True)
    assert "\x1b[2mHm\x1b[0m" in printed(("Hm", ""), colour=True)
    assert "Blue\nHm\n" in printed(("", "Blue"), ("Hm", ""))  # it thinks again: a line of its own


def test_a_terminal_shows_what_stands_apart_at_the_margin() -> None:
    """Line ends before a text or a thought that goes on behind the other kind add no gap."""
    out: list[str] = []
    terminal = Terminal(out.append)
    terminal.update("Hm", "")
    terminal.thinking_done("(1 s)")
    for thinking, text in (("", "So:"), ("\n\nHm", ""), ("\n\nYes", "")):
        terminal.update(thinking, text)
    terminal.thinking_done("(2 s)")
    for text in ("\n", "\n# A", "\n\nb"):
        terminal.update("", text)
    assert "".join(out) == "Hm\n(1 s)\n\nSo:\nHm\n\nYes\n(2 s)\n\n# A\n\nb"


def test_a_terminal_never_gets_the_models_control_codes() -> None:
    """Sequences split over deltas are no more obeyed than whole ones; split characters join."""
    text = "a\x1b]52;c;x\x07\r\nb\ud83d\ude00\rc"
    whole = printed(("", text))
    assert "\x1b" not in whole
    assert "\r" not in whole
    assert "b😀" in whole
    assert printed(*(("", character) for character in text)) == whole


def test_a_terminals_waiting_line_is_wiped() -> None:
    """The waiting line stands only at the margin of a tty, and nothing of it stays."""
    out: list[str] = []
    terminal = Terminal(out.append, tty=True)
    terminal.tick("1 s")
    terminal.tick("2 s")
    terminal.update("", "Blue")
    terminal.tick("3 s")
    assert "".join(out) == "1 s\r\x1b[2K2 s\r\x1b[2KBlue"
    quiet: list[str] = []
    Terminal(quiet.append).tick("1 s")
    assert quiet == []
