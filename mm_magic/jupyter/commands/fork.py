"""`%minimax fork NAME [N]`: begin another conversation with copies of the current one's turns."""

import re
from collections.abc import Sequence

from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import number_in
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.views.finished import show
from mm_magic.session.fork import Forked
from mm_magic.session.notes import stale_note
from mm_magic.wording import option, quoted, turns_listed, was

_NUMBER = re.compile(r"-?[0-9.,]+")


def fork(here: Here, words: Sequence[str]) -> None:
    """Copy the turns, say which, and leave the copies in the file as turns of this cell."""
    from mm_magic.conversation.saved_turn import record_json, turn_json
    from mm_magic.rendering.bundles import status_bundle

    name, until = _read(words)
    forked = here.session.edits.fork(name, until)
    state = here.session.conversations[name].state
    record = record_json(turn_json(copy, state) for copy in forked.copies)
    show(here.shell, status_bundle([], _sentences(name, forked), record))


def _read(words: Sequence[str]) -> tuple[str, int | None]:
    """The name and the number behind `fork`. Raises UsageError with the line that works."""
    name, *rest = words or ("",)
    if not name or (name.isdecimal() and not rest):
        number = f" {name}" if name else ""
        raise UsageError(
            "fork needs a name for the new conversation",
            next_steps=(f"For example: `%minimax fork idea{number}`",),
        )
    if not rest:
        return name, None
    until = number_in(rest[0]) if len(rest) == 1 else None
    if until is None:
        raise _not_a_number(words)
    return name, until


def _not_a_number(words: Sequence[str]) -> UsageError:
    """What stands behind the name is no number: the name has spaces, or stands last."""
    names = [word for word in words if not _NUMBER.fullmatch(word)]
    number = next((f" {word}" for word in words if word.isdecimal()), "")
    return UsageError(
        "fork takes a name and the number of the last turn to copy",
        next_steps=(f"For example: `%minimax fork {quoted(' '.join(names) or 'idea')}{number}`",),
    )


def _sentences(name: str, forked: Forked) -> list[str]:
    """What was copied and how to go on; what was not copied, and what is outdated now."""
    copied = [copy.copy_of for copy in forked.copies]
    those = ("a copy of " if len(copied) == 1 else "copies of ") + turns_listed(copied)
    line = option("-c", "--conversation", name)
    way = f" To continue it: `%%minimax {line}`" if line else ""
    found = [f"Conversation {name} begins with {those} of {forked.origin}.{way}"]
    if forked.not_copied:
        later, another = turns_listed(forked.not_copied), quoted(forked.free_name)
        were = was(len(forked.not_copied))
        found.append(
            f"It does not include {later} of {forked.origin}, which {were} added later. To copy "
            f"all turns: `%minimax fork {another}`"
        )
    if forked.outdated:
        found.append(stale_note(forked.outdated, name))
    return found
