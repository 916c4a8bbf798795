"""The row of a real kernel: from a text's leaving the server to its message at the front end."""

import re
import tempfile
import time
from pathlib import Path
from statistics import median

from support.kernels import Cell, Kernel

from bench.peers import model, server
from bench.table import Row

DELTAS, RATE = 8, 50  # the first comes alone, as a model's does
_STAMP = re.compile(r"(\d{20}) (\d{20})")
_OURS = f"%%minimax -m {model(deltas=DELTAS, rate=RATE)}\nHi"
_FLOOR = """
import socket
from IPython.display import HTML, display

host, port = {url!r}.removeprefix("http://").split(":")
body = b'{{"model": "{model}"}}'
head = b"POST /v1/messages HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body)
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(head + body)
    read = b""
    while not read.endswith(b"\\r\\n0\\r\\n\\r\\n"):
        read = connection.recv(65_536)
        display(HTML(read.decode()))
"""


def rows(*, is_short: bool) -> list[Row]:
    """Measure it, in one kernel, where the two kinds of cell take turns.

    The floor is a cell that displays each read of a blocking socket as it is, and reads nothing in
    it: what the kernel's own messages cost. The end is when a front end has the message as Python
    objects; a page has yet to draw it.
    """
    rounds = 6 if is_short else 15
    with server() as url, tempfile.TemporaryDirectory() as folder:
        found = measure(url, Path(folder), rounds)
    ours, floor = median(found["ours"]), median(found["floor"])
    return [
        Row(
            "a kernel's first text at the front end, after it was sent",
            f"{ours:.1f} ms",
            f"display of the bare socket {floor:.1f} ms",
            ours,
            10,
            "ms",
        )
    ]


def measure(url: str, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round. The kernel has run both cells once before."""
    floor = _FLOOR.format(url=url, model=model(deltas=DELTAS, rate=RATE))
    cells = {"ours": _OURS, "floor": floor}
    found: dict[str, list[float]] = {name: [] for name in cells}
    with Kernel(folder, {"MINIMAX_BASE_URL": url}) as kernel:
        assert kernel.run("%load_ext mm_magic").status == "ok"
        for turn in range(rounds + 1):
            for name, code in cells.items():
                milliseconds = _run(kernel, code, name)
                if turn:
                    found[name].append(milliseconds)
    return found


def _run(kernel: Kernel, code: str, cell_id: str) -> float:
    """Run a cell; return the milliseconds from the server's stamp to the message that shows it."""
    found: list[float] = []

    def watch(cell: Cell) -> bool:
        """Look at each message as it comes; never interrupt."""
        now = time.monotonic_ns()
        if not found and (stamp := _STAMP.search(_shown(cell))):
            found.append((now - int(stamp[2])) / 1e6)
        return False

    cell = kernel.run(code, cell_id=cell_id, when=watch)
    assert cell.status == "ok", cell.traceback
    assert found, f"no message holds the server's times: {cell.shown}"
    return found[0]


def _shown(cell: Cell) -> str:
    """The HTML of the last message, "" if it shows none."""
    if not cell.messages or not cell.messages[-1]["msg_type"].endswith("display_data"):
        return ""
    return str(cell.messages[-1]["content"]["data"].get("text/html", ""))
