"""What a reader sees while an answer streams, and after it."""

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, expect
from support.loopback import (
    END,
    Loopback,
    Step,
    captured,
    chunk,
    delta,
    head,
    pause,
    sse,
    streamed,
    until,
)

from browser.lab import Lab, Server, new_lab

pytestmark = pytest.mark.browser

LOAD = "%load_ext mm_magic"
OWN_HEADING = "from IPython.display import HTML\nHTML('<h4>A heading of the notebook</h4>')"
HEADINGS = "# A heading of the answer\n\nText.\n\n## Another\n\nIt costs $5 and $10, or $x^2$."


def gated(thinking: str, *texts: str) -> tuple[list[Step], list[threading.Event]]:
    """A stream that waits for a gate after the thinking, and after each text."""
    before, (block, last), after = captured()[:3], captured()[5:7], captured()[8:]
    gates = [threading.Event() for _ in range(len(texts) + 1)]
    steps = [head(), chunk(sse(*before, delta(0, "thinking_delta", thinking=thinking)))]
    steps += [until(gates[0]), chunk(sse(block, last))]
    for text, gate in zip(texts, gates[1:], strict=True):
        steps += [chunk(sse(delta(1, "text_delta", text=text))), until(gate)]
    return [*steps, chunk(sse(*after)), END], gates


def use(server: Loopback) -> str:
    """The source of a cell after which that server is asked."""
    return f"%env MINIMAX_BASE_URL={server.url}"


@pytest.fixture(scope="module")
def finished(pages: BrowserContext, server: Server) -> Iterator[Lab]:
    """A notebook with formulas (1), code (2), and headings and prices (4), all answered.

    Below them a cell shows a heading that no model wrote.
    """
    answer = streamed(captured(text=HEADINGS))
    with new_lab(pages, server) as lab, Loopback(answer) as model:
        cells = ["%%minimax\ndemo maths", "%%minimax\ndemo code", use(model), "%%minimax\nPrices?"]
        lab.open("finished.ipynb", [LOAD, *cells, OWN_HEADING])
        lab.run(0, 1, 2, 3, 4, 5)
        yield lab


@pytest.mark.smoke
def test_answer_is_seen_while_it_streams(lab: Lab) -> None:
    """Thinking is open while the model thinks and folds at the first text; text comes piecewise."""
    answer, (thought, first, second) = gated("Scattering, I think.", "First words.", " Last ones.")
    with Loopback(answer) as model:
        lab.open("streams.ipynb", [LOAD, use(model), "%%minimax\nWhy?"])
        lab.run(0, 1)
        lab.start(2)
        expect(lab.thinking(2)).to_have_attribute("open", "")
        expect(lab.thinking(2)).to_contain_text("Scattering, I think.")
        thought.set()
        expect(lab.answer(2)).to_have_text("First words.", use_inner_text=True)
        expect(lab.thinking(2)).not_to_have_attribute("open", re.compile(""))
        expect(lab.thinking(2).locator("summary")).to_have_text(
            re.compile(r"^Thinking \(\d+\.\d s\)$")
        )
        expect(lab.prompt(2)).to_have_text("[*]:")
        first.set()
        expect(lab.answer(2)).to_have_text("First words. Last ones.", use_inner_text=True)
        second.set()
        lab.wait()
        expect(lab.status(2)).to_have_text(re.compile(r"M2.7 · turn\s1 · 39\sin\s/\s41\sout"))


def test_that_the_rest_is_missing_shows_late_and_on_paper(lab: Lab) -> None:
    """While an answer streams nobody sees the sentence for files that are saved meanwhile."""
    steps, (first, text) = gated("Hm.", "It is so.")
    with Loopback(steps) as server:
        lab.open("late.ipynb", [LOAD, use(server), "%%minimax\nWhy?"])
        lab.run(0, 1)
        lab.start(2)
        first.set()
        late = lab.answer(2).locator(".mm-l")
        expect(late).to_be_hidden()
        assert late.evaluate(_LATER) == "block"
        lab.page.emulate_media(media="print")
        expect(late).to_be_visible()
        lab.page.emulate_media(media="screen")
        text.set()
        lab.wait()
        expect(late).to_have_count(0)


_LATER = """async svg => {
    svg.setCurrentTime(5.1);
    await new Promise(requestAnimationFrame);
    return getComputedStyle(svg).display;
}"""


def test_output_widget_shows_the_whole_answer(lab: Lab) -> None:
    """An answer of several pieces is shown whole in an Output widget, with its status line."""
    answer: list[Step] = [head(), chunk(sse(*captured()[:7]))]
    for number in range(4):
        answer += [chunk(sse(delta(1, "text_delta", text=f"Part {number}. "))), pause(0.3)]
    answer += [chunk(sse(*captured()[8:])), END]
    ask = "with out:\n    get_ipython().run_cell_magic('minimax', '--alone', 'go')"
    with Loopback(answer) as model:
        widget = "import ipywidgets as W\nout = W.Output()\nout"
        lab.open("output.ipynb", [LOAD, use(model), widget, ask])
        lab.run(0, 1, 2, 3)
        expect(lab.answer(2)).to_have_text("Part 0. Part 1. Part 2. Part 3.", use_inner_text=True)
        expect(lab.status(2)).to_have_text(re.compile(r"39\sin\s/\s41\sout"))


def test_thinking_opened_by_hand_stays_open(lab: Lab) -> None:
    """Folded thinking that the reader opens stays open while the answer grows, and at its end."""
    texts = [f"\n\nParagraph {number} of the answer." for number in range(3)]
    answer, (thought, *gates) = gated("A thought.", *texts)
    with Loopback(answer) as model:
        lab.open("opened.ipynb", [LOAD, use(model), "%%minimax\nWhy?"])
        lab.run(0, 1)
        lab.start(2)
        thought.set()
        expect(lab.answer(2)).to_contain_text("Paragraph 0")
        lab.thinking(2).locator("summary").click()
        expect(lab.thinking(2)).to_have_attribute("open", "")
        for number, gate in enumerate(gates):
            expect(lab.answer(2).last).to_contain_text(f"Paragraph {number}")
            gate.set()
        lab.wait()
        expect(lab.status(2)).to_be_visible()
        expect(lab.thinking(2)).to_have_attribute("open", "")


def test_reader_keeps_the_place(lab: Lab) -> None:
    """The line that is being read does not move while the answer grows below it."""
    start = "\n\n".join(f"Sentence {number} of many." for number in range(60))
    rest = [f"\n\nLater {number}, some more text." * 20 for number in range(4)]
    answer, (thought, *gates) = gated("Long.", start, *rest)
    with Loopback(answer) as model:
        lab.open("place.ipynb", [LOAD, use(model), "%%minimax\nWhy?"])
        lab.run(0, 1)
        lab.start(2)
        thought.set()
        expect(lab.answer(2).last).to_contain_text("Sentence 59")
        line = lab.cell(2).get_by_text("Sentence 30 of many.")
        line.evaluate("line => line.scrollIntoView({block: 'center'})")
        places = [line.bounding_box()]
        for number, gate in enumerate(gates):
            if number:
                expect(lab.answer(2).last).to_contain_text(f"Later {number - 1},")
                places.append(line.bounding_box())
            gate.set()
        lab.wait()
        expect(lab.status(2)).to_contain_text("39 in")
        places.append(line.bounding_box())
    assert len(places) == 6
    assert places == [places[0]] * 6


def test_formulas_are_typeset(finished: Lab) -> None:
    """MathJax sets the formulas of a finished answer, a matrix among them, and no price."""
    answer = finished.answer(1)
    expect(answer.locator("mjx-container")).to_have_count(11)
    expect(answer.locator("mjx-mtable mjx-mtr")).to_have_count(2)
    expect(answer.locator("mjx-merror")).to_have_count(0)
    expect(answer.filter(has_text="$5 or $10")).to_have_count(1)
    expect(finished.answer(4).locator("mjx-container")).to_have_count(1)
    expect(finished.answer(4)).to_contain_text("$5 and $10, or")


def test_code_is_highlighted(finished: Lab) -> None:
    """Code in an answer has the notebook's own colours for its keywords."""
    keyword = finished.answer(2).locator("div.highlight .k, div.highlight .kn").first
    text = finished.answer(2).locator("p").first
    colour = "element => getComputedStyle(element).color"
    assert keyword.evaluate(colour) != text.evaluate(colour)


def test_table_of_contents_has_no_headings_of_answers(finished: Lab) -> None:
    """JupyterLab's table of contents lists other headings of outputs, but not an answer's."""
    expect(finished.answer(4).locator("h3, h4, h5, h6")).to_have_count(2)
    finished.command("toc:show-panel")
    contents = finished.page.locator(".jp-TableOfContents")
    expect(contents).to_contain_text("A heading of the notebook")
    expect(contents).not_to_contain_text("heading of the answer")


def test_saved_notebook_looks_the_same(finished: Lab) -> None:
    """After saving and loading the page again each answer has the form that it had."""
    cells = (1, 2, 4)
    expect(finished.answer(1).locator("mjx-container")).to_have_count(11)
    before = [finished.output(number).all_inner_texts() for number in cells]
    heights = [_heights(finished.answer(number)) for number in cells]
    finished.save()
    finished.reload()
    expect(finished.answer(1).locator("mjx-container")).to_have_count(11)
    for number, texts in zip(cells, before, strict=True):
        expect(finished.output(number)).to_have_text(texts, use_inner_text=True)
    assert [_heights(finished.answer(number)) for number in cells] == heights
    for number in cells:
        expect(finished.thinking(number)).not_to_have_attribute("open", re.compile(""))


def _heights(answer: Locator) -> list[float]:
    """The heights of an answer's displays in pixels."""
    boxes = [each.bounding_box() for each in answer.all()]
    return [box["height"] for box in boxes if box]
