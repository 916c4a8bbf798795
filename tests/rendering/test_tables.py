"""Tables as a terminal shows them."""

import pytest
from support.timing import calls_of

from mm_magic.rendering.tables import table_bundle
from mm_magic.wording import columns

NAMES = ("turn", "prompt", "answer", "state")
ROWS = [
    ["1", "Why is the sky blue? " * 3, "天空之所以呈现蓝色，是因为太阳光中的短波光" * 2, "sent"],
    ["12", "And?", "It is dark. " * 6, "made with other turns above"],
]


def lines(width: int | None) -> list[str]:
    return str(table_bundle(NAMES, ROWS, width=width)["text/plain"]).split("\n")


@pytest.mark.parametrize("width", [None, 100, 300])
def test_columns_stand_below_each_other(width: int | None) -> None:
    """A wide character takes two columns, so that what is behind it stands in its column."""
    head, *rows = lines(width)

    place = columns(head[: head.index("state")])
    for row, cells in zip(rows, ROWS, strict=True):
        assert row.endswith(cells[-1])
        assert columns(row.removesuffix(cells[-1])) == place


@pytest.mark.parametrize("width", [300, 200, 140, 100, 80, 60, 40])
def test_table_fits_the_window(width: int) -> None:
    """Long texts are cut where there is room for enough of them; else the table is a list, which
    holds all of them."""
    found = lines(width)

    assert max(map(columns, found)) <= width
    assert "sent" in found[1] or found[0].startswith("- turn 1 ·")
    is_list = found[0].startswith("- ")
    assert is_list == (width < 77)
    if is_list:
        assert " ".join("\n".join(found).split()).count("It is dark.") == 6


@pytest.mark.parametrize("filling", ["é", "天", "e\u0301", "x", "a b", "\u200b", "😀"])
@pytest.mark.parametrize("width", [None, 120, 80, 30])
def test_work_grows_with_the_length_of_a_cell(filling: str, width: int | None) -> None:
    """A cell of twice the length takes at most about twice the work, whatever it is made of."""

    def cost(length: int) -> int:
        rows = [["a", filling * length], ["b", "short"]]
        return calls_of(lambda: table_bundle(["field", "value"], rows, width=width))

    assert cost(800) < 2.5 * cost(400)


@pytest.mark.parametrize("filling", ["x", "天", "e\u0301", "\u200b"])
def test_padding_does_not_follow_the_longest_cell(filling: str) -> None:
    """In a file, too, a long cell is cut and makes no other row longer; the page has all of it."""
    rows = [[filling * 20_000, "y"], *[["z", "y"]] * 49]

    bundle = table_bundle(["a", "b"], rows)

    assert filling * 20_000 in str(bundle["text/html"])
    if columns(filling):
        first, *others = str(bundle["text/plain"]).split("\n")[1:]
        assert first.endswith("…  y")
        assert max(map(columns, [first, *others])) <= 400


def test_page_has_all_of_it() -> None:
    """The window of a terminal changes nothing of the page."""
    assert (
        table_bundle(NAMES, ROWS, width=40)["text/html"] == table_bundle(NAMES, ROWS)["text/html"]
    )


def test_wide_table_scrolls() -> None:
    """A table that is wider than the page is scrolled in a box of its own, beside its notes.

    Short cells stay on one line, and long ones keep a width at which they can be read.
    """
    html = str(table_bundle(NAMES, ROWS, ["Below it."])["text/html"])

    box, _, notes = html.partition("</table></div>")
    assert '<div style="overflow-x:auto"><table>' in box
    assert "Below it." in notes
    assert 'white-space:nowrap" dir="auto">sent</td>' in box
    assert 'min-width:16em" dir="auto">Why is the sky blue?' in box


def test_columns_that_make_room() -> None:
    """The cells of a column that is named as `broken` are broken, whether short or long."""
    html = str(table_bundle(NAMES, ROWS, broken=("state", "answer"))["text/html"])

    for text in ("sent", "made with", "It is dark."):
        assert f'min-width:4.5em" dir="auto">{text}' in html
    assert 'white-space:nowrap" dir="auto">12</td>' in html


def test_no_rows() -> None:
    """Where there are no rows, only the notes are shown."""
    bundle = table_bundle(NAMES, [], ["Nothing yet."])
    assert "<table" not in str(bundle["text/html"])
    assert bundle["text/plain"] == "Nothing yet."
