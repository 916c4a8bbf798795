"""The table of `%minimax replay --list`: each recorded prompt, and what answered it."""

from collections.abc import Sequence

from mm_magic.rendering.bundles import Bundle
from mm_magic.rendering.tables import table_bundle
from mm_magic.session.options import on_line
from mm_magic.session.replaying import Replaying
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.wording import model_name, shortened

PROMPT_CHARACTERS = 60
OPTIONS_CHARACTERS = 60
_NO_PROMPT = "[result of a call]"
"""Stands for the prompt of a request that goes on behind calls."""
COLUMNS = ("prompt", "options", "model", "answers")


def recording_table(replaying: Replaying, lines: Sequence[str] = ()) -> Bundle:
    """A row for each prompt with its options; below them what the recording is, and `lines`."""
    rows = [_row(answers) for answers in replaying.replay.questions()]
    told = f"The table shows {replaying.in_words()}." if rows else "There are no answers to list."
    return table_bundle(COLUMNS, rows, [told, *lines])


def _row(answers: Sequence[RecordedExchange]) -> list[str]:
    key = answers[0].key
    options = " ".join(on_line(name, value) or f"{name} …" for name, value in key.options.items())
    return [
        shortened(str(key) or _NO_PROMPT, PROMPT_CHARACTERS),
        shortened(options, OPTIONS_CHARACTERS),
        ", ".join(dict.fromkeys(filter(None, map(_who, answers)))),
        _counted(answers),
    ]


def _who(exchange: RecordedExchange) -> str:
    return "offline demo" if exchange.backend == OFFLINE else model_name(exchange.model or "")


def _counted(answers: Sequence[RecordedExchange]) -> str:
    errors = sum(each.ending == "failed" for each in answers)
    number = str(len(answers))
    return f"{number}, errors: {errors}" if errors else number
