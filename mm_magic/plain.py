"""Text that is fit for a terminal, whoever wrote it."""

_PICTURES: dict[int, int | str | None] = {c: 0x2400 + c for c in range(32) if chr(c) not in "\t\n"}
_PICTURES[0x7F] = 0x2421
_REPLACED = [*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_NEWLINES = (0x2028, 0x2029)
_TAG_CHARACTERS = range(0xE0000, 0xE0080)
_PLAIN: dict[int, int | str | None] = (
    _PICTURES
    | dict.fromkeys(_REPLACED, "\ufffd")
    | dict.fromkeys(_NEWLINES, "\n")
    | dict.fromkeys(_TAG_CHARACTERS)
)


def plain(text: str) -> str:
    """`text` without control characters other than TAB and LF.

    A control character is shown as its picture (ESC as "␛"), so that the reader sees that it was
    sent; controls that reorder text become U+FFFD; invisible tag characters go.
    """
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return joined.replace("\r\n", "\n").translate(_PLAIN)
