"""The panel's widgets, made from the table of options; nothing of what moving them means.

Text of models, servers and users goes into labels, inputs and options, which show it as it is.
The one widget that draws HTML is the Copy button, whose text never changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import ipywidgets

from mm_magic.errors import UsageError
from mm_magic.jupyter.lists import several
from mm_magic.jupyter.panel.text import DIMMED, LIVE
from mm_magic.session.options import BY_NAME, COUNT, ROWS, SWITCH, UNSET, Row
from mm_magic.wording import counted

Widget = Any  # ipywidgets has no types
Reading: TypeAlias = Callable[[Any], object]
"""What a widget's value means for the option. Raises UsageError."""

DIGITS = 4
"""Of a slider's value: the browser's arithmetic gives 0.30000000000000004."""
RESET_MEANING = "Forget the turns of this conversation; the settings stay as they are"
SET_BACK_MEANING = "Set all settings back to their defaults; the conversation stays as it is"
SMALL = "4.5em"
WIDE = "7.5em"
"""The widths of buttons."""
_NAME = {"description_width": "6.5em"}

COPIED = f"{LIVE}-copied"
"""The class of a field with its Copy button."""
WAIT = 250
"""Milliseconds: the click takes the cursor out of the box in which a value was just typed, and the
kernel's line for it has to arrive before it is copied."""
# The kernel can't reach the reader's clipboard. navigator.clipboard is missing on a hub without
# https, where this older way works; where neither does, the text is selected for the keyboard.
COPY = (
    f'<button class="jupyter-button widget-button" style="width:{WIDE}" '
    'title="Copy this field, to paste it into a cell" onclick="'
    f"const text=this.closest('.{COPIED}').querySelector('textarea');"
    f"setTimeout(()=>{{text.focus();text.select();"
    "this.textContent=document.execCommand('copy')?'Copied':'Press Ctrl+C';"
    f"text.addEventListener('blur',()=>{{this.textContent='Copy'}},{{once:true}})}},{WAIT})"
    '">Copy</button>'
)


class Setting:
    """One option's widget. `sources` are its widgets, each with how its value is read."""

    def __init__(self, widget: Widget) -> None:
        self.widget = widget
        self.sources: list[tuple[Widget, Reading]] = [(widget, lambda value: value)]

    def show(self, value: Any) -> None:
        """Show what is set."""
        self.widget.value = value


class Choice(Setting):
    """One of several words, in a list that opens. The value None would choose none of them."""

    def show(self, value: Any) -> None:
        word = UNSET if value is None else value
        if word not in self.widget.options:
            self.offer([*self.widget.options, word], word)
        else:
            self.widget.value = word

    def offer(self, words: Sequence[str], chosen: str) -> None:
        """Offer these; a changed list alone would choose its first."""
        if list(self.widget.options) != list(words):
            with self.widget.hold_sync():
                self.widget.options = words
                self.widget.value = chosen


class Number(Setting):
    """A box to type in, empty while the option is not set, and a slider.

    The slider is grey then, and stands at the usual value.

    The boxes and sliders for numbers refuse None, and the browser's part of IntText takes the
    point out of 12.7: so the box is one for text.
    """

    def __init__(self, row: Row, box: Widget, slider: Widget) -> None:
        super().__init__(box)
        self.slider = slider
        self._row = row
        self.sources = [(box, self._typed), (slider, lambda value: round(value, DIGITS))]

    def show(self, value: Any) -> None:
        """Show it, also where the slider does not reach as far.

        A slider that shows it already is left alone: its noise, sent back rounded, would arrive
        after the next key was pressed, and undo it.
        """
        slider = self.slider
        if value is None:
            assert self._row.scale is not None
            self.widget.value = ""
            slider.add_class(DIMMED)
            self._move_to(self._row.scale.usual)
            return
        self.widget.value = self._row.text(value)
        slider.remove_class(DIMMED)
        self._move_to(value)

    def _move_to(self, value: Any) -> None:
        slider = self.slider
        if round(slider.value, DIGITS) != value:
            with slider.hold_sync():
                slider.min = min(slider.min, value)
                slider.value = min(value, slider.max)

    def _typed(self, text: str) -> object:
        if "," in text and len(several(self._row, [text], Row.read, ())) > 1:
            raise UsageError(
                f"{self._row.name} must be one value, got {text!r}",
                next_steps=("For several values, click Compare.",),
            )
        return self._row.read(text.strip() or UNSET)


class Several:
    """A box for several values of one option, which only the line takes up.

    `why` tells beside it what is wrong with them. Both are hidden while nobody compares.
    """

    def __init__(self, row: Row) -> None:
        self._row = row
        self.box = ipywidgets.Text(
            description="compare", continuous_update=False, style=_NAME,
            placeholder="100, 500" if row.kind is COUNT else "0.1, 0.5, 1",
            layout={**_flex("1 1 24em"), "max_width": "24em"},  # too wide to fit beside the slider
        )  # fmt: skip
        self.why = _note()

    def show(self, *, is_open: bool, why: str) -> None:
        """Show the box or hide it, and what is wrong with its values."""
        self.box.layout.display = None if is_open else "none"
        _tell(self.why, why)

    def read(self) -> tuple[object, ...]:
        """The values, as a line has them; none where the box is empty. Raises UsageError."""
        text = self.box.value.strip()
        return several(self._row, [text], Row.read, ()) if text else ()


class Controls:
    """The widgets: `settings` by the names of the options, and `root`, which holds them all."""

    def __init__(self) -> None:
        self.settings = {row.name: _setting(row) for row in ROWS if row.in_panel}
        self.several = {row.name: Several(row) for row in ROWS if row.scale and row.varies}
        self.notes = {name: _note() for name in self.settings if BY_NAME[name].kind is not SWITCH}
        self.who = _label()
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", disabled=True, layout={"width": "7em"}
        )
        self.new = _small_button("New", "Start a new conversation")
        self.reset = _small_button("Reset", RESET_MEANING)
        self.keep = _small_button("Keep", "Keep the turns")
        self.ask_before_reset(0)
        self.line = _paragraph("as a line")
        self.before = _paragraph("cell before it")
        self._before_row = _copied(self.before)
        self.compare = ipywidgets.ToggleButton(
            description="Compare", layout={"width": WIDE},
            tooltip="Ask with several values in one cell: opens a box below each slider",
        )  # fmt: skip
        self.hint = ipywidgets.Label(layout=_flex("1 1 100%"))
        self.meter = _label()
        self.defaults = ipywidgets.Button(
            description="Defaults", tooltip=SET_BACK_MEANING, layout={"width": WIDE}
        )
        fields = _row(*self._fields())
        fields.layout.align_items = "flex-start"  # a note makes one field higher than its neighbour
        rows = [_row(self.who, self.stop), fields, _row(self.meter, self.defaults)]
        # A slider's handle reaches over its end, and nothing is to touch the edge of a side view.
        self.root = ipywidgets.VBox(rows, layout={"max_width": "68em", "padding": "0 8px 0 4px"})
        self.root.add_class(LIVE)

    @property
    def model(self) -> Widget:
        return self.settings["model"].widget

    @property
    def conversation(self) -> Choice:
        found = self.settings["conversation"]
        assert isinstance(found, Choice)
        return found

    def ask_before_reset(self, turns: int) -> None:
        """Ask on the button whether to forget so many turns; 0 asks nothing.

        It is the same button in the same place, for a second click or Enter; *Keep* takes New's.
        """
        button = self.reset
        button.description = f"Forget {turns}?" if turns else "Reset"
        button.tooltip = (
            f"Click again to forget {counted(turns, 'turn')}" if turns else RESET_MEANING
        )
        button.button_style = "danger" if turns else ""
        button.layout.width = "auto" if turns else SMALL
        self.keep.layout.display = None if turns else "none"
        self.new.layout.display = "none" if turns else None

    def show_lines(self, lines: Sequence[str]) -> None:
        """Show the line that begins a cell, and above it what has to stand in a cell before."""
        *before, self.line.value = lines
        self.before.value = "\n".join(before)
        self._before_row.layout.display = None if before else "none"

    def show_several(self, wrong: Mapping[str, str], hint: str) -> None:
        """Show the boxes for several values, and what is `wrong`, by option, if they are open."""
        is_open = self.compare.value
        for name, each in self.several.items():
            each.show(is_open=is_open, why=wrong.get(name, ""))
        self.hint.value = hint
        self.hint.layout.display = None if is_open else "none"

    def show_notes(self, notes: Mapping[str, str]) -> None:
        """Show below each option's widgets what there is to say of it, and nothing below others."""
        for name, note in self.notes.items():
            _tell(note, notes.get(name, ""))

    def close(self) -> None:
        """Take all widgets off the page, and what lays them out.

        ipywidgets keeps each of them until it is closed, and closes none with its widget.
        """
        widgets = [*_tree(self.root)]
        parts = [getattr(each, part, None) for each in widgets for part in ("layout", "style")]
        for each in [*widgets, *filter(None, parts)]:
            each.close()

    def _fields(self) -> list[Widget]:
        """The options in boxes, each with what belongs to it; a switch joins the last line that a
        text does not fill."""
        groups: list[list[Widget]] = []
        for name, setting in self.settings.items():
            widgets = [widget for widget, _ in setting.sources]
            if name in self.several:
                widgets += [self.several[name].box, self.several[name].why]
            if BY_NAME[name].kind is SWITCH:
                next(each for each in reversed(groups) if not _fills_line(each)).extend(widgets)
            else:
                groups.append(widgets)
            if name == "conversation":
                groups[-1].append(_together(self.new, self.keep, self.reset))
            if name in self.notes:
                groups[-1].append(self.notes[name])
        line = _copied(self.line, self.compare)
        return [*map(_group, groups), self.hint, self._before_row, line]


def _setting(row: Row) -> Setting:
    if row.scale is not None:
        return Number(row, _box(row), _slider(row))
    if row.kind is SWITCH:
        return Setting(
            ipywidgets.Checkbox(
                description=row.help.partition(",")[0],
                indent=False,
                layout={
                    "width": "auto",
                    "max_width": "calc(100% - 1.2em)",
                    "margin": "2px 2px 2px 1em",
                },
            )
        )
    if row.words or row.offers == "conversations":
        words = (*((UNSET,) if row.may_be_unset else ()), *row.words)
        return Choice(
            ipywidgets.Dropdown(
                options=words, description=row.name, style=_NAME,
                layout={**_flex("1 1 12em"), "max_width": "24em"},
            )
        )  # fmt: skip
    if row.offers:
        return Setting(
            ipywidgets.Combobox(
                description=row.name, placeholder="choose a name, or type one",
                continuous_update=False, style=_NAME, layout=_flex("1 1 12em"),
            )
        )  # fmt: skip
    return Setting(_paragraph(row.name, placeholder=row.help))


def _box(row: Row) -> Widget:
    return ipywidgets.Text(
        description=row.name, placeholder=UNSET if row.may_be_unset else "",
        continuous_update=False, style=_NAME, layout={"width": "12.5em"},
    )  # fmt: skip


def _slider(row: Row) -> Widget:
    """It has no name that a screen reader reads. The box before it has: it takes the label."""
    assert row.scale is not None
    is_count = row.kind is COUNT
    return (ipywidgets.IntSlider if is_count else ipywidgets.FloatSlider)(
        row.scale.usual, min=row.scale.low, max=row.scale.high, step=1 if is_count else 0.01,
        continuous_update=False, readout=False,
        layout={"flex": "1 1 6em", "width": "auto", "min_width": "6em"},
    )  # fmt: skip


def _paragraph(name: str, placeholder: str = "") -> Widget:
    return ipywidgets.Textarea(
        description=name, placeholder=placeholder, continuous_update=False, rows=2, style=_NAME,
        layout=_flex("1 1 100%"),
    )  # fmt: skip


def _copied(field: Widget, *more: Widget) -> Widget:
    """A field of code, with a button that copies it, and more buttons.

    They stand in a column beside the field, and in a row below it where the page is narrow.
    """
    field.add_class(f"{LIVE}-line")
    field.layout.flex = "100 1 20em"
    copy = ipywidgets.HTML(COPY)
    buttons = ipywidgets.Box(
        [copy, *more],
        layout={**_flex("1 1 8em"), "flex_flow": "row wrap", "justify_content": "flex-end"},
    )
    row = ipywidgets.Box(
        [field, buttons],
        layout={**_flex("1 1 100%"), "flex_flow": "row wrap", "align_items": "center"},
    )
    row.add_class(COPIED)
    return row


def _note() -> Widget:
    """A sentence below a box, where the box begins."""
    layout = {**_flex("1 1 100%"), "margin": "0 0 0 calc(6.5em + 11px)", "display": "none"}
    return ipywidgets.Label(layout=layout, style={"font_weight": "bold"})


def _tell(note: Widget, text: str) -> None:
    note.value = text
    note.layout.display = None if text else "none"


def _label() -> Widget:
    return ipywidgets.Label(layout=_flex("1 1 16em"))


def _small_button(text: str, meaning: str) -> Widget:
    return ipywidgets.Button(description=text, tooltip=meaning, layout={"width": SMALL})


def _together(*buttons: Widget) -> Widget:
    """Buttons that stand in one line, at the end of it where they have it for themselves."""
    return ipywidgets.Box(
        buttons, layout={"flex": "0 0 auto", "margin": "0 0 0 auto", "overflow": "visible"}
    )


def _row(*widgets: Widget) -> Widget:
    """Side by side, or below one another where the column is narrow."""
    return ipywidgets.Box(
        widgets, layout={"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 1em"}
    )


def _group(widgets: Sequence[Widget]) -> Widget:
    """What belongs together, on one line if there is room; a text has a line of its own."""
    basis = "100%" if _fills_line(widgets) else "24em"
    return ipywidgets.Box(
        widgets, layout={**_flex(f"1 1 {basis}"), "flex_flow": "row wrap", "align_items": "center"}
    )


def _fills_line(widgets: Sequence[Widget]) -> bool:
    return isinstance(widgets[0], ipywidgets.Textarea)


def _flex(flex: str) -> dict[str, str]:
    return {"flex": flex, "width": "auto", "min_width": "0"}


def _tree(widget: Widget) -> Iterator[Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _tree(child)
