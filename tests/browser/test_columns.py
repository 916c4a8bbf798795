"""Several answers beside one another: while they stream, and after it."""

import base64
import re
import threading
from collections import Counter
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from support.loopback import Connection, Loopback, typed, until

from browser.lab import Lab
from browser.test_drawing import LOAD, use

pytestmark = pytest.mark.browser

TABLE = """\
| Lake | Depth (m) | Where it lies |
| --- | --: | --- |
| Baikal | 1,642 | in the south of Siberia, in Russia |

"""
CODE = f"```python\npressure = {' * '.join(map(str, range(10_000, 10_030)))}\n```\n\n"
FORMULA = "$$p = p_0 \\exp\\left(-\\frac{M g h}{R T}\\right)$$\n\n"
RTL = "بحيرة طبريا هي بحيرة عذبة تقع في الجليل.\n\n"
HOSTILE = "</div></div></details><table><tr><td>unclosed\n\n"
PROSE = "The lake is deep, and its water is cold and clear, so that one sees far down.\n\n"
TEXTS = {
    0.1: TABLE + PROSE * 28,
    0.5: CODE + FORMULA + PROSE * 20,
    1.0: RTL + HOSTILE + PROSE * 25 + "```\nnever closed",
}
CELL = "%%minimax -t 0.1,0.5,1 --alone\nName a lake."
ONE = "%%minimax --alone\nName a lake."
SPEED = 100  # deltas of four characters a second, of each stream
FOUR = "%%minimax -t 0.2,0.4,0.6,0.8 --alone\nName a lake."
COLUMNS = {390: (1, 1), 700: (2, 2), 1300: (3, 4), 1920: (3, 4)}
"""By the page's width, how many of three and of four answers stand beside one another."""

# Whether each row of a cell's answers has `count` of them, the last one of three perhaps fewer.
BESIDE = """([cell, count]) => {
    const output = document.querySelector(`.jp-Cell[data-windowed-list-index='${cell}']`);
    const labels = [...(output?.querySelectorAll("h3.jp-toc-ignore") ?? [])];
    const tops = labels.map(each => Math.round(each.getBoundingClientRect().top));
    const rows = [...new Set(tops)].map(row => tops.filter(top => top === row).length);
    return rows.length === Math.ceil(labels.length / count) && rows[0] === count;
}"""
# What is wider than the place it has on the page, and is not in a box that scrolls.
WIDER = """cell => [...cell.querySelectorAll(".jp-OutputArea-output")]
    .filter(output => output.scrollWidth > output.clientWidth)
    .map(output => output.innerText)"""
# Where the cell below stands, in each frame of the page while a thinking box is open.
WATCH = """() => {
    window.mmPlaces = new Set();
    const below = document.querySelector(".jp-Notebook .jp-Cell[data-windowed-list-index='2']");
    const look = () => {
        const isOpen = document.querySelector("details.mm-thinking[open]") !== null;
        window.mmPlaces.add(isOpen ? Math.round(below.getBoundingClientRect().top) : "closed");
        window.mmLook = requestAnimationFrame(look);
    };
    look();
}"""
PLACES = "() => { cancelAnimationFrame(window.mmLook); return [...window.mmPlaces]; }"


class Model:
    """Answers with the text of each temperature, and does not end before the gate opens.

    Without a temperature the answer is all texts, at the sum of their speeds; at any other
    temperature it is short, and comes at once.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()

    def __call__(self, connection: Connection) -> None:
        temperature = connection.request.json.get("temperature")
        if temperature is not None and temperature not in TEXTS:
            steps = typed(f"{TABLE}{PROSE}{temperature}", speed=SPEED * 20)
        elif temperature is None:
            steps = typed("".join(TEXTS.values()), speed=SPEED * len(TEXTS))
        else:
            steps = typed(TEXTS[temperature], thinking="I think so. " * 9, speed=SPEED)
        *steps, ending, end = steps
        for step in (*steps, until(self.gate), ending, end):
            step(connection)


class Frames:
    """What the page's WebSockets bring: bytes, and the drawings in each second."""

    def __init__(self, lab: Lab) -> None:
        self.bytes = 0
        self.drawings: Counter[int] = Counter()
        devtools = lab.page.context.new_cdp_session(lab.page)
        devtools.send("Network.enable")
        devtools.on("Network.webSocketFrameReceived", self._take)

    def _take(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        data = frame["payloadData"]
        raw = data.encode() if frame["opcode"] == 1 else base64.b64decode(data)
        self.bytes += len(raw)
        is_drawing = re.search(rb'"msg_type": ?"(update_)?display_data"', raw) is not None
        self.drawings[int(event["timestamp"])] += is_drawing


def column(lab: Lab, number: int) -> Locator:
    """All of an answer, with its label."""
    return lab.cell(1).locator("h3.jp-toc-ignore").nth(number).locator("..")


def test_three_streams(lab: Lab) -> None:
    """Three answers at 100 tokens a second each: few messages and bytes, and nothing jumps.

    Thinking that the reader opens stays open, and what is below the columns stays in its place. In
    the end there are as many columns as the page has room for, and no answer leaves its own; of
    four there are never three in a row, and no table widens the page.
    """
    model = Model()
    with Loopback(model) as server:
        lab.open("columns.ipynb", [f"{LOAD}\n{use(server)}", CELL, "'below'", ONE, FOUR])
        lab.command("application:toggle-left-area")
        lab.run(0)
        several = Frames(lab)
        lab.start(1)
        lab.thinking(1).first.locator("summary").click()
        lab.page.evaluate(WATCH)
        for number, text in enumerate(TEXTS.values()):
            expect(column(lab, number)).to_contain_text(text[-12:])
        assert len(lab.page.evaluate(PLACES)) == 1
        model.gate.set()
        lab.wait()
        expect(lab.status(1)).to_contain_text("3 answers · 117 in / 123 out")
        assert lab.thinking(1).first.get_attribute("open") is not None
        expect(lab.cell(1).locator("mjx-container")).to_have_count(1)
        received = several.bytes
        assert max(several.drawings.values()) <= 10

        one = Frames(lab)
        lab.run(3)
        assert received <= 1.5 * one.bytes, (received, one.bytes)
        lab.run(4)

    lab.select(1)
    labels = lab.cell(1).locator("h3.jp-toc-ignore")
    assert labels.all_inner_texts() == [f"Answer {n} · -t {t:g}" for n, t in enumerate(TEXTS, 1)]
    expect(column(lab, 2)).to_contain_text("</div></div></details><table><tr><td>unclosed")
    for width, counts in COLUMNS.items():
        lab.page.set_viewport_size({"width": width, "height": 900})
        for cell, count in zip((1, 4), counts, strict=True):
            lab.select(cell)
            lab.page.wait_for_function(BESIDE, arg=[cell, count])
            assert lab.cell(cell).evaluate(WIDER) == []
