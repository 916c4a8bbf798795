"""Make the samples of version 0.1, in a checkout of it: `python tests/make_v0_1_samples.py`.

A real kernel runs the cells of two lessons and records them; its server is tests/loopback.py. What
is expected is what that version makes of the samples.
"""

import json
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from restarts.test_v0_1_samples import MODEL, SAMPLES, replies, requests, turns
from support.kernels import Kernel
from support.loopback import Loopback, Step, captured, chunk, delta, head, sse, stall, streamed
from support.pages import Page

OWN, ANOTHER = "http://own.invalid", "http://another.invalid"
SETUP = '%config MiniMax.system = "You are a patient teacher."'
PARTS = ("model", "system", "messages")


def answer(text: str, thinking: str = "", *, is_whole: bool = True) -> list[Step]:
    """A stream; the signature of its thinking is the thinking's bytes."""
    opening, ping, *blocks, usage, stop = captured(thinking, text)
    if thinking:
        blocks[2] = delta(0, "signature_delta", signature=thinking.encode().hex())
    else:
        blocks = [event | {"index": 0} for event in blocks if event["index"] == 1]
    if is_whole:
        return streamed([opening, ping, *blocks, usage, stop])
    return [head(), chunk(sse(opening, ping, *blocks[:-1])), stall]


LESSON = [
    answer("\n\nAir scatters blue light most.", "Rayleigh."),
    answer("\n\nBlack: no sunlight comes.", "First try."),
    answer("\n\nAn aside leads away.", "Off the subject."),
    answer("\n\nJupiter.", "A large one."),
    answer("\n\nRed.", "Long way through air."),
    answer("\n\nIo.", "Any moon."),
    answer("\n\nEuropa.", "Another moon."),
    answer("\n\nDark: the sun is *below* the horizon.", "Second try."),
    answer("\n\nOrange.", "One word only."),
    answer("\n\nGanymede, with “5,268 km” across: `Ø`.", "The largest of 95."),
    answer("\n\nBlue, black, orange.", "Three colours."),
    answer("\n\nButterscotch.", "Dust."),
    answer("\n\nCrimson.", "Not recorded."),
]
TWO = [
    answer("\n\n1, 2, 3.", "Easy."),
    answer("\n\n3, 2, 1.", "The other way."),
    answer("\n\nTrois, deux, un.", "French."),
    answer("Helium."),
    answer("\n\nOnce upon a time", "A story.", is_whole=False),
    answer("\n\nNo.", "To be forgotten."),
    answer("Neon."),
    answer("\n\n3 … 2 … 1.", "Again, and slower."),
    answer("\n\nThree.", "The first of them."),
]


def lesson(page: Page) -> None:
    """With a system prompt, options, a cell that is deleted, and cells that run again."""
    page.run("setup", SETUP)
    page.run("record", "%minimax record lesson.jsonl")
    ask(page, "sky", "Why is the sky blue?")
    ask(page, "night", "And at night?", "-t 0.3 --max-tokens 1024")
    ask(page, "aside", "What is an aside?")
    ask(page, "planet", "Name a planet.", "-c other")
    del page.cells["aside"]
    ask(page, "sunset", "And at sunset?", '-s "Answer in one word."', deleted=["aside"])
    ask(page, "moon", "Name a moon.", "--alone")
    ask(page, "moon-2", "Name a moon.", "--alone")
    again(page, "night")
    again(page, "sunset")
    ask(page, "largest", "Which is its largest moon?", "-c other")
    ask(page, "sum", "Sum it up.")
    page.run("end", "%minimax record")
    ask(page, "mars", "And on Mars?", "-t 1")
    again(page, "sunset")


def two_conversations(page: Page) -> None:
    """With a turn that is stopped, one that is forgotten, and one that is hidden on the page."""
    page.run("record", "%minimax record simple.jsonl")
    ask(page, "count", "Count to three.")
    ask(page, "back", "Now backwards.")
    ask(page, "french", "And in French?")
    ask(page, "gas", "Name a noble gas.", "-c side")
    ask(page, "story", "Tell me a story.", when=lambda cell: "upon" in str(cell.messages))
    ask(page, "more", "Is there more?")
    page.run("forget", "%minimax forget")
    ask(page, "gas-2", "And another.", "-c side")
    ask(page, "back", "Now backwards, and slower.")
    ask(page, "most", "Which was the largest?", deleted=["french"])
    page.run("end", "%minimax record")


def ask(page: Page, cell_id: str, prompt: str, options: str = "", **more: Any) -> None:
    page.run(cell_id, f"{f'%%minimax {options}'.rstrip()}\n{prompt}", **more)


def again(page: Page, cell_id: str) -> None:
    page.run(cell_id, page.cells[cell_id].source)


def make(name: str, folder: Path) -> None:
    """Run the cells of a notebook, and keep it and its recording."""
    is_lesson = name == "lesson.ipynb"
    with Loopback(*(LESSON if is_lesson else TWO)) as server:
        environment = {"http_proxy": server.url, "no_proxy": "", **MODEL}
        with Kernel(folder, environment) as kernel:
            page = Page(folder / name, folder / "data", kernel)
            title = nbformat.v4.new_markdown_cell(f"# {name}", id="title")  # type: ignore[no-untyped-call]
            page.cells["title"] = title
            # At another address than the loopback server that resumes it, whatever their ports.
            page.load(OWN if is_lesson else f"{server.url}/own")
            (lesson if is_lesson else two_conversations)(page)
    page.cells["load"].outputs = []  # it names the address, and so the port
    page.save()
    for file in (page.path, folder / ("lesson.jsonl" if is_lesson else "simple.jsonl")):
        copyfile(file, SAMPLES / file.name)


NEW = "%%minimax\nAnd now?"
CELLS: dict[str, list[tuple[str, str, str | None, tuple[str, ...]]]] = {
    "lesson.ipynb": [
        ("new", NEW, OWN, ()),
        ("new", NEW, ANOTHER, ()),
        ("new-other", "%%minimax -c other\nAnd now?", OWN, ()),
        (
            "night",
            "%%minimax -t 0.3 --max-tokens 1024\nAnd at night?",
            OWN,
            ("temperature", "max_tokens"),
        ),
        ("sunset", '%%minimax -s "Answer in one word."\nAnd at sunset?', OWN, ()),
        ("mars", "%%minimax -t 1\nAnd on Mars?", OWN, ("temperature",)),
    ],
    "two-conversations.ipynb": [
        ("new", NEW, None, ()),
        ("new-side", "%%minimax -c side\nAnd now?", None, ()),
        ("back", "%%minimax\nNow backwards, and slower.", None, ()),
    ],
}
"""What runs in a kernel that resumes a notebook: cell, source, server, and options that are set."""


def of_notebook(name: str, setup: str, folder: Path) -> dict[str, Any]:
    """What is expected of a notebook."""
    cells: list[dict[str, Any]] = [
        {"cell": cell, "source": source, "address": address, "request": (*PARTS, *options)}
        for cell, source, address, options in CELLS[name]
    ]
    sent = requests(name, setup, cells, folder)
    made = [cell | {"request": each} for cell, each in zip(cells, sent, strict=True)]
    return {"setup": setup, "turns": turns(name), "cells": made}


def of_recording(name: str, notebook: str, setup: str, folder: Path) -> dict[str, Any]:
    """What is expected of a recording: its notebook's cells run from the top."""
    cells = nbformat.read(SAMPLES / notebook, as_version=4).cells  # type: ignore[no-untyped-call]
    sources = {each.id: each.source for each in cells if each.source.startswith("%%minimax")}
    return {"setup": setup, "cells": replies(name, setup, sources, folder)}


def main(folders: list[Path]) -> None:
    first, second = "lesson.ipynb", "two-conversations.ipynb"
    make(first, folders[0])
    make(second, folders[1])
    found = {
        first: of_notebook(first, SETUP, folders[2]),
        second: of_notebook(second, "", folders[3]),
        "lesson.jsonl": of_recording("lesson.jsonl", first, SETUP, folders[4]),
        "simple.jsonl": of_recording("simple.jsonl", second, "", folders[5]),
    }
    text = json.dumps(found, ensure_ascii=False, indent=1)
    (SAMPLES / "expected.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        folders = [Path(folder) / str(number) for number in range(6)]
        for each in folders:
            each.mkdir()
        main(folders)
