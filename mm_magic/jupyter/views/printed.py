"""Our own sentences as they are printed, under a cell or in a terminal."""

from mm_magic.wording import in_lines


def print_lines(text: str) -> None:
    """Print `text` in lines that are broken at words, in one piece: a kernel may send half."""
    print(f"{in_lines(text)}\n", end="")
