"""Thinking and calls that arrive as text, as JupyterLab shows them."""

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, captured, chunk, delta, head, sse

from browser.lab import Lab

pytestmark = pytest.mark.browser

PARTS = [
    "<think>\nFirst, **x**.\n</think>\n\nThe answer.\n\n",
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">',
    "<script>document.title = 'RAN'</script><img src=x onerror=\"document.title = 'RAN'\">",
    "</parameter>\n</invoke>\n</minimax:tool_call>\n\nThe end of it.",
]


def test_folded_and_not_run(lab: Lab) -> None:
    """Each part is a closed box under its name; a box that is opened shows text, and runs none."""
    pieces = [delta(1, "text_delta", text=part) for part in PARTS]
    events = (*captured()[:7], *pieces, *captured()[8:])
    with Loopback([head(), *(chunk(sse(event)) for event in events)]) as model:
        cells = [f"%env MINIMAX_BASE_URL={model.url}", "%%minimax\nWhy?"]
        lab.open("markup.ipynb", ["%load_ext mm_magic", *cells])
        lab.run(0, 1, 2)
    expect(lab.answer(2).last).to_contain_text("The end of it.")
    boxes = lab.answer(2).locator("details")
    titles = [box.inner_text() for box in boxes.locator("summary").all()]

    assert titles == [
        "Thinking, written as text",
        "Tool call to get_weather, written as text and not run",
    ]
    assert boxes.evaluate_all("boxes => boxes.map(box => box.open)") == [False, False]
    boxes.last.locator("summary").click()
    expect(boxes.last).to_contain_text("<script>document.title = 'RAN'</script>")
    assert lab.answer(2).locator("script, img").count() == 0
    assert "RAN" not in lab.page.title()
