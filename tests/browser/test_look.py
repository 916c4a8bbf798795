"""Themes, and text that is drawn dim."""

import json
import re

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from playwright.sync_api import Locator, expect
from support.loopback import Loopback, captured, streamed

from browser.lab import Lab
from browser.test_drawing import LOAD, use

pytestmark = pytest.mark.browser

A4, NBCONVERT_MARGIN = 794, 48
"""CSS pixels: the width of the paper, and the margin that nbconvert's page asks for."""
DIM_CONTRAST = 4.5
"""Least contrast of small text: WCAG 2.2, success criterion 1.4.3."""

# Opacity is taken as mixing with the background, up the tree to the first opaque one.
CONTRAST = """element => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    let opacity = 1, behind = null;
    for (let part = element; part && !behind; part = part.parentElement) {
        const style = getComputedStyle(part);
        opacity *= Number(style.opacity);
        const [red, green, blue, alpha = 1] = numbers(style.backgroundColor);
        if (alpha === 1) behind = [red, green, blue];
    }
    const [red, green, blue, alpha = 1] = numbers(getComputedStyle(element).color);
    opacity *= alpha;
    const seen = [red, green, blue].map((part, n) => part * opacity + behind[n] * (1 - opacity));
    const light = colour => {
        const [r, g, b] = colour.map(part => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [low, high] = [light(seen), light(behind)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
}"""


def contrast(text: Locator) -> float:
    """The contrast ratio of a text to what is behind it, from 1 to 21."""
    expect(text).to_be_visible()
    ratio: float = text.evaluate(CONTRAST)
    return ratio


def test_dim_text_can_be_read(lab: Lab) -> None:
    """Thinking and status are dimmer than the answer, with the contrast that WCAG asks for."""
    lab.open("look.ipynb", ["%load_ext mm_magic", "%%minimax\nWhy?"])
    lab.run(0, 1)
    lab.thinking(1).locator("summary").click()
    for theme in ("dark", "light"):  # the server keeps the last one for the tests to come
        lab.set_theme(theme)
        answer = contrast(lab.answer(1).locator("p").first)
        for dim in (lab.thinking(1).locator("p").first, lab.status(1).locator("small")):
            assert DIM_CONTRAST <= contrast(dim) < answer


def test_code_scrolls_where_the_page_is_narrow(lab: Lab) -> None:
    """On a phone the box of code scrolls: no word is broken, and the page gets no wider."""
    word = "a_name_that_is_long_" * 5
    text = f"```python\ndef scatter(wavelength: float) -> float: return 0.5\n{word}()\n```\n"
    with Loopback(streamed(captured(text=text))) as model:
        lab.open("code.ipynb", [LOAD, use(model), "%%minimax\nShow it."])
        lab.command("application:toggle-left-area")
        lab.run(0, 1, 2)
    lab.page.set_viewport_size({"width": 390, "height": 900})
    box = lab.answer(2).locator(".highlight")
    expect(box.locator("small")).to_have_text("Python")
    lines = "box => Math.round(box.querySelector('code').getClientRects().length)"
    assert box.locator("pre").evaluate("code => code.scrollWidth > code.clientWidth")
    assert box.evaluate(lines) == 2
    output = lab.output(2).filter(has=lab.page.locator(".highlight"))
    assert output.evaluate("output => output.scrollWidth <= output.clientWidth")


def test_code_is_whole_on_paper(lab: Lab) -> None:
    """Where nbconvert's page is printed on A4, no character of a long line is cut off."""
    text = f"```python\n    # {'word ' * 40}\n```\n"
    with Loopback(streamed(captured(text=text))) as model:
        lab.open("paper.ipynb", [LOAD, use(model), "%%minimax\nShow it."])
        lab.run(0, 1, 2)
    notebook = nbformat.reads(json.dumps(lab.save()), as_version=4)  # type: ignore[no-untyped-call]
    html, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    lab.page.set_content(re.sub(r"<script.*?</script>", "", html, flags=re.S))
    lab.page.emulate_media(media="print")
    lab.page.set_viewport_size({"width": A4 - 2 * NBCONVERT_MARGIN, "height": 900})
    box = lab.page.locator(".mm-answer .highlight")
    assert box.locator("code").evaluate("code => code.getClientRects().length") > 2
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_headings_keep_their_order_by_size(lab: Lab) -> None:
    """A deeper heading is never larger, and none is smaller than text; in a saved file, too."""
    text = "\n\n".join(f"{'#' * level} Heading {level}" for level in range(1, 7))
    sizes = "part => parseFloat(getComputedStyle(part).fontSize)"
    with Loopback(streamed(captured(text=f"{text}\n\nText."))) as model:
        lab.open("headings.ipynb", [LOAD, use(model), "%%minimax\nShow it."])
        lab.run(0, 1, 2)
    for is_reloaded in (False, True):
        if is_reloaded:
            lab.save()
            lab.reload()
        parts = [lab.answer(2).get_by_text(f"Heading {level}") for level in range(1, 7)]
        found = [part.evaluate(sizes) for part in (*parts, lab.answer(2).get_by_text("Text."))]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 4
