"""The panel's widgets, and nothing of what they mean.

Text of models, servers and users goes into labels, inputs and options, which show it as it is:
no widget here draws HTML.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from mm_magic.jupyter.arguments import read_value
from mm_magic.jupyter.panel.text import DIMMED, LIVE, decimal
from mm_magic.protocol.request import DEFAULT_TEMPERATURE, DEFAULT_TOP_P, DOCUMENTED_MAX_TOKENS
from mm_magic.session.options import ROWS, UNSET, Row

Widget = Any  # ipywidgets has no types

SMALLEST = 0.01
"""The sliders' left end; the range of temperature and top_p is open there."""
DIGITS = 4
"""Of a slider's value."""
_NAME = {"description_width": "6.5em"}


class Controls:
    """The widgets by name, and `root`, which holds them all."""

    def __init__(self) -> None:
        self.who = ipywidgets.Label(layout=_layout("1 1 16em"))
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", disabled=True, layout={"width": "7em"}
        )
        self.model = ipywidgets.Combobox(
            description="model",
            placeholder="choose or type any name",
            tooltip="Any name may be typed; empty the field to see all that are known",
            continuous_update=False,
            style=_NAME,
            layout=_field(),
        )
        self.conversation = ipywidgets.Dropdown(
            description="conversation", style=_NAME, layout=_layout("1 1 12em")
        )
        self.new = _small_button("New", "Begin another conversation")
        self.reset = _small_button("Reset", "Forget the turns of this conversation")
        self.numbers = {
            row.name: (_number_box(row.name), _slider(row))
            for row in ROWS
            if row.flags and row.kind in ("number", "count")
        }
        self.thinking = ipywidgets.Dropdown(
            options=("auto", "adaptive", "disabled"),
            description="thinking",
            style=_NAME,
            layout=_layout("1 1 12em"),
        )
        self.hide = ipywidgets.Checkbox(
            description="hide thinking", indent=False, layout={"width": "9em"}
        )
        self.system = ipywidgets.Textarea(
            description="system",
            placeholder="the role and style the model should adopt",
            continuous_update=False,
            rows=2,
            style=_NAME,
            layout=_layout("1 1 100%"),
        )
        self.line = ipywidgets.Textarea(
            description="as a line",
            continuous_update=False,
            rows=2,
            style=_NAME,
            layout=_layout("1 1 100%"),
        )
        self.line.add_class(f"{LIVE}-line")
        self.meter = ipywidgets.Label(layout=_layout("1 1 16em"))
        self.note = ipywidgets.Label(layout=_layout("1 1 100%"), style={"font_weight": "bold"})
        self.by_setting: Mapping[str, Sequence[Widget]] = {
            "model": [self.model],
            **self.numbers,
            "thinking": [self.thinking],
            "hide_thinking": [self.hide],
            "system": [self.system],
            "conversation": [self.conversation],
        }
        self._boxes: list[Widget] = []
        self.root = self._arranged()
        self.root.add_class(LIVE)

    def close(self) -> None:
        """Take all widgets off the page."""
        own = [each for each in vars(self).values() if isinstance(each, ipywidgets.Widget)]
        numbers = [widget for pair in self.numbers.values() for widget in pair]
        for widget in (self.root, *self._boxes, *numbers, *own):
            widget.close()

    def _arranged(self) -> Widget:
        fields = self._row(
            self.model,
            self._group(self.conversation, self.new, self.reset),
            *(self._group(*pair) for pair in self.numbers.values()),
            self._group(self.thinking, self.hide),
            self.system,
            self.line,
        )
        head, foot = self._row(self.who, self.stop), self._row(self.meter, self.note)
        return ipywidgets.VBox([head, fields, foot], layout={"max_width": "68em"})

    def _row(self, *widgets: Widget) -> Widget:
        """Side by side, or below one another where the column is narrow."""
        box = ipywidgets.Box(
            widgets, layout={"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 1em"}
        )
        self._boxes.append(box)
        return box

    def _group(self, *widgets: Widget) -> Widget:
        """What belongs together, on one line if there is room."""
        box = ipywidgets.Box(
            widgets, layout={**_field(), "flex_flow": "row wrap", "align_items": "center"}
        )
        self._boxes.append(box)
        return box


def show_value(widget: Widget, value: Any) -> None:
    """Show the value of a setting, also where a slider does not reach as far.

    None is not set: the box is empty, and the slider stays where it is, dimmed.
    """
    if isinstance(widget, ipywidgets.FloatSlider | ipywidgets.IntSlider):
        if value is None:
            widget.add_class(DIMMED)
            return
        widget.remove_class(DIMMED)
    if isinstance(widget, ipywidgets.FloatSlider):
        set_fraction(widget, value)
    elif isinstance(widget, ipywidgets.IntSlider):
        widget.value = min(value, widget.max)
    elif isinstance(widget, ipywidgets.Dropdown) and value not in widget.options:
        set_options(widget, [*widget.options, value], value)
    elif isinstance(widget, ipywidgets.Text):
        widget.value = "" if value is None else decimal(value) if value != str(value) else value
    else:
        widget.value = value


def read(name: str, widget: Widget, value: Any) -> Any:
    """What a widget was moved to, as a value of the setting. Raises UsageError for no number."""
    row = next(row for row in ROWS if row.name == name)
    if isinstance(value, float):
        return round(value, DIGITS)  # the browser's arithmetic gives 0.30000000000000004
    is_number = row.kind in ("number", "count") and isinstance(widget, ipywidgets.Text)
    return read_value(row, value.strip()) if is_number else value


def set_options(chooser: Widget, names: Sequence[str], chosen: str) -> None:
    """Offer these names; a changed list alone would choose its first."""
    if tuple(chooser.options) != tuple(names):
        with chooser.hold_sync():
            chooser.options = tuple(names)
            chooser.value = chosen


def set_fraction(slider: Widget, value: float) -> None:
    """Show a value in (0, 1]; a slider would cut one below its left end.

    One that shows it already is left alone: its noise, sent back rounded, would arrive after the
    next key was pressed, and undo it.
    """
    if round(slider.value, DIGITS) != value:
        with slider.hold_sync():
            slider.min = min(SMALLEST, value)
            slider.value = value


# A slider has no name that a screen reader reads. The box before it has: it takes the description.
_SLIDER: dict[str, Any] = {
    "continuous_update": False,
    "readout": False,
    "layout": {"flex": "1 1 6em", "width": "auto", "min_width": "6em"},
}


def _slider(row: Row) -> Widget:
    if row.kind == "count":
        most = DOCUMENTED_MAX_TOKENS
        return ipywidgets.IntSlider(min=1, max=most, value=most, step=1, **_SLIDER)
    usual = DEFAULT_TOP_P if row.name == "top_p" else DEFAULT_TEMPERATURE
    return ipywidgets.FloatSlider(min=SMALLEST, max=1.0, value=usual, step=0.01, **_SLIDER)


def _number_box(name: str) -> Widget:
    # A box for text: those for numbers can't be empty, and take the point out of 12.7.
    return ipywidgets.Text(
        description=name,
        placeholder=UNSET,
        continuous_update=False,
        style=_NAME,
        layout={"width": "12.5em"},
    )


def _small_button(text: str, meaning: str) -> Widget:
    return ipywidgets.Button(description=text, tooltip=meaning, layout={"width": "4.5em"})


def _field() -> dict[str, str]:
    return {"flex": "1 1 24em", "width": "auto", "min_width": "0"}


def _layout(flex: str) -> dict[str, str]:
    return {"flex": flex, "width": "auto", "min_width": "0"}
