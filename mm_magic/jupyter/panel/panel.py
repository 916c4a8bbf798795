"""`%minimax panel`: the settings as widgets, in step with `%config` and Python.

The session's options are the only truth: a widget sets one, its trait follows, and every panel
shows what then holds. Callbacks may come on any thread, also while a cell runs. Nothing is
displayed from them but updates of what `show_panel` displayed.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from threading import Lock, get_ident
from typing import Any, TypeAlias

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.catalog import MODELS, max_tokens_warning
from mm_magic.conversation.saved_turn import record_json
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.jupyter.config import MiniMax, in_one_line
from mm_magic.jupyter.panel.model_list import ModelList
from mm_magic.jupyter.panel.text import (
    SET_BACK,
    Reach,
    hint,
    reach,
    reproducing,
    still,
    still_text,
    who_answers,
)
from mm_magic.jupyter.panel.widgets import Controls, Reading
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.finished import Page
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.rendering.bundles import Bundle
from mm_magic.session.options import BY_NAME, Options
from mm_magic.session.session import Session
from mm_magic.session.variants import number_of
from mm_magic.web_page import in_page
from mm_magic.wording import counted, turns_listed, was

USE_TOOLBAR = "use ■"
STOP_MEANING = "Stop the answer; what has arrived stays"
WHY_TOOLBAR = "Only ■ in the toolbar stops this cell: clicks here take effect only after it ends"
RESTART = "restart the kernel"
WHY_RESTART = (
    "In a web page, only restarting the kernel stops a cell: clicks here take effect after it ends"
)

Panels: TypeAlias = "dict[object, Panel]"
"""The panels on the pages of one kernel, by cell where that is known."""


def show_panel(
    shell: InteractiveShell, session: Session, settings: MiniMax, panels: Panels
) -> None:
    """Show the panel under the running cell: its summary, and the widgets where they can live.

    It is put into `panels`, in the place of the cell's earlier one.
    """
    cell = running_cell(shell)
    if cell.audience == "terminal":
        print_lines(still_text(session.options))
        return
    page = Page(shell)
    if cell.audience == "nobody":
        page.show("still", still(session.options), update=False)
        return
    panel = Panel(session, settings, lambda: reach_of(shell))
    place = cell.id or object()
    if (before := panels.pop(place, None)) is not None:
        before.close()
        panel.forgotten = before.forgotten
    panels[place] = panel
    page.show("still", panel.still(), update=False)
    panel.show_still = lambda: page.show("still", panel.still(), update=True)
    view = {"model_id": panel.controls.root.model_id, "version_major": 2, "version_minor": 0}
    bundle: Bundle = {"application/vnd.jupyter.widget-view+json": view, "text/plain": ""}
    page.show("live", bundle, update=False)


def reach_of(shell: InteractiveShell) -> Reach:
    """Which running cells a click can reach in this kernel now."""
    if in_page():
        return "none"
    try:
        number = version("ipykernel")
    except PackageNotFoundError:  # another kernel
        return "none"
    kernel = getattr(shell, "kernel", None)
    subshells = getattr(getattr(kernel, "shell_channel_thread", None), "manager", None)
    return reach(number, has_subshells=bool(subshells and subshells.list_subshell()))


class Panel:
    """One panel. It follows the settings and the session until it is closed."""

    def __init__(self, session: Session, settings: MiniMax, reach: Callable[[], Reach]) -> None:
        self._session = session
        self._settings = settings
        self._reach = reach
        self._told: dict[str, str] = {}  # what the last move led to, by the option that it is of
        self._to_reset: str | None = None  # the conversation for which Reset asks now
        self._lock = Lock()
        self._refreshing: int | None = None  # the thread that sets the widgets now
        self._shown: Options | None = None
        self.forgotten: set[str] = set()  # the conversations that were reset here
        self.show_still: Callable[[], None] = lambda: None
        self.controls = Controls()
        self._models = ModelList(session)
        self.refresh()
        self._observe()

    def close(self) -> None:
        """Stop following, and take the widgets off the page."""
        self._settings.unobserve(self.refresh, list(BY_NAME))
        self._session.watchers.remove(self._session_changed)
        self._models.close()
        self.controls.close()

    def still(self) -> Bundle:
        """What the file keeps: the summary, and the mark of what was reset, which would else
        come back from it."""
        bundle = still(self._session.options)
        if self.forgotten:
            conversations = map(self._session.conversations.named, sorted(self.forgotten))
            bundle[TURN_MIME] = record_json([], [(each.name, each.state) for each in conversations])
        return bundle

    def refresh(self, _change: object = None, *, anew: str | None = None) -> None:
        """Show what holds now, and the setting `anew` again. May be called on any thread."""
        with self._lock:
            self._refreshing = get_ident()
            try:
                self._show(self._session.options, anew)
            finally:
                self._refreshing = None

    def _observe(self) -> None:
        controls = self.controls
        for name, setting in controls.settings.items():
            for widget, read in setting.sources:
                widget.observe(partial(self._moved, name, read), "value")
        for several in controls.several.values():
            several.box.observe(self.refresh, "value")
        controls.compare.observe(self._compare, "value")
        for field in (controls.line, controls.before):  # they are there to be copied
            field.observe(self._undo, "value")
        controls.new.on_click(lambda _: self._begin_conversation())
        controls.reset.on_click(lambda _: self._reset())
        controls.defaults.on_click(lambda _: self._set_back())
        controls.keep.on_click(lambda _: self._keep())
        controls.stop.on_click(lambda _: self._stop())
        self._settings.observe(self.refresh, list(BY_NAME))
        self._session.watchers.append(self._session_changed)
        self._models.open()

    def _moved(self, name: str, read: Reading, change: dict[str, Any]) -> None:
        """The user moved something: set the option, or say why not."""
        if self._refreshing == get_ident():
            return
        self._told, self._to_reset = {}, None
        try:
            self._settings.say({name: read(change["new"])})
        except UsageError as error:
            self._told = {name: in_one_line(error)}
        self.refresh(anew=name)

    def _compare(self, _change: object) -> None:
        """Open or close the boxes for several values, with the cursor in the first."""
        self.refresh()
        if self.controls.compare.value:
            next(iter(self.controls.several.values())).box.focus()

    def _several(self) -> tuple[dict[str, tuple[object, ...]], dict[str, str]]:
        """The values to compare, by option, and what is wrong with those that can't be read."""
        found, wrong = {}, {}
        for name, several in self.controls.several.items():
            try:
                if self.controls.compare.value and (values := several.read()):
                    found[name] = values
            except UsageError as error:
                wrong[name] = in_one_line(error)
        return found, wrong

    def _undo(self, _change: object) -> None:
        if self._refreshing != get_ident():
            self.refresh()

    def _begin_conversation(self) -> None:
        self._told, self._to_reset = {}, None
        self._settings.say({"conversation": self._new_name()})

    def _set_back(self) -> None:
        self._told, self._to_reset = {}, None
        self._settings.set_back()
        for several in self.controls.several.values():
            several.box.value = ""
        self.refresh()

    def _stop(self) -> None:
        for run in tuple(self._session.running.runs):
            run.cancel()

    def _reset(self) -> None:
        """Ask at the first click, and forget at the second."""
        name = self._session.options.conversation
        if self._to_reset == name:
            told, self._to_reset = self._forget(name), None
        elif turns := self._number_of_turns(name):
            told = f"Click again to forget {counted(turns, 'turn')} of {name}."
            told += " The settings stay as they are."
            self._to_reset = name
        else:
            told = f"Reset forgets the turns of a conversation, but {name} has none. {SET_BACK}"
        self._told = {"conversation": told}
        self.refresh()

    def _keep(self) -> None:
        self._told, self._to_reset = {}, None
        self.refresh()

    def _forget(self, name: str) -> str:
        """Forget the turns of a conversation; return what to say of it."""
        try:
            gone = self._session.edits.forget(name)
        except MiniMaxError as error:
            return error.message
        self.forgotten.add(name)
        self.show_still()
        turns = turns_listed(turn.number for turn in gone)
        told = f"Conversation {name}: {turns} {was(len(gone))} forgotten."
        return f"{told} To undo this: %minimax restore"

    def _number_of_turns(self, name: str) -> int:
        there = self._session.conversations.get(name)
        return len(there.turns) if there else 0

    def _new_name(self) -> str:
        taken = self._conversations()
        return next(name for n in range(2, len(taken) + 3) if (name := f"chat-{n}") not in taken)

    def _conversations(self) -> list[str]:
        names = ("main", *self._session.conversations, self._session.options.conversation)
        return list(dict.fromkeys(names))

    def _session_changed(self) -> None:
        self.refresh()
        self._models.look()

    def _show(self, options: Options, anew: str | None) -> None:
        controls, before = self.controls, self._shown
        for name, setting in controls.settings.items():
            value = getattr(options, name)
            # Only what changed: another thread may be taking in what the reader moved just now.
            if before is None or name == anew or value != getattr(before, name):
                setting.show(value)
        controls.conversation.offer(self._conversations(), options.conversation)
        controls.model.options = tuple(dict.fromkeys([*self._session.models.offered, *MODELS]))
        varying, wrong = self._several()
        controls.show_several(wrong, hint(number_of(varying, 1)))
        controls.show_lines(reproducing(options, varying))
        controls.who.value = who_answers(self._session)
        controls.meter.value = f"Used: {self._session.meter.summary()}"
        turns = self._number_of_turns(options.conversation)
        if self._to_reset and not (turns and self._to_reset == options.conversation):
            self._told, self._to_reset = {}, None  # it was asked of what is not here any more
        controls.ask_before_reset(turns if self._to_reset else 0)
        controls.show_notes({**self._warnings(options), **self._told})
        self._show_stop()
        if before not in (None, options):
            self.show_still()
        self._shown = options

    def _warnings(self, options: Options) -> dict[str, str]:
        """What there is to say of values that may be set, by option."""
        offered = self._session.models.offered
        found = {"max_tokens": max_tokens_warning(options.model, options.max_tokens) or ""}
        found["thinking"] = self._session.models.thinking_note(options)
        if offered and options.model not in offered:
            found["model"] = f"The server does not list {options.model}."
        return found

    def _show_stop(self) -> None:
        runs, stop = tuple(self._session.running.runs), self.controls.stop
        can = self._reach()
        is_reached = can == "all" or (can == "awaited" and all(run.is_awaited for run in runs))
        is_of_use = is_reached or not runs
        stop.disabled = not runs
        instead, why = (RESTART, WHY_RESTART) if in_page() else (USE_TOOLBAR, WHY_TOOLBAR)
        stop.description, stop.icon = ("Stop", "stop") if is_of_use else (instead, "")
        stop.button_style = "danger" if runs and is_of_use else ""
        stop.tooltip = STOP_MEANING if is_of_use else why
