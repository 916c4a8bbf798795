"""The settings panel, without a front end: what its widgets do, and what they show."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import ipywidgets
import pytest
from support.kernels import TURN, Kernel
from support.loopback import (
    Answer,
    Connection,
    Loopback,
    captured,
    chunk,
    head,
    sse,
    stall,
    streamed,
    whole,
)
from support.printed import on_one_line
from support.shells import fresh_shell
from traitlets.config import Config

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import parse
from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.panel.panel import RESTART, USE_TOOLBAR, Panel
from mm_magic.jupyter.panel.text import DIMMED, Reach
from mm_magic.jupyter.panel.widgets import COPY, Controls, Number, Several
from mm_magic.session.options import BY_NAME
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end

KEY = "sk-cp-very-secret"
SILENT = [head(), chunk(sse(*captured(text="The beginning")[:8])), stall]
VIEW = "application/vnd.jupyter.widget-view+json"


class Desk:
    """One kernel's session and settings, and panels for them."""

    def __init__(self, **environ: str) -> None:
        self.session = Session(environ)
        self.session.who.demo_allowed = True
        self.settings: Any = MiniMax(self.session, config=Config())  # its traits are a table's
        self.reach: Reach = "awaited"
        self._panels: list[Panel] = []

    def panel(self) -> Panel:
        panel = Panel(self.session, self.settings, lambda: self.reach)
        self._panels.append(panel)
        return panel

    def close(self) -> None:
        for panel in self._panels:
            panel.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def move(widget: Any, value: object) -> None:
    """What the kernel does when the reader has moved something in the browser."""
    widget.set_state({"value": value})


def widgets_of(panel: Panel) -> dict[str, Any]:
    """The widgets by name; a slider as "temperature_slider"."""
    found = dict(vars(panel.controls))
    for name, setting in panel.controls.settings.items():
        found[name] = setting.widget
        if isinstance(setting, Number):
            found[f"{name}_slider"] = setting.slider
    return found


def each_widget(root: Any) -> list[Any]:
    """A widget and all that it holds."""
    return [
        root,
        *(found for child in getattr(root, "children", ()) for found in each_widget(child)),
    ]


def shown(panel: Panel) -> dict[str, Any]:
    """What each widget shows."""
    widgets = widgets_of(panel)
    return {name: each.value for name, each in widgets.items() if hasattr(each, "value")}


def notes_of(panel: Panel) -> dict[str, str]:
    """The notes that are shown, by the option below which they stand."""
    notes = panel.controls.notes
    assert all((note.layout.display is None) == bool(note.value) for note in notes.values())
    return {name: note.value for name, note in notes.items() if note.value}


def typed(value: object) -> object:
    """A number as it is typed into its box."""
    return str(value) if type(value) in (int, float) else value


# -- one truth --------------------------------------------------------------------------------

MOVES = [
    ("model", "model", "Some-Model"),
    ("temperature", "temperature", 0.005),
    ("temperature_slider", "temperature", 0.3),
    ("top_p", "top_p", 0.123456),
    ("top_p_slider", "top_p", 0.01),
    ("max_tokens", "max_tokens", 100_000),
    ("max_tokens_slider", "max_tokens", 7),
    ("thinking", "thinking", "disabled"),
    ("effort", "effort", "low"),
    ("hide_thinking", "hide_thinking", True),
    ("system", "system", "Be brief.\nBe kind."),
    ("reuse", "reuse", True),
]


@pytest.mark.parametrize(("widget", "name", "value"), MOVES, ids=[move[0] for move in MOVES])
def test_panel_sets_the_traits(desk: Desk, widget: str, name: str, value: object) -> None:
    """What is moved in one panel is what Python, `%config` and another panel see."""
    panel, other = desk.panel(), desk.panel()

    moved = widgets_of(panel)[widget]
    if widget in ("thinking", "effort"):
        moved.set_state({"index": moved.options.index(value)})
    else:
        move(moved, value if "slider" in widget else typed(value))

    assert getattr(desk.settings, name) == value
    assert getattr(desk.session.options, name) == value
    assert shown(other) == shown(panel)
    assert moved.value == (value if "slider" in widget else typed(value))


@pytest.mark.parametrize(("name", "value"), [(name, value) for _, name, value in MOVES])
def test_panel_shows_the_traits(desk: Desk, name: str, value: object) -> None:
    """What Python sets is shown, and a value beyond a slider's end is not cut back to it."""
    panel = desk.panel()

    setattr(desk.settings, name, value)

    assert getattr(desk.session.options, name) == value
    assert widgets_of(panel)[name].value == typed(value)


def test_arithmetic_of_the_browser(desk: Desk) -> None:
    """A slider's 0.30000000000000004 is 0.3, and is not sent back, where it would undo the next."""
    panel = desk.panel()
    move(widgets_of(panel)["temperature_slider"], 0.1 + 0.2)
    assert (desk.settings.temperature, widgets_of(panel)["temperature"].value) == (0.3, "0.3")
    assert widgets_of(panel)["temperature_slider"].value == 0.1 + 0.2
    assert "-t 0.3 " in panel.controls.line.value


@pytest.mark.parametrize(
    ("widget", "value", "why"),
    [
        ("temperature", "2", "temperature must be above 0 and at most 1, got 2.0"),
        ("temperature", "warm", "temperature must be a number such as 0.3, got 'warm'"),
        (
            "top_p",
            "0",
            "top_p must be above 0 and at most 1, got 0.0. The smallest useful value is 0.01.",
        ),
        ("max_tokens", "0", "max_tokens must be a whole number of 1 or more, got 0"),
        ("max_tokens", "12.7", "max_tokens must be a whole number, got '12.7'"),
        ("model", " ", "model must be a name, got ' '"),
    ],
)
def test_wrong_value(desk: Desk, widget: str, value: object, why: str) -> None:
    """A value out of range is refused with the reason, and the old one is shown again."""
    panel = desk.panel()
    before = shown(panel)

    move(widgets_of(panel)[widget], value)

    assert shown(panel) == before
    assert notes_of(panel) == {widget: why}
    move(widgets_of(panel)["temperature"], "0.5")
    assert notes_of(panel) == {}


@pytest.mark.parametrize("name", ["temperature", "top_p", "max_tokens"])
def test_an_empty_box_is_not_set(desk: Desk, name: str) -> None:
    """An emptied box unsets the option: it is not sent, and its slider is dimmed until moved."""
    panel = desk.panel()
    box, slider = widgets_of(panel)[name], widgets_of(panel)[f"{name}_slider"]
    usual = slider.value
    assert (box.value, box.placeholder) == ("", "default")
    assert DIMMED in slider._dom_classes
    move(box, "1")
    assert getattr(desk.session.options, name) == 1
    assert DIMMED not in slider._dom_classes
    move(box, " ")
    assert getattr(desk.session.options, name) is None
    assert name not in desk.session.options.said
    assert DIMMED in slider._dom_classes
    assert slider.value == usual
    middle = 7 if name == "max_tokens" else 0.5
    move(slider, middle)
    assert getattr(desk.session.options, name) == middle
    assert name in desk.session.options.said


def test_the_first_word_of_a_list_is_not_set(desk: Desk) -> None:
    """Of an option that may be unset the list begins with "default", which unsets it."""
    panel = desk.panel()
    effort = widgets_of(panel)["effort"]
    assert effort.value == "default"
    effort.set_state({"index": 3})
    assert desk.settings.effort == "high"
    effort.set_state({"index": 0})
    assert desk.settings.effort is None
    assert "effort" not in desk.session.options.said
    desk.settings.effort = "max"
    desk.settings.effort = None
    assert effort.value == "default"


def test_many_tokens_warn(desk: Desk) -> None:
    """max_tokens above the documented limit is let through, with a warning beside it."""
    panel = desk.panel()
    move(widgets_of(panel)["max_tokens"], "4096")
    assert notes_of(panel)["max_tokens"].startswith("max_tokens 4096 is above 2048,")
    move(widgets_of(panel)["temperature"], "2")
    assert [*notes_of(panel)] == ["temperature", "max_tokens"]
    move(widgets_of(panel)["max_tokens"], "2048")
    assert notes_of(panel) == {}


def test_model_that_always_thinks() -> None:
    """Beside thinking it is said that `disabled` changes nothing, and not beside the demo's."""
    for environ, told in (({"MINIMAX_API_KEY": KEY}, ["thinking"]), ({}, [])):
        desk = Desk(**environ)
        panel = desk.panel()
        desk.settings.thinking = "disabled"
        assert [*notes_of(panel)] == told
        desk.settings.model = "MiniMax-M3"
        assert notes_of(panel) == {}
        desk.close()


def test_defaults(desk: Desk) -> None:
    """Defaults sets back what the panel, a line and Python set, and the conversation stays."""
    panel, other = desk.panel(), desk.panel()
    first, before = desk.session.options, shown(panel)
    for widget, _, value in MOVES:
        moved = widgets_of(panel)[widget]
        if widget in ("thinking", "effort"):
            moved.set_state({"index": moved.options.index(value)})
        else:
            move(moved, value if "slider" in widget else typed(value))
    move(widgets_of(panel)["temperature"], "2")
    desk.settings.say({"conversation": "idea", "retries": 5})

    panel.controls.defaults.click()

    said = frozenset({"conversation", "retries"})
    assert desk.session.options == replace(first, conversation="idea", retries=5, said=said)
    assert notes_of(panel) == {}
    for each in (panel, other):
        sliders = [name for name in shown(each) if "slider" in name]
        assert shown(each) == before | {
            "conversation": "idea",
            "line": before["line"].replace("-c main", "-c idea"),
        }
        assert all(DIMMED in widgets_of(each)[name]._dom_classes for name in sliders)
    assert desk.settings.temperature is None


def test_defaults_of_a_configuration() -> None:
    """The defaults are those of the environment and of IPython's configuration."""
    session = Session({"MINIMAX_MODEL": "Own-Model"})
    settings = MiniMax(session, config=Config({"MiniMax": {"temperature": 0.3}}))
    settings.say({"model": "another", "temperature": None})
    settings.set_back()
    assert (session.options.model, session.options.temperature) == ("Own-Model", 0.3)
    assert session.options.said == frozenset()


def test_defaults_keep_the_model_that_answers(desk: Desk) -> None:
    """A model that the session chose, as the default one is not served any more, stays."""
    panel = desk.panel()
    desk.session.options = replace(desk.session.options, model="MiniMax-M3")
    desk.session.watchers.tell()
    panel.controls.defaults.click()
    assert desk.settings.model == "MiniMax-M3"


def test_line_is_there_to_be_copied(desk: Desk) -> None:
    """The line follows the settings, and an edit of it comes to nothing."""
    panel = desk.panel()
    move(widgets_of(panel)["temperature"], "0.3")
    line = panel.controls.line.value

    move(panel.controls.line, "%%minimax -t 0.9")

    assert panel.controls.line.value == line
    assert desk.settings.temperature == 0.3
    assert line == (
        "%%minimax -m MiniMax-M2.7 -c main -t 0.3 --top-p default --max-tokens default "
        '--thinking auto --effort default -s ""'
    )


def test_each_field_goes_into_one_cell(desk: Desk) -> None:
    """What has to stand in a cell before the line is a field of its own, shown where it is due."""
    controls = desk.panel().controls
    assert controls.before.value == ""
    assert is_hidden(controls, controls.before)

    move(controls.settings["system"].widget, "Two\nlines")

    assert controls.before.value == "%config MiniMax.system = 'Two\\nlines'"
    assert not is_hidden(controls, controls.before)
    assert controls.line.value.startswith("%%minimax -m MiniMax-M2.7 ")
    assert controls.line.value.count("\n") == 0
    move(controls.before, "another")
    assert controls.before.value.startswith("%config ")


def is_hidden(controls: Controls, field: Any) -> bool:
    """Whether the row with a field and its Copy button is hidden."""
    (row,) = [row for row in each_widget(controls.root) if field in getattr(row, "children", ())]
    return bool(row.layout.display == "none")


@pytest.fixture
def _eager_threads() -> Iterator[None]:
    """Threads take turns so often that what they share is torn if nothing guards it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_eager_threads")
def test_two_threads(desk: Desk) -> None:
    """Widgets that two threads move at once set both traits, every time."""
    panel = desk.panel()
    widgets = widgets_of(panel)
    meet = threading.Barrier(2)
    values = [round(0.01 * n, 2) for n in range(1, 100)] * 2
    seen = []

    def move_top_p() -> None:
        for value in values:
            meet.wait()
            move(widgets["top_p"], str(value))
            meet.wait()

    other = threading.Thread(target=move_top_p)
    other.start()
    for value in values:
        meet.wait()
        move(widgets["temperature"], str(value))
        meet.wait()
        options = desk.session.options
        seen.append((options.temperature, options.top_p))
        assert tuple(float(widgets[n].value) for n in ("temperature", "top_p")) == seen[-1]
    other.join()
    assert seen == [(value, value) for value in values]


# -- several values in a line -----------------------------------------------------------------


def opened(panel: Panel) -> dict[str, Several]:
    """The boxes for several values, once the reader has asked for them."""
    move(panel.controls.compare, True)
    return panel.controls.several


@pytest.mark.parametrize(
    ("typed", "on_line"),
    [
        ({"temperature": "0.1,0.5,1"}, "-t 0.1,0.5,1 --top-p default --max-tokens default"),
        ({"temperature": " 0.1 ,  0.50, 1 "}, "-t 0.1,0.5,1 --top-p default --max-tokens default"),
        ({"top_p": "default, 0.5"}, "-t 0.3 --top-p default,0.5 --max-tokens default"),
        ({"max_tokens": "100, 500"}, "-t 0.3 --top-p default --max-tokens 100,500"),
        (
            {"max_tokens": "100, 500", "temperature": "0.1, 1"},
            "-t 0.1,1 --top-p default --max-tokens 100,500",
        ),
    ],
)
def test_several_values(desk: Desk, typed: dict[str, str], on_line: str) -> None:
    """Several values below a slider go into the line, and into no setting of all cells."""
    panel, other = desk.panel(), desk.panel()
    desk.settings.temperature = 0.3
    options, elsewhere, still = desk.session.options, shown(other), panel.still()
    boxes = opened(panel)

    for name, text in typed.items():
        move(boxes[name].box, text)

    assert f" {on_line} " in panel.controls.line.value
    assert desk.session.options == options
    assert (shown(other), panel.still()) == (elsewhere, still)
    for name in typed:
        move(boxes[name].box, "")
    assert panel.controls.line.value == other.controls.line.value


def test_several_values_are_asked_for(desk: Desk) -> None:
    """The boxes are hidden until the reader wants them; closed, they say nothing in the line."""
    panel = desk.panel()
    boxes = panel.controls.several
    assert [*boxes] == ["temperature", "top_p", "max_tokens"]
    assert {each.box.layout.display for each in boxes.values()} == {"none"}
    assert panel.controls.hint.layout.display == "none"
    opened(panel)
    assert {each.box.layout.display for each in boxes.values()} == {None}
    assert panel.controls.hint.value == (
        "To compare, type several values below a slider; the line below then asks once for each."
    )
    move(boxes["temperature"].box, "0.1, 1")
    move(boxes["max_tokens"].box, "100, 200, 300")
    assert panel.controls.hint.value == (
        "The line below asks for 6 answers in one cell. The settings above stay as they are."
    )

    move(panel.controls.compare, False)

    assert "-t default --top-p default --max-tokens default" in panel.controls.line.value
    assert {each.box.layout.display for each in boxes.values()} == {"none"}
    move(panel.controls.compare, True)
    assert "-t 0.1,1 " in panel.controls.line.value


def test_defaults_empties_the_boxes_for_several_values(desk: Desk) -> None:
    """Defaults leaves nothing to compare, right or wrong; the boxes stay open."""
    panel = desk.panel()
    boxes = opened(panel)
    before = panel.controls.line.value
    move(boxes["temperature"].box, "0.1, 1")
    move(boxes["top_p"].box, "2")

    panel.controls.defaults.click()

    assert [each.box.value for each in boxes.values()] == ["", "", ""]
    assert {each.why.value for each in boxes.values()} == {""}
    assert {each.box.layout.display for each in boxes.values()} == {None}
    assert panel.controls.line.value == before


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("temperature", "0.1, 2"),
        ("temperature", "0.1, warm"),
        ("temperature", "0.1,"),
        ("temperature", "0,5"),
        ("temperature", "0.5, 0.50"),
        ("top_p", "0, 0.5"),
        ("max_tokens", "100, 12.7"),
        ("max_tokens", "2,048"),
    ],
)
def test_wrong_values(desk: Desk, name: str, typed: str) -> None:
    """Wrong values are told beside their box as the line would tell them, and stay to be mended."""
    panel = desk.panel()
    several = opened(panel)[name]
    before = panel.controls.line.value

    move(several.box, typed)

    with pytest.raises(UsageError) as caught:
        parse(f'{BY_NAME[name].flags[0]} "{typed}"')
    assert several.why.value.startswith(caught.value.message)
    assert several.why.layout.display is None
    assert (several.box.value, panel.controls.line.value) == (typed, before)
    move(several.box, "")
    assert several.why.value == ""
    assert several.why.layout.display == "none"


def test_wrong_values_of_one_box(desk: Desk) -> None:
    """What is right in another box stays in the line, and a closed box says nothing wrong."""
    panel = desk.panel()
    boxes = opened(panel)
    move(boxes["temperature"].box, "0.1, 1")
    move(boxes["top_p"].box, "2")
    assert "-t 0.1,1 --top-p default " in panel.controls.line.value
    move(panel.controls.compare, False)
    assert boxes["top_p"].why.layout.display == "none"


@pytest.mark.parametrize("typed", ["0.1, 0.5", "0.1,1"])
def test_several_values_in_the_box_of_a_setting(desk: Desk, typed: str) -> None:
    """A setting of all cells has one value; the reader is told where several go."""
    panel = desk.panel()
    move(widgets_of(panel)["temperature"], typed)
    assert desk.settings.temperature is None
    assert notes_of(panel) == {
        "temperature": f"temperature must be one value, got {typed!r}. "
        "For several values, click Compare."
    }


def test_cell_overrides_for_itself() -> None:
    """A cell's line holds for that cell alone: trait and panel stay as they are."""
    with fresh_shell() as shell:
        shell.run("%minimax -t 0.4")
        shell.run("%%minimax -t 0.9 --dry-run\nWhy?")
        assert shell.run("%config MiniMax.temperature") == 0.4


# -- conversations ----------------------------------------------------------------------------


def asked(desk: Desk) -> None:
    """One turn of the conversation that is chosen."""
    asyncio.run(desk.session.turns.ask("Why?", desk.session.options, alone=False))


def test_new_conversation(desk: Desk) -> None:
    """New chooses a name that no conversation has; the others stay in the list."""
    panel = desk.panel()
    asked(desk)
    panel.controls.new.click()
    assert desk.settings.conversation == "chat-2"
    asked(desk)
    panel.controls.new.click()
    assert panel.controls.conversation.widget.options == ("main", "chat-2", "chat-3")
    assert panel.controls.conversation.widget.value == "chat-3"

    panel.controls.conversation.widget.set_state({"index": 1})

    assert desk.session.options.conversation == "chat-2"


def test_a_switch_says_what_it_does(desk: Desk) -> None:
    """Its label is the option's help: a browser shows no tooltip of a checkbox with a label."""
    settings = desk.panel().controls.settings
    assert settings["reuse"].widget.description == "reuse the answers in this notebook"
    assert settings["hide_thinking"].widget.description == "hide the thinking"


def test_reset(desk: Desk) -> None:
    """Reset asks once, then forgets the turns of the chosen conversation, and says so."""
    panel = desk.panel()
    asked(desk)
    button, keep, note = (
        panel.controls.reset,
        panel.controls.keep,
        panel.controls.notes["conversation"],
    )
    assert (button.description, keep.layout.display) == ("Reset", "none")
    button.click()
    assert len(desk.session.conversations["main"].turns) == 1
    assert (button.description, keep.layout.display) == ("Forget 1?", None)
    assert panel.controls.new.layout.display == "none"
    assert note.value == "Click again to forget 1 turn of main. The settings stay as they are."
    button.click()
    assert desk.session.conversations["main"].turns == []
    assert note.value == "Conversation main: turn 1 was forgotten. To undo this: %minimax restore"
    assert (button.description, keep.layout.display) == ("Reset", "none")
    button.click()
    assert note.value == (
        "Reset forgets the turns of a conversation, but main has none. "
        "Defaults sets all settings back to their defaults."
    )
    assert button.description == "Reset"
    (_, back) = desk.session.conversations.undo_forgetting() or (None, [])
    assert [turn.number for turn in back] == [1]


@pytest.mark.parametrize("what", ["Keep", "a setting", "another conversation", "New", "by a line"])
def test_reset_forgets_nothing_at_first(desk: Desk, what: str) -> None:
    """Any other move takes the question back: the next click on Reset asks again."""
    panel = desk.panel()
    asked(desk)
    panel.controls.reset.click()
    if what == "Keep":
        panel.controls.keep.click()
    elif what == "a setting":
        move(panel.controls.settings["temperature"].widget, "0.3")
    elif what == "by a line":
        desk.settings.conversation = "other"
        desk.settings.conversation = "main"
    else:
        panel.controls.new.click()
        if what == "another conversation":
            panel.controls.conversation.widget.set_state({"index": 0})
    assert (panel.controls.reset.description, panel.controls.keep.layout.display) == (
        "Reset",
        "none",
    )
    assert notes_of(panel) == {}
    desk.settings.conversation = "main"
    panel.controls.reset.click()

    assert len(desk.session.conversations["main"].turns) == 1


def test_reset_that_another_panel_did(desk: Desk) -> None:
    """The question goes where there is nothing to forget any more."""
    panel, other = desk.panel(), desk.panel()
    asked(desk)
    panel.controls.reset.click()
    other.controls.reset.click()
    other.controls.reset.click()

    assert panel.controls.reset.description == "Reset"
    assert notes_of(panel) == {}


# -- who answers, and what it cost -----------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "who"),
    [
        ({}, "Answering: the offline demo, not a language model. %minimax key adds a key"),
        (
            {"MINIMAX_BACKEND": "offline"},
            "Answering: the offline demo, not a language model. %minimax key adds a key",
        ),
        (
            {"MINIMAX_BACKEND": "offline", "MINIMAX_API_KEY": KEY},
            "Answering: the offline demo, not a language model. %minimax live switches back",
        ),
        ({"MINIMAX_API_KEY": KEY}, "Answering: MiniMax (api.minimax.io, global), with a key."),
        (
            {"MINIMAX_BASE_URL": "http://localhost:8080/a"},
            "Answering: your own server (MINIMAX_BASE_URL), without a key.",
        ),
        ({"MINIMAX_BACKEND": "live"}, "No answer: no API key is set"),
        ({"MINIMAX_BASE_URL": "ftp://x"}, "No answer: MINIMAX_BASE_URL must begin with https"),
    ],
)
def test_who_answers(environ: dict[str, str], who: str) -> None:
    """The panel says who answers, and how a model would."""
    desk = Desk(**environ)
    assert desk.panel().controls.who.value.startswith(who)
    desk.close()


def test_meter() -> None:
    """After an answer the panel tells what was used."""
    with Loopback(streamed()) as server:
        online = Desk(MINIMAX_BASE_URL=server.url)
        panel = online.panel()
        asked(online)
        assert panel.controls.meter.value == ("Used: 1 answer · 39 in / 41 out")
        online.close()


# -- the list of models -----------------------------------------------------------------------


def on_a_loop(desk: Desk, check: Callable[[Panel], Coroutine[Any, Any, None]]) -> None:
    """Run a check with a panel that has an event loop, as one in a kernel has."""

    async def main() -> None:
        panel = desk.panel()
        async with asyncio.timeout(30):
            await check(panel)

    asyncio.run(main())


def test_models_of_the_server() -> None:
    """The server's models come into the list, once for each server, as text and no more."""
    hostile = "<img src=x onerror=alert(1)>"
    with Loopback(whole(200, {"data": [{"id": "Own-Model"}, {"id": hostile}]})) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)

        async def check(panel: Panel) -> None:
            came = asyncio.Event()
            panel.controls.model.observe(lambda _: came.set(), "options")
            await came.wait()
            desk.session.watchers.tell()
            desk.panel()
            await asyncio.sleep(0)
            assert panel.controls.model.options[:2] == ("Own-Model", hostile)
            assert "MiniMax-M2.7" in panel.controls.model.options

        on_a_loop(desk, check)
        assert [request.path for request in server.requests] == ["/v1/models"]
        desk.close()


@pytest.mark.parametrize("closed", ["before", "after"])
def test_models_for_the_panel_that_stays(closed: str) -> None:
    """A panel that is shown anew while the list is on its way gets it, and its end asks for none.

    The old panel is closed before the new one is there, or after it.
    """
    goes_on = threading.Event()
    listed = whole(200, {"data": [{"id": "Own-Model"}]})

    def late(connection: Connection) -> None:
        goes_on.wait(20)
        listed(connection)

    with Loopback(late, listed) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)

        async def check(old: Panel) -> None:
            while not server.requests:
                await asyncio.sleep(0)
            if closed == "before":
                old.close()
            new = desk.panel()
            if closed == "after":
                old.close()
            desk._panels.remove(old)
            goes_on.set()
            while "Own-Model" not in new.controls.model.options:
                await asyncio.sleep(0)

        on_a_loop(desk, check)
        assert len(server.requests) == (2 if closed == "before" else 1)
        desk.close()


def test_models_of_a_server_that_failed() -> None:
    """A server that gave no list is asked again by the next panel, and not at each change."""
    with Loopback(whole(503, {}), whole(200, {"data": [{"id": "Own-Model"}]})) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)

        async def check(panel: Panel) -> None:
            while asyncio.all_tasks() != {asyncio.current_task()} or not server.requests:
                await asyncio.sleep(0)
            desk.session.watchers.tell()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(server.requests) == 1
            desk.panel()
            while "Own-Model" not in panel.controls.model.options:
                await asyncio.sleep(0)

        on_a_loop(desk, check)
        assert len(server.requests) == 2
        desk.close()


def test_no_list_of_models() -> None:
    """Where the server gives no list the known names are offered."""
    with Loopback(whole(404, {})) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)

        async def check(panel: Panel) -> None:
            while not server.requests:
                await asyncio.sleep(0)
            panel.close()
            desk._panels.clear()
            assert "MiniMax-M2.7" in panel.controls.model.options

        on_a_loop(desk, check)


# -- Stop --------------------------------------------------------------------------------------


class Silent:
    """An answer that begins and goes silent; `begun` is set when its request has come."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.answer: Answer = [lambda _: self.begun.set(), *SILENT]

    def click_stop(self, panel: Panel, seen: list[object]) -> threading.Thread:
        """On another thread, as soon as it has begun; note how the button was."""

        def click() -> None:
            assert self.begun.wait(20)
            seen.extend([panel.controls.stop.description, panel.controls.stop.disabled])
            panel.controls.stop.click()

        thread = threading.Thread(target=click)
        thread.start()
        return thread


def check_stopped(desk: Desk, panel: Panel, server: Loopback) -> None:
    assert server.connections[-1].closed.wait(30)
    assert desk.session.running.runs == []
    assert panel.controls.stop.disabled


def test_stop_of_an_awaited_turn() -> None:
    """Stop on another thread cancels the task and closes the connection."""
    seen: list[object] = []
    silent = Silent()
    with Loopback(whole(200, {"data": []}), silent.answer) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)
        desk.reach = "all"

        async def check(panel: Panel) -> None:
            while not server.requests:
                await asyncio.sleep(0)
            thread = silent.click_stop(panel, seen)
            with pytest.raises(asyncio.CancelledError):
                await desk.session.turns.ask("Why?", desk.session.options, alone=False)
            thread.join()
            check_stopped(desk, panel, server)

        on_a_loop(desk, check)
        desk.close()
    assert seen == ["Stop", False]


def test_stop_of_a_synchronous_turn() -> None:
    """Stop on another thread ends a synchronous turn as an interrupt does."""
    seen: list[object] = []
    silent = Silent()
    with Loopback(silent.answer) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)
        desk.reach = "all"
        panel = desk.panel()
        thread = silent.click_stop(panel, seen)
        with pytest.raises(KeyboardInterrupt):
            run_to_end(desk.session.turns.ask("Why?", desk.session.options, alone=False))
        thread.join()
        check_stopped(desk, panel, server)
        desk.close()
    assert seen == ["Stop", False]


@pytest.mark.parametrize(
    ("reach", "platform"), [("awaited", sys.platform), ("none", sys.platform), ("none", "web")]
)
def test_stop_out_of_reach(monkeypatch: pytest.MonkeyPatch, reach: Reach, platform: str) -> None:
    """Where no click arrives before the cell has ended, the button names ■, and is not off.

    In a web page ■ does nothing, and the button says what does.
    """
    named = RESTART if platform == "web" else USE_TOOLBAR
    silent = Silent()
    with Loopback(silent.answer) as server:
        desk = Desk(MINIMAX_BASE_URL=server.url)
        desk.reach = reach
        panel, seen = desk.panel(), list[object]()
        if platform == "web":
            monkeypatch.setattr("mm_magic.jupyter.panel.panel.in_page", lambda: True)
        thread = silent.click_stop(panel, seen)
        with pytest.raises(KeyboardInterrupt):
            run_to_end(desk.session.turns.ask("Why?", desk.session.options, alone=True))
        thread.join()
        assert seen == [named, False]
        assert panel.controls.stop.description == "Stop"
        desk.close()


# -- safe -------------------------------------------------------------------------------------


def test_no_key_in_a_widget() -> None:
    """No widget's state holds the key, and none of the widgets draws HTML but the Copy button."""
    desk = Desk(MINIMAX_API_KEY=KEY)
    desk.settings.system = "<b>x</b>\n\"'"
    panel = desk.panel()
    widgets = each_widget(panel.controls.root)
    states = [json.dumps(each.get_state(), default=str) for each in widgets]
    assert len(widgets) > 15
    assert not any(KEY in state for state in states)
    assert KEY not in str(desk.settings.trait_values())
    drawn = (ipywidgets.HTML, ipywidgets.HTMLMath)
    assert [each.value for each in widgets if isinstance(each, drawn)] == [COPY, COPY]
    assert not any(getattr(each, "description_allow_html", False) for each in widgets)
    desk.close()


def test_closed_panel_follows_nothing(desk: Desk) -> None:
    """A closed panel has left the page, the settings and the session."""
    before = list(desk.session.watchers)
    panel = Panel(desk.session, desk.settings, lambda: "awaited")
    panel.close()
    desk.settings.temperature = 0.2
    assert widgets_of(panel)["temperature"].value == ""
    assert desk.session.watchers == before
    assert panel.controls.root.comm is None


# -- displays ---------------------------------------------------------------------------------


def test_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal gets the settings as text, the line, and why there are no sliders."""
    with fresh_shell() as shell:
        shell.run("%minimax -t 0.3")
        capsys.readouterr()
        shell.run("%minimax panel")
        text = capsys.readouterr().out
    assert "temperature 0.3" in on_one_line(text)
    assert "\n    %%minimax -m MiniMax-M2.7 -c main -t 0.3 " in text
    assert "To see the sliders, run the cell" in text


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def test_page_and_headless_run(kernel: Kernel) -> None:
    """A page gets the summary, then the widgets; where nobody watches, the summary alone."""
    kernel.fresh()
    still, live = kernel.run("%minimax panel", cell_id="a").displays
    assert set(still) == {"text/html", "text/markdown", "text/plain"}
    assert set(live) == {VIEW, "text/plain"}
    assert kernel.run("%minimax panel", allow_stdin=False).displays == [still]


def test_summary_follows(kernel: Kernel) -> None:
    """The summary in the file follows the settings while the panel is there."""
    kernel.fresh()
    kernel.run("%minimax panel", cell_id="a")
    cell = kernel.run("%minimax -t 0.25")
    (update,) = cell.of("update_display_data")
    assert "-t 0.25" in update["content"]["data"]["text/plain"]


def test_reset_leaves_a_mark(kernel: Kernel) -> None:
    """Reset tells the file what was forgotten, and the mark stays when the panel changes."""
    kernel.fresh()
    kernel.run("%minimax panel", cell_id="a")
    kernel.run("%%minimax --thinking disabled --max-tokens 1\nHi", cell_id="b")
    click = (
        "from mm_magic.session.api import session\n"
        "reset = session().watchers[-1].__self__.controls.reset\n"
        "reset.click()\nreset.click()"
    )
    states = []
    for code in (click, "%minimax -t 0.3"):
        (update,) = kernel.run(code).of("update_display_data")
        states.append(update["content"]["data"][TURN]["states"]["main"])
        assert (states[-1]["gone"], states[-1]["last"]) == ([[1, 1]], 1)
    again = kernel.run("%minimax panel", cell_id="a")
    assert again.saved["states"]["main"] == states[-1]
    assert not kernel.run(click).of("update_display_data")


def test_one_panel_a_cell(kernel: Kernel) -> None:
    """A cell that is run again has one panel, and nothing of the one before; unloading takes the
    widgets off the page."""
    kernel.fresh()
    first = kernel.run("%minimax panel", cell_id="a")
    again = kernel.run("%minimax panel", cell_id="a")
    opened, closed = (
        [message["content"]["comm_id"] for message in messages]
        for messages in (first.of("comm_open"), again.of("comm_close"))
    )
    assert len(opened) > 100  # layouts and styles are widgets, too
    assert sorted(closed) == sorted(opened)
    assert not kernel.run("%minimax panel", cell_id="b").of("comm_close")
    unloaded = kernel.run("%unload_ext mm_magic")
    assert len(unloaded.of("comm_close")) == 2 * len(again.of("comm_close"))


def test_unloaded_panel_holds_nothing(kernel: Kernel) -> None:
    """After unloading nothing keeps the session, and so neither a typed key nor the turns."""
    kernel.fresh()
    kernel.run(
        "import gc, weakref; from mm_magic.session.api import session; old = weakref.ref(session())"
    )
    kernel.run("%minimax panel", cell_id="a")
    kernel.run("%%minimax --max-tokens 1\nHi", cell_id="b")
    kernel.run("%unload_ext mm_magic")
    assert kernel.run("gc.collect(); print(old())").stdout == "None\n"
