"""`%minimax record` and `%minimax replay`: which file, and what is said of it."""

import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mm_magic.conversation.turn import is_notebook_name
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import at_most_one, read_command
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.permissions import who_can_read
from mm_magic.jupyter.own_notebook import UNKNOWN_FILE, is_file, own_path
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.options import SWITCH, Kind, option
from mm_magic.web_page import in_page, readable
from mm_magic.wording import capitalised, closest, counted, plain, quoted, turns_listed, was

if TYPE_CHECKING:  # they come when a file is read or written: %load_ext is quick
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.file_format import Recording
    from mm_magic.transport.recording.writer import Recorder

# With a key and without: what a notebook says of its replay is to be the same for all its readers.
_BACK = "`%minimax live` switches to a server, `%minimax offline` to the demo."
_BACK_IN_PAGE = "`%minimax offline` switches to the demo."


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
        help="play N times as fast; max plays without pauses", offers=("max", "2", "10"),
    )  # fmt: skip
    fill: bool = option(
        False, SWITCH, "--fill",
        help="with a key, ask a model for what is missing and add it to FILE",
    )  # fmt: skip
    loose: bool = option(
        False, SWITCH, "--loose",
        help="ignore the earlier turns: only the prompt and options must match",
    )  # fmt: skip
    show_list: bool = option(
        False, SWITCH, "--list", help="only list the prompts in FILE, or in the recording in use"
    )  # fmt: skip


def record(here: Here, words: Sequence[str]) -> None:
    """`%minimax record [FILE]`: write down each exchange; without FILE no longer."""
    file = at_most_one("record", words)
    recordings = here.session.recordings
    before = recordings.recorder
    if file is None:
        if before is None or recordings.replaying is not None:
            raise UsageError(
                "nothing is being recorded",
                next_steps=("Name a file: `%minimax record lesson.jsonl`",),
            )
        recordings.recorder = None
        lines = [f"Recording stopped: {counted(before.count, 'new answer')} in {before.name}."]
        lines += [
            f"The cells of conversation {name} did not run in the order in which they "
            "appear in the saved notebook."
            for name in _out_of_order(here)
        ]
        print_lines("\n".join(map(plain, lines)))
        return
    if recordings.replaying is not None:
        raise UsageError(
            "answers now come from a recording and can't be recorded again",
            next_steps=(_BACK, *_filling(recordings.replaying)),
        )
    recordings.recorder = _recorder(file)
    lines = [
        f"From now on, each prompt and its answer are recorded in {plain(file)}, without the "
        "key. Your readers will run all cells from the top, so run them in that order, too. "
        "`%minimax record` by itself stops recording.",
        who_can_read(_absolute(file), file),
    ]
    print_lines("\n".join(filter(None, lines)))


def replay(here: Here, words: Sequence[str]) -> None:
    """`%minimax replay [FILE]`: a recording answers, or this notebook's own saved turns."""
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.player import Replay

    file, given = read_command("replay", ReplayOptions, words)
    if given.show_list:
        _show_list(here, file)
        return
    path = _path(here, file)
    begun = _begun(path, str(file)) if given.fill and here.session.requests.can_fill else []
    recording, lines = _loaded(path, file, is_trusted=_is_trusted(here, path))
    answers = Replay(recording.exchanges)
    recorder = None
    if given.fill and not is_notebook_name(path.name):
        from mm_magic.transport.recording.writer import Recorder

        recorder = Recorder(path, path.name, recording, samples=answers.samples)
        recorder.on_recorded = answers.add
    replaying = Replaying(
        replay=answers,
        name=file or "",
        speed=given.speed,
        is_loose=given.loose,
        fills=given.fill,
    )
    here.session.replay(replaying, recorder)
    if not given.fill and not any(each.is_offered for each in recording.exchanges):
        lines += [f"{path.name} holds no complete answers yet.", *_filling(replaying)]
    lines += _unsaved(here, path, "replayed", "%minimax replay")
    told = [*begun, _answering(path, given, recorder), *lines]
    print_lines("\n".join(map(plain, told)))


def _show_list(here: Here, file: str | None) -> None:
    """Show what is recorded in a file, or in the recording in use; what answers stays."""
    from mm_magic.jupyter.commands.recording_table import recording_table
    from mm_magic.jupyter.views.finished import show
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.recording.player import Replay

    recordings = here.session.recordings
    if file is None and recordings.replaying is not None:
        show(here.shell, recording_table(recordings.replaying))
        return
    recorder = recordings.recorder if file is None else None
    path = recorder.path if recorder else _path(here, file)
    recording, lines = _loaded(path, file)
    lines += _unsaved(here, path, "listed", "%minimax replay --list")
    name = path.name if recorder else file or ""
    show(here.shell, recording_table(Replaying(Replay(recording.exchanges), name), lines))


def _unsaved(here: Here, path: Path, what: str, command: str) -> list[str]:
    """Which turns of this kernel are not `what`: its notebook's file at `path` lacks them yet."""
    from mm_magic.conversation.notebook_file import load_bytes, read

    if path != own_path(here.shell, running_cell(here.shell).id):
        return []
    held = {each.turn.id for each in read(load_bytes(path, path.name), path.name).found}
    missing = {
        name: [turn.number for turn in conversation.visible if turn.id not in held]
        for name, conversation in here.session.conversations.items()
    }
    return [
        f"{capitalised(turns_listed(numbers))} of {name} {'are' if len(numbers) > 1 else 'is'} not "
        f"{what}, because the notebook has not been saved since "
        f"{'they' if len(numbers) > 1 else 'it'} ran. Save it, then run `{command}` again."
        for name, numbers in missing.items()
        if numbers
    ]


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
            UNKNOWN_FILE,
            next_steps=("Name a recording, or the notebook: `%minimax replay FILE`",),
        )
    return path


def _answering(path: Path, given: ReplayOptions, recorder: "Recorder | None") -> str:
    """It says nothing of the file but its name: it may be filled from one run to the next."""
    who = "the saved turns of" if is_notebook_name(path.name) else "the recording"
    told = f"From now on, answers come from {who} {path.name}. "
    if given.fill:
        told += "If a model is available, it answers prompts that are not in the recording"
        told += ", and its answers are added. " if recorder else ". "
    if given.loose:
        told += "Recorded answers may have been given with different earlier turns. "
    return told + (_BACK_IN_PAGE if in_page() else _BACK)


def _filling(replaying: "Replaying") -> list[str]:
    """How to add to the recording that answers now; to a notebook's turns nothing can be added."""
    name = replaying.name
    if not name or replaying.fills or is_notebook_name(name):
        return []
    command = f"%minimax replay {quoted(name) or 'FILE'} --fill"
    return [f"To add what is missing: `{command}`"]


def _recorder(file: str) -> "Recorder":
    """For a new file, or for one that is a recording. Raises UsageError."""
    from mm_magic.conversation.notebook_file import load_bytes
    from mm_magic.transport.recording.reader import read
    from mm_magic.transport.recording.writer import Recorder, begin

    path = _absolute(file)
    if begin(path, path.name):
        return Recorder(path, path.name)
    return Recorder(path, path.name, read(load_bytes(path, path.name), path.name))


def _begun(path: Path, file: str) -> list[str]:
    """Begin a recording where none is, which the user calls `file`; what to say of that."""
    from mm_magic.transport.recording.writer import begin

    if is_notebook_name(path.name) or not begin(path, path.name):
        return []
    beside = _beside(path)
    told = f"Started a new recording, {path.name}."
    told += f" Did you mean {beside}, which is in the same folder?" if beside else ""
    return [told, *filter(None, [who_can_read(path, file)])]


def _beside(path: Path) -> str | None:
    """The recording in its folder whose name is so like this one that it may be meant."""
    from mm_magic.transport.recording.file_format import version_of

    names = {other.stem: other for other in path.parent.glob("*.jsonl") if other != path}
    stem = closest(path.stem, [*names], cutoff=0.7)
    if stem is None:
        return None
    with suppress(OSError, UsageError), names[stem].open("rb") as found:
        if version_of(found.readline(1000), "") is not None:
            return names[stem].name
    return None


def _instead(path: Path, file: str) -> str:
    """What to do where there is no recording `path`, which the user calls `file`."""
    if beside := _beside(path):
        other = quoted(str(Path(file).with_name(beside))) or "FILE"
        return f"{beside} is in the same folder: `%minimax replay {other}`"
    line = f"`%minimax record {quoted(file) or 'FILE'}`"
    return f"To create it from the answers of your next cells, including the demo's: {line}"


def _is_trusted(here: Here, path: Path) -> bool:
    """False for this notebook's own file if Jupyter does not trust it."""
    return here.session.trusts_file or path != own_path(here.shell, running_cell(here.shell).id)


def _loaded(
    path: Path, file: str | None, *, is_trusted: bool = True
) -> "tuple[Recording, list[str]]":
    """What a file holds, and what to say of it. Raises UsageError."""
    from mm_magic.conversation import notebook_file
    from mm_magic.transport.recording.reader import read

    try:
        data = notebook_file.load_bytes(path, path.name)
    except UsageError as error:
        if file is not None and not os.path.lexists(path) and not is_notebook_name(path.name):
            error.next_steps = (_instead(path, file),)
        raise
    if not is_notebook_name(path.name):
        recording = read(data, path.name)
        damaged = [f"Line {n} is damaged and was left out: {why}." for n, why in recording.damaged]
        unfinished = sum(not each.is_offered for each in recording.exchanges)
        if unfinished:
            told = counted(unfinished, "incomplete answer")
            damaged.append(f"{told} {was(unfinished)} left out.")
        return recording, damaged
    from mm_magic.session.notebook_as_recording import recording_of

    recording = recording_of(notebook_file.read(data, path.name), is_trusted=is_trusted)
    if not recording.exchanges:
        raise UsageError(
            f"{notebook_file.shown(path.name)} holds no turns that can be replayed",
            next_steps=("Save the notebook with its answers, or name a recording.",),
        )
    return recording, [f"Turn {n} is not replayed: {why}." for n, why in recording.damaged]


def _is_sorted(numbers: Iterable[int]) -> bool:
    return all(first <= second for first, second in pairwise(numbers))


def _absolute(file: str) -> Path:
    try:
        return readable(Path(file).expanduser().absolute())
    except (RuntimeError, OSError):  # ~nobody; the kernel's own folder is gone
        raise UsageError(f"the folder of {file!r} does not exist") from None
