"""The settings panel as it is seen, moved and clicked."""

import json
import re

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from playwright.sync_api import Locator, expect
from support.loopback import Loopback, streamed

from browser.lab import Lab, Server
from browser.test_drawing import gated
from browser.test_look import DIM_CONTRAST, contrast
from browser.test_stopping import MODELS, open_panel

pytestmark = pytest.mark.browser

LOAD, PANEL = "%load_ext mm_magic", "%minimax panel"
HEIGHT = 330
"""Pixels: the panel and the cell below it are seen together on a projector of 1280 × 720."""
SMALL_GAP = 6
"""Pixels between a box and the note on it."""
LABELS = ("model", "conversation", "temperature", "top_p", "max_tokens", "thinking", "system")
CONTROL_CONTRAST = 3
"""Least contrast of a control's outline: WCAG 2.2, success criterion 1.4.11."""
CUT_OFF = """panel => {
    const parts = 'label, label span, button, .widget-label, input, select, textarea, .noUi-handle';
    const place = panel.getBoundingClientRect();
    const isIn = ({left, right}) => place.left + 2 <= left && right + 1 <= place.right;
    return [...panel.querySelectorAll(parts)].filter(part => part.checkVisibility()).filter(part =>
        part.scrollWidth > part.clientWidth + 1 && part.clientWidth
        || !isIn(part.getBoundingClientRect())
    ).map(part => part.outerHTML);
}"""
WIDGETS = "@jupyter-widgets/jupyterlab-manager"


def still(page: Lab) -> Locator:
    """The summary, which stands where no widgets live."""
    return page.page.locator(".mm-panel-still")


def line(page: Lab) -> Locator:
    return page.panel().first.get_by_label("as a line")


def test_keyboard_only(lab: Lab) -> None:
    """All controls are reached and moved by keys, and no key is taken for a command of the
    notebook; another panel and Python see what was set."""
    lab.open("keys.ipynb", [LOAD, PANEL, PANEL, "%config MiniMax"])
    lab.run(0, 1, 2)
    panel, keys = lab.panel().first, lab.page.keyboard
    panel.get_by_label("model").focus()
    keys.press("Control+A")
    keys.type("dd-abx")
    names = []
    for _ in range(14):
        keys.press("Tab")
        names.append(
            lab.page.evaluate(
                "() => document.activeElement.labels?.[0]?.textContent"
                " || document.activeElement.textContent || document.activeElement.role"
            )
        )
        if names[-1] == "slider" and names[-2] == "temperature":
            for _ in range(70):
                keys.press("ArrowLeft")
    keys.type("Be brief")
    keys.press("Tab")
    expect(line(lab)).to_have_value(
        "%%minimax -m dd-abx -c main -t 0.3 --top-p default --max-tokens default --thinking auto "
        '--effort default -s "Be brief"'
    )
    expect(lab.panel().last.get_by_label("temperature")).to_have_value("0.3")
    expect(lab.page.locator(".jp-Notebook .jp-Cell")).to_have_count(4)
    lab.run(3)
    expect(lab.output(3)).to_contain_text("Current: 0.3")
    assert [name for name in names if name != "slider"] == [
        *("conversation", "New", "Reset", "temperature", "top_p", "max_tokens", "thinking"),
        *("effort", "hide the thinking", "reuse the answers in this notebook", "system"),
    ]
    check_compared_by_keys(lab)
    panel.get_by_role("button", name="Defaults").focus()
    keys.press("Enter")
    expect(panel.get_by_label("temperature", exact=True)).to_have_value("")
    expect(panel.get_by_label("system", exact=True)).to_have_value("")
    expect(lab.panel().last.get_by_label("model", exact=True)).to_have_value("MiniMax-M2.7")


def check_compared_by_keys(lab: Lab) -> None:
    """Compare opens the boxes for several values, with the cursor in the first; their values go
    into this panel's line alone."""
    keys, settings = lab.page.keyboard, line(lab).input_value()
    lab.panel().first.get_by_role("button", name="Compare").focus()
    keys.press("Enter")
    expect(lab.panel().first.get_by_label("compare", exact=True).first).to_be_focused()
    keys.type("0.1, 1")
    keys.press("Tab")
    expect(line(lab)).to_have_value(settings.replace("-t 0.3 ", "-t 0.1,1 "))
    expect(lab.panel().first).to_contain_text("asks for 2 answers in one cell")
    expect(lab.panel().last.get_by_label("as a line")).to_have_value(settings)
    expect(lab.panel().last.get_by_label("temperature")).to_have_value("0.3")


@pytest.mark.parametrize("width", [960, 1700])
def test_boxes_of_compare_are_below_the_sliders(lab: Lab, width: int) -> None:
    """Also where the page would have room for a narrow box beside a slider."""
    lab.open("below.ipynb", [LOAD, PANEL])
    before = lab.page.viewport_size
    assert before is not None
    lab.page.set_viewport_size({"width": width, "height": before["height"]})
    lab.run(0, 1)
    lab.panel().get_by_role("button", name="Compare").click()
    sliders = lab.panel().get_by_role("slider").all()
    boxes = lab.panel().get_by_label("compare", exact=True)
    expect(boxes).to_have_count(len(sliders))
    for slider, box in zip(sliders, boxes.all(), strict=True):
        above, below = slider.bounding_box(), box.bounding_box()
        assert above is not None
        assert below is not None
        assert above["y"] + above["height"] <= below["y"]
    lab.page.set_viewport_size(before)


PLACEHOLDER = """field => [
    getComputedStyle(field, '::placeholder').color, getComputedStyle(field).color
]"""


def test_placeholders_are_dimmer_than_values(lab: Lab) -> None:
    """In both themes a text that is typed is told from one that says what may be typed."""
    lab.open("placeholders.ipynb", [LOAD, PANEL])
    lab.run(0, 1)
    lab.panel().get_by_role("button", name="Compare").click()
    fields = ("temperature", "max_tokens", "system", "compare")
    for theme in ("dark", "light"):  # the server keeps the last one for the tests to come
        lab.set_theme(theme)
        for name in fields:
            field = lab.panel().get_by_label(name, exact=True).first
            dim, value = (alpha_of(colour) for colour in field.evaluate(PLACEHOLDER))
            assert dim < value


def alpha_of(colour: str) -> float:
    """How opaque a colour is, such as "rgb(0, 0, 0)" or "rgba(0, 0, 0, 0.5)"."""
    parts = re.findall(r"[\d.]+", colour)
    return float(parts[3]) if len(parts) > 3 else 1


def test_emptied_box_stays_empty(lab: Lab) -> None:
    """Emptying a box moves its slider to the usual value, and that sets nothing."""
    lab.open("emptied.ipynb", [LOAD, PANEL, "%config MiniMax"])
    lab.run(0, 1)
    box = lab.panel().get_by_label("temperature", exact=True)
    handle = lab.panel().get_by_role("slider").first
    usual = handle.get_attribute("aria-valuenow") or ""
    for text in ("0.3", ""):
        box.fill(text)
        box.press("Tab")
        expect(line(lab)).to_have_value(re.compile(f"-t {text or 'default'} "))
    expect(handle).to_have_attribute("aria-valuenow", usual)
    lab.run(2)
    expect(lab.output(2)).to_contain_text("Current: None")
    expect(box).to_have_value("")


@pytest.mark.smoke
def test_moved_while_a_cell_streams(page: Lab) -> None:
    """What is moved while an answer streams does not disturb it, and holds for the next request."""
    answer, (thought, text) = gated("A thought.", "First words.")
    with Loopback(MODELS, answer, streamed()) as model:
        open_panel(page, "python3", model, "%%minimax\nWhy?", "%%minimax\nAnd?")
        page.start(3)
        expect(page.thinking(3)).to_contain_text("A thought.")
        temperature = page.panel().get_by_label("temperature")
        temperature.fill("0.2")
        temperature.press("Tab")
        expect(line(page)).to_have_value(re.compile("-t 0.2 "))
        thought.set()
        text.set()
        page.wait()
        expect(page.answer(3)).to_have_text("First words.")
        page.run(4)
        expect(page.panel()).to_contain_text("2 answers · 78 in / 82 out")
    _, first, second = model.requests
    assert (first.json.get("temperature"), second.json["temperature"]) == (None, 0.2)


@pytest.mark.parametrize(
    ("field", "typed", "why"),
    [
        (
            "temperature",
            "0",
            "must be above 0 and at most 1, got 0.0. The smallest useful value is 0.01.",
        ),
        ("max_tokens", "12.7", "must be a whole number, got '12.7'"),
        ("model", "", "must be a name, got ''"),
    ],
)
def test_refused_value_is_told(lab: Lab, field: str, typed: str, why: str) -> None:
    """What is typed and can't be is refused with the reason, which stands below its box, and is
    never taken for another value."""
    lab.open("refused.ipynb", [LOAD, PANEL])
    lab.run(0, 1)
    box, keys = lab.panel().get_by_label(field, exact=True), lab.page.keyboard
    before = box.input_value()
    box.press("Control+A")
    keys.press("Delete")
    keys.type(typed)
    keys.press("Tab")
    note = lab.panel().get_by_text(f"{field} {why}")
    expect(note).to_be_visible()
    expect(box).to_have_value(before)
    field_box, note_box = box.bounding_box(), note.bounding_box()
    assert field_box is not None
    assert note_box is not None
    assert note_box["x"] == pytest.approx(field_box["x"], abs=2)
    assert 0 <= note_box["y"] - (field_box["y"] + field_box["height"]) < SMALL_GAP


def test_copy(lab: Lab) -> None:
    """Copy puts into the clipboard what may go into one cell; a cell before it has its own."""
    lab.open("copy.ipynb", [LOAD, '%config MiniMax.system = "Two\\nlines"', PANEL])
    lab.run(0, 1, 2)
    keys = lab.page.keyboard
    copies = lab.panel().get_by_role("button", name="Copy")
    pasted = lab.panel().get_by_label("model", exact=True)
    for button, text in (
        (0, r"%config MiniMax.system = 'Two\nlines'"),
        (1, "%%minimax -m MiniMax"),
    ):
        copies.nth(button).click()
        expect(lab.panel().get_by_role("button", name="Copied")).to_have_count(1)
        pasted.press("Control+A")
        keys.press("Control+V")
        expect(pasted).to_have_value(re.compile(f"^{re.escape(text)}"))
        expect(lab.panel().get_by_role("button", name="Copied")).to_have_count(0)
        keys.press("Control+Z")


def test_never_a_broken_picture(page: Lab, server: Server) -> None:
    """Live, the widgets are seen; after a restart, and in the saved file without its kernel,
    trusted or not, the summary; never both, and never an error."""
    page.open("picture.ipynb", [LOAD, PANEL, "%minimax -t 0.3"])
    page.run(0, 1, 2)
    expect(page.panel()).to_be_visible()
    expect(still(page)).to_be_hidden()
    page.save()
    page.reload()
    expect(page.panel()).to_be_visible()
    expect(still(page)).to_be_hidden()
    page.restart_kernel()
    expect(page.panel()).to_be_hidden()
    check_summary(page)

    server.stop_kernels()
    page.open("picture.ipynb")
    check_summary(page)
    expect(page.cell(1).locator(".jp-mod-trusted")).to_have_count(1)
    check_converted(server)

    notebook = server.read("picture.ipynb")
    notebook["cells"][2]["source"] = "print('changed by somebody else')"
    (server.notebooks / "other.ipynb").write_text(json.dumps(notebook), "utf-8")
    page.open("other.ipynb")
    check_summary(page)
    expect(page.cell(1).locator(".jp-mod-trusted")).to_have_count(0)


def check_summary(page: Lab) -> None:
    """The summary is seen, and nothing else."""
    expect(still(page)).to_be_visible()
    expect(still(page)).to_contain_text("%%minimax -m MiniMax-M2.7 -c main -t 0.3 --top-p default")
    expect(page.output(1).filter(visible=True)).to_have_count(1)


def check_converted(server: Server) -> None:
    """The saved file reads well on other pages, too."""
    notebook = nbformat.read(server.notebooks / "picture.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    for exporter in (HTMLExporter(), MarkdownExporter()):  # type: ignore[no-untyped-call]
        text, _ = exporter.from_notebook_node(notebook)
        assert "To see the sliders, run the cell" in text
        assert "model_id" not in text


def test_server_without_widgets(lab: Lab, server: Server) -> None:
    """Where the server has no widgets the summary stands alone."""
    config = server.folder / "labconfig" / "page_config.json"
    before = config.read_text("utf-8")
    config.write_text(json.dumps({"disabledExtensions": {WIDGETS: True}}), "utf-8")
    try:
        lab.open("without.ipynb", [LOAD, "%minimax -t 0.3\n%minimax panel"])
        lab.run(0, 1)
        expect(still(lab)).to_be_visible()
        expect(still(lab)).to_contain_text("in a notebook that shows Jupyter widgets")
        assert lab.output(1).all_inner_texts()[2:] in ([], [""])
    finally:
        config.write_text(before, "utf-8")


def test_look(lab: Lab) -> None:
    """In both themes the text can be read; the panel is small, and nothing in it is cut off in a
    narrow column, nor the line to copy; each field has a name, and New and Reset stay side by
    side."""
    lab.open("look.ipynb", [LOAD, PANEL])
    lab.run(0, 1)
    panel = lab.panel()
    for name in LABELS:
        expect(panel.get_by_label(name, exact=True)).to_be_visible()
    box = panel.bounding_box()
    assert box is not None
    assert box["height"] < HEIGHT
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        for text in ("temperature", "offline demo", "hide the thinking"):
            assert contrast(panel.get_by_text(text).first) >= DIM_CONTRAST
        assert contrast(panel.get_by_label("model")) >= DIM_CONTRAST
        for handle in panel.locator(".noUi-handle").all():
            assert contrast(outline_as_text(handle)) >= CONTROL_CONTRAST
            assert colour_of(handle) != colour_of(panel.get_by_label("model"))
    panel.get_by_role("button", name="Compare").click()
    expect(panel.get_by_label("compare", exact=True).last).to_be_visible()
    lab.command("application:toggle-left-area")
    for width in (620, 390, 360):
        lab.page.set_viewport_size({"width": width, "height": 900})
        assert cut_off(panel) == []
        assert line(lab).evaluate("box => box.scrollHeight <= box.clientHeight")
        buttons = [panel.get_by_role("button", name=name) for name in ("New", "Reset")]
        new, reset = (button.bounding_box() for button in buttons)
        assert new is not None
        assert reset is not None
        assert new["y"] == reset["y"]


def outline_as_text(handle: Locator) -> Locator:
    """The panel, with the colour of this handle's outline as its text's: so it is seen on it."""
    handle.evaluate(
        "it => it.closest('.mm-panel').style.color = getComputedStyle(it).borderTopColor"
    )
    return handle.page.locator(".mm-panel")


def colour_of(part: Locator) -> str:
    colour: str = part.evaluate("part => getComputedStyle(part).backgroundColor")
    return colour


def cut_off(panel: Locator) -> list[str]:
    """The parts that are wider than their place, or reach to the edge of the panel."""
    found: list[str] = panel.evaluate(CUT_OFF)
    return found
