"""The README's claims that a program can check. `python tests/test_readme.py` mends its table."""

import re
import tomllib
from pathlib import Path

from mm_magic.errors import Kind
from mm_magic.jupyter.arguments import CELL_ROWS, help_rows
from mm_magic.jupyter.commands.table import COMMANDS
from mm_magic.session.api import AskOptions
from mm_magic.session.options import ROWS
from mm_magic.transport.demo.offline import DEMOS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DEPENDENCIES = ROOT / "docs" / "dependencies.md"
BEGIN = "<!-- options: made by tests/test_readme.py -->\n"
END = "<!-- end of options -->"


def options_table() -> str:
    """The table of options as the README must have it."""
    pairs = [pair for row in CELL_ROWS for pair in help_rows(row)]
    rows = "\n".join(f"| `{names}` | {meaning} |" for names, meaning in pairs)
    return f"| option | meaning |\n| --- | --- |\n{rows}\n"


def section(title: str) -> str:
    """The README's text under a heading."""
    return README.read_text("utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def project() -> dict[str, object]:
    """The `[project]` table of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    return table


def test_options() -> None:
    """The README lists exactly the options of `%%minimax`; running this file mends it."""
    shown = README.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    assert shown == options_table()


def test_commands() -> None:
    """The README lists exactly the commands of `%minimax`."""
    shown = set(re.findall(r"^\| `%minimax ([a-z]+)", section("Commands"), re.MULTILINE))
    assert shown == set(COMMANDS)


def test_options_of_python() -> None:
    """`mm.ask` takes each option that can be set for all cells, and nothing else."""
    assert AskOptions.__annotations__.keys() == {row.name for row in ROWS} - {"hide_thinking"}


def test_dependencies() -> None:
    """docs/dependencies.md gives a reason for each run-time dependency, and for nothing else."""
    declared = project()["dependencies"]
    assert isinstance(declared, list)
    names = {re.split(r"[<>=]", text)[0] for text in declared}
    shown = set(
        re.findall(r"^\| ([a-z][a-z0-9-]+) \|", DEPENDENCIES.read_text("utf-8"), re.MULTILINE)
    )
    assert shown - {"package"} == names


def test_kinds() -> None:
    """The README lists every kind of error."""
    from typing import get_args

    shown = set(
        re.findall(r"`([a-z_]+)`", section("Errors").split(".kind` is one of")[1].split(";")[0])
    )
    assert shown == set(get_args(Kind))


def test_demos() -> None:
    """The README lists every practice prompt of the demo."""
    assert set(re.findall(r"`(demo [^`]+)`", section("Errors"))) == set(DEMOS)


def test_links() -> None:
    """Every file that the README points to exists."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


if __name__ == "__main__":
    text = README.read_text("utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(f"{before}{BEGIN}{options_table()}{END}{after}", "utf-8")
