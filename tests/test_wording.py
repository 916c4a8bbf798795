"""Text for people: shortened, counted, listed."""

import pytest

from mm_magic.wording import counted, listed, model_name, shortened, turns_listed


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("", 5, ""),
        ("a b", 3, "a b"),
        ("a\n\t b", 3, "a b"),
        ("abcd", 3, "ab…"),
        (" " * 1_000, 3, "…"),
        ("a" + " " * 1_000, 3, "a…"),
    ],
)
def test_shortened_fits_on_one_line(text: str, limit: int, shown: str) -> None:
    """A text is one line of at most so many characters, with an ellipsis where it is cut."""
    assert shortened(text, limit) == shown


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 turns"), (1, "1 turn"), (3, "3 turns"), (1_234, "1,234 turns")],
)
def test_counted_agrees_with_its_noun(number: int, said: str) -> None:
    """The noun stands in the plural except behind 1, and thousands have a comma."""
    assert counted(number, "turn") == said


@pytest.mark.parametrize(
    ("numbers", "said", "turns"),
    [
        ([], "", "turns "),
        ([3], "3", "turn 3"),
        ([3, 3], "3", "turn 3"),
        ([7, 2, 1, 3, 4], "1 to 4, 7", "turns 1 to 4, 7"),
        ([1, 2], "1 to 2", "turns 1 to 2"),
    ],
)
def test_listed_joins_runs(numbers: list[int], said: str, turns: str) -> None:
    """Numbers in any order are listed in order, and neighbours as a range."""
    assert listed(numbers) == said
    assert turns_listed(numbers) == turns


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("MiniMax-M2.7", "MiniMax-M2.7"),
        ("minimax/minimax-m3", "minimax/minimax-m3"),
        ("/home/ada/models/SmolLM2.gguf", "SmolLM2.gguf"),
        ("C:\\Users\\ada\\SmolLM2.gguf", "SmolLM2.gguf"),
        ("D:/models/qwen/", "qwen"),
        ("", ""),
    ],
)
def test_a_path_is_no_name(name: str, shown: str) -> None:
    """A shared notebook shows the file of a model, and not where it lies on somebody's machine."""
    assert model_name(name) == shown
