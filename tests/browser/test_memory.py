"""The notebook is the conversation: what is sent after re-runs, deletions and a restart."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, captured, streamed

from browser.lab import Lab

pytestmark = pytest.mark.browser

A, B, C, D = 1, 2, 3, 4
PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "memory.svg"


def cells(server: Loopback, *names: str) -> list[str]:
    load = f"%env MINIMAX_BASE_URL={server.url}\n%load_ext mm_magic"
    return [load, *(f"%%minimax\nprompt {name}" for name in names)]


def answers(count: int) -> Loopback:
    """A server whose answers are "answer 1", "answer 2" and so on."""
    return Loopback(*(streamed(captured(text=f"answer {n + 1}")) for n in range(count)))


def messages(server: Loopback) -> list[Any]:
    return [request.json["messages"] for request in server.requests]


def spoken(request: list[Any]) -> str:
    """A request in short: prompts, and answers as their numbers; * marks one with its thinking."""
    parts = []
    for message in request:
        if isinstance(message["content"], str):
            parts.append(message["content"].removeprefix("prompt "))
        else:
            thinks = any(block["type"] == "thinking" for block in message["content"])
            text = message["content"][-1]["text"].removeprefix("answer ")
            parts.append(text + "*" * thinks)
    return " ".join(parts)


def test_order_survives_reruns_and_a_restart(lab: Lab) -> None:
    """Each request holds the turns before its cell, also when the kernel was restarted."""
    with answers(8) as server:
        lab.open("memory.ipynb", cells(server, "A", "B", "C", "D"))
        lab.run(0, A, B, C, A, D, B)
        expect(lab.status(B)).to_contain_text("turn 2, 1 earlier sent")
        lab.save()
        lab.restart_kernel()
        lab.run(0)
        expect(lab.output(0).last).to_contain_text("This file holds 4 turns, saved")
        lab.run(D)
        expect(lab.status(D)).to_contain_text("turn 4, 3 earlier sent")
        found = messages(server)

        assert [spoken(request) for request in found] == [
            "A",
            "A 1* B",
            "A 1* B 2* C",
            "A",
            "A 4* B 2 C 3 D",
            "A 4* B",
            "A 4* B 6* C 3 D",
        ]

        lab.restart_kernel()
        lab.run(0, D)
        assert messages(server)[-1] == found[-1]


def test_deleted_and_brought_back(lab: Lab) -> None:
    """A cell that is deleted is not sent, and the next line says so; pasted and run, it is."""
    with answers(5) as server:
        lab.open("deleted.ipynb", cells(server, "A", "B", "C"))
        lab.run(0, A, B)
        lab.select(A)
        lab.command("notebook:cut-cell")
        lab.run(2)
        expect(lab.status(2)).to_contain_text("Turn 1 is not sent: its cell was deleted")
        lab.select(2)
        lab.command("notebook:paste-cell-below")
        lab.run(3, 2)
        assert [spoken(request) for request in messages(server)[2:]] == ["B 2 C", "A", "A 4* B 2 C"]


def test_picture_of_the_readme(lab: Lab) -> None:
    """The README's picture tells what each request carries when its steps are done."""
    with answers(7) as server:
        lab.open("picture.ipynb", cells(server, "A", "B", "C", "D"))
        lab.run(0, A, B, C)
        lab.edit(A, "%%minimax\nprompt A′")
        lab.run(A, D)
        lab.select(C)
        lab.command("notebook:delete-cell")
        lab.run(B)
        lab.save()
        lab.restart_kernel()
        lab.run(0, C)  # D, which has moved up
        assert [labels(request) for request in messages(server)] == picture()


def labels(request: list[Any]) -> list[str]:
    """The parts of a request as the picture names them; an answer has a ′ after a change."""
    found, prompt = [], ""
    for message in request:
        if isinstance(message["content"], str):
            prompt = message["content"].removeprefix("prompt ")
            found.append(prompt)
        else:
            again = "′" if message["content"][-1]["text"] == "answer 6" else ""
            found.append(f"answer {prompt}{again}")
    return found


def picture() -> list[list[str]]:
    """What the rows of the picture show, from the top."""
    rows: dict[str, list[str]] = {}
    pattern = r'<text x="[\d.]+" y="(\d+)" text-anchor="middle"[^>]*>([^<]*)</text>'
    for y, label in re.findall(pattern, PICTURE.read_text("utf-8")):
        rows.setdefault(y, []).append(label)
    return list(rows.values())
