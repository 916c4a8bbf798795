"""What was printed, as a test compares it."""


def on_one_line(text: str) -> str:
    """The words of a text, wherever its lines were broken."""
    return " ".join(text.split())
