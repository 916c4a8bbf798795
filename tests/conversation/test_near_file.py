"""The file that a mistyped name may mean."""

from pathlib import Path

import pytest

from mm_magic.conversation.near_file import near_file
from mm_magic.conversation.notebook_file import load_bytes
from mm_magic.errors import UsageError

THERE = ("lesson.ipynb", "lesson.jsonl", "role.md", ".rolle.md", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in THERE:
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lessn.ipynb", "lesson.ipynb"),
        ("Lesson.jsonl", "lesson.jsonl"),
        ("rolle.md", "role.md"),
        ("role.txt", "role.md"),
        ("rolle.txt", None),
        ("homework.ipynb", None),
        ("no/such/lesson.ipynb", None),
        ("~nobody-here/role.md", None),
        ("role\0.md", "role.md"),
    ],
)
def test_near_file(folder: Path, name: str, near: str | None) -> None:
    """It is like the name and of the same kind, or the same name of another kind; not hidden."""
    assert near_file(folder / name) == near


def test_missing_file(folder: Path) -> None:
    """The error of a file that is missing names the one that may be meant."""
    with pytest.raises(UsageError) as caught:
        load_bytes(folder / "lessn.ipynb", "lessn.ipynb")
    assert caught.value.next_steps == ("Did you mean 'lesson.ipynb', which is in the same folder?",)
    with pytest.raises(UsageError) as caught:
        load_bytes(folder / "homework.ipynb")
    assert caught.value.next_steps == ()
