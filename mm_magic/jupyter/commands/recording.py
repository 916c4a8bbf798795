"""`%minimax record` and `%minimax replay`: which file, and what is said of it."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import at_most_one, read_command
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.permissions import who_can_read
from mm_magic.jupyter.own_notebook import is_file, own_path
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.session.options import SWITCH, Kind, option
from mm_magic.wording import counted, in_window, plain, quoted

if TYPE_CHECKING:  # they come when a file is read or written: %load_ext is quick
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.file_format import Recording
    from mm_magic.transport.recording.writer import Recorder

# With a key and without: what a notebook says of its replay is to be the same for all its readers.
_BACK = "`%minimax live` switches to a server, `%minimax offline` to the demo."


def _speed(text: str) -> float:
    speed = math.inf if text == "max" else float(text)
    if not speed > 0:
        raise ValueError
    return speed


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """The options of `%minimax replay`. `speed` is a factor, math.inf for "max"."""

    speed: float = option(
        1.0, Kind(float, "a number above 0, or max", _speed), "--speed", metavar="N",
        help="play N times as fast; max does not wait", offers=("max", "2", "10"),
    )  # fmt: skip
    fill: bool = option(
        False, SWITCH, "--fill", help="ask a model for what is missing, and record it"
    )  # fmt: skip
    loose: bool = option(
        False, SWITCH, "--loose",
        help="accept the answer to the same prompt and options after any earlier turns",
    )  # fmt: skip
    show_list: bool = option(
        False, SWITCH, "--list", help="only list the prompts in FILE, or in the recording in use"
    )  # fmt: skip


def record(here: Here, words: Sequence[str]) -> None:
    """`%minimax record [FILE]`: write down each exchange; without FILE no longer."""
    file = at_most_one("record", words)
    session, before = here.session, here.session.recorder
    if file is None:
        if before is None or session.replaying is not None:
            raise UsageError(
                "nothing is being recorded",
                next_steps=("Name a file: `%minimax record lesson.jsonl`",),
            )
        session.recorder = None
        lines = [f"Recording stopped: {counted(before.count, 'new answer')} in {before.name}."]
        lines += [
            f"The cells did not run from top to bottom: on the saved page, those of conversation "
            f"{name} are in a different order."
            for name in _out_of_order(here)
        ]
        print(in_window("\n".join(map(plain, lines))))
        return
    if session.replaying is not None:
        raise UsageError(
            "answers come from a recording now, and can't be recorded again",
            next_steps=(_BACK, *_filling(session.replaying)),
        )
    session.recorder = _recorder(file)
    lines = [
        f"From now on, each prompt and its answer are recorded in {plain(file)}, without the "
        "key. Your readers will run all cells from the top, so run them in that order, too. "
        "`%minimax record` alone stops recording.",
        who_can_read(_absolute(file), file),
    ]
    print(in_window("\n".join(filter(None, lines))))


def replay(here: Here, words: Sequence[str]) -> None:
    """`%minimax replay [FILE]`: a recording answers, or this notebook's own saved turns."""
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.player import Replay

    file, given = read_command("replay", ReplayOptions, words)
    if given.show_list:
        _show_list(here, file)
        return
    path = _path(here, file)
    recording, lines = _loaded(path)
    answers = Replay(recording.exchanges)
    recorder = None
    if given.fill and not _is_notebook(path):
        from mm_magic.transport.recording.writer import Recorder

        recorder = Recorder(path, path.name, recording.exchanges, samples=answers.samples)
        recorder.on_recorded = answers.add
    replaying = Replaying(
        replay=answers,
        name=file or "",
        speed=given.speed,
        is_loose=given.loose,
        fills=given.fill,
    )
    here.session.replay(replaying, recorder)
    print(in_window("\n".join([_answering(path, given, recorder), *map(plain, lines)])))


def _show_list(here: Here, file: str | None) -> None:
    """Show what is recorded in a file, or in the recording in use; what answers stays."""
    from mm_magic.jupyter.commands.recording_table import recording_table
    from mm_magic.jupyter.views.finished import show
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.player import Replay

    session = here.session
    if file is None and session.replaying is not None:
        show(here.shell, recording_table(session.replaying))
        return
    is_recorded = file is None and session.recorder is not None
    path = session.recorder.path if is_recorded and session.recorder else _path(here, file)
    recording, lines = _loaded(path)
    name = path.name if is_recorded else file or ""
    show(here.shell, recording_table(Replaying(Replay(recording.exchanges), name), lines))


def _out_of_order(here: Here) -> list[str]:
    """The conversations whose cells did not run in the order of the notebook's file."""
    from mm_magic.conversation.notebook_file import load_bytes, read

    path = own_path(here.shell, running_cell(here.shell).id)
    if path is None or not is_file(path):
        return []
    try:
        cells = read(load_bytes(path, path.name), path.name).cells
    except UsageError:  # nothing is known of the page then
        return []
    place = {cell.id: number for number, cell in enumerate(cells)}
    return [
        name
        for name, conversation in here.session.conversations.items()
        if not _is_sorted(
            place[turn.key.cell_id]
            for turn in conversation.visible
            if turn.key and turn.key.cell_id in place
        )
    ]


def _path(here: Here, file: str | None) -> Path:
    """The file that is meant, whole: the kernel may change its folder."""
    if file is not None:
        return _absolute(file)
    path = own_path(here.shell, running_cell(here.shell).id)
    if path is None:
        raise UsageError(
            "this notebook's file is not known here",
            next_steps=("Name a recording, or the notebook: `%minimax replay FILE`",),
        )
    return path


def _answering(path: Path, given: ReplayOptions, recorder: "Recorder | None") -> str:
    """It says nothing of the file but its name: it may be filled from one run to the next."""
    who = "the saved turns of" if _is_notebook(path) else "the recording"
    told = f"From now on, answers come from {who} {path.name}. "
    if given.fill:
        told += "A model is asked for what is missing"
        told += ", and the answers are recorded. " if recorder else ". "
    if given.loose:
        told += "The earlier turns may differ. "
    return plain(told + _BACK)


def _filling(replaying: "Replaying") -> list[str]:
    """How to add to the recording that answers now; to a notebook's turns nothing can be added."""
    name = replaying.name
    if not name or replaying.fills or _is_notebook(Path(name)):
        return []
    command = f"%minimax replay {quoted(name) or 'FILE'} --fill"
    return [f"To add what is missing: `{command}`"]


def _recorder(file: str) -> "Recorder":
    """For a new file, or for one that is a recording. Raises UsageError."""
    from mm_magic.conversation.notebook_file import load_bytes
    from mm_magic.transport.recording.reader import read
    from mm_magic.transport.recording.writer import Recorder, create

    path = _absolute(file)
    if not os.path.lexists(path):  # exists() may raise; where it can't be told, `create` tells
        create(path, path.name)
        return Recorder(path, path.name)
    return Recorder(path, path.name, read(load_bytes(path, path.name), path.name).exchanges)


def _loaded(path: Path) -> "tuple[Recording, list[str]]":
    """What a file holds, and what to say of it. Raises UsageError."""
    from mm_magic.conversation import notebook_file
    from mm_magic.transport.recording.reader import read

    data = notebook_file.load_bytes(path, path.name)
    if not _is_notebook(path):
        recording = read(data, path.name)
        damaged = [f"Line {n} is damaged and was left out: {why}." for n, why in recording.damaged]
        unfinished = sum(not each.is_offered for each in recording.exchanges)
        if unfinished:
            damaged.append(f"{counted(unfinished, 'answer')} left out: stopped or broken off.")
        return recording, damaged
    from mm_magic.session.notebook_as_recording import recording_of

    recording = recording_of(notebook_file.read(data, path.name))
    if not recording.exchanges:
        raise UsageError(
            f"{notebook_file.shown(path.name)} holds no turns that can be replayed",
            next_steps=("Save the notebook with its answers, or name a recording.",),
        )
    return recording, [f"Turn {n} is not replayed: {why}." for n, why in recording.damaged]


def _is_sorted(numbers: Iterable[int]) -> bool:
    return all(first <= second for first, second in pairwise(numbers))


def _is_notebook(path: Path) -> bool:
    return path.suffix == ".ipynb"


def _absolute(file: str) -> Path:
    try:
        return Path(file).expanduser().absolute()
    except (RuntimeError, OSError):  # ~nobody; the kernel's own folder is gone
        raise UsageError(f"there is no folder {file!r}") from None
