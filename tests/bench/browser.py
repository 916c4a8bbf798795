"""The rows of a page: a long answer with formulas in JupyterLab, for a reader who follows it.

Without Chromium, JupyterLab or Playwright they are left out.
"""

import base64
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench.peers import model, server
from bench.server import LETTERS, prose
from bench.table import Row

if TYPE_CHECKING:
    from browser.lab import Lab
    from playwright.sync_api import CDPSession

SECONDS, SHORT_SECONDS = 20, 5
RATE = 1_000  # deltas a second
EVERY = 250  # characters, for each formula
IDLE_SECONDS = 2

# A page draws little of what is out of sight, and JupyterLab doesn't scroll by itself.
_FOLLOW = """() => {
    window.benchLongest = 0;
    let last = performance.now();
    const frame = () => {
        const now = performance.now();
        window.benchLongest = Math.max(window.benchLongest, now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    setInterval(() => {
        const outputs = document.querySelectorAll(".jp-OutputArea-child");
        outputs[outputs.length - 1].scrollIntoView({block: "end"});
    }, 200);
}"""
_ALL_SHOWN = """formulas => window.mmRunning === false
    && document.querySelector(".mm-status") !== null
    && document.querySelectorAll("mjx-container").length === formulas"""
_IDLE = "() => new Promise(resolve => requestIdleCallback(() => resolve()))"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer cost its page. Times are in seconds."""

    done: float
    main_thread: float
    main_thread_idle: float
    """In as long a time without an answer: what the watching costs."""
    longest_freeze: float
    received: int
    """Bytes of the frames in the page's WebSockets."""


def rows(*, is_short: bool) -> list[Row]:
    """Measure one answer, in a new page and a new kernel, as a reader first meets them.

    It is done when the status is there, all formulas are typeset and the page is idle. The main
    thread's time is that of its tasks, and a freeze is the time between two frames. The short
    answer has a quarter of the length and of the budgets, but for what is to do once: two seconds
    of waiting, and half a second of the main thread, in which the page loads MathJax.
    """
    if absent := _absent():
        print(f"The rows of JupyterLab are left out: there is no {absent}.", file=sys.stderr)
        return []
    seconds = SHORT_SECONDS if is_short else SECONDS
    with _open(seconds) as lab:
        seen = measure(lab, seconds)
    share = seconds / SECONDS
    characters = LETTERS * RATE * seconds
    what = f"{characters // 1000} kB with a formula every {EVERY} characters in JupyterLab"
    return [
        Row(
            f"{what}: all drawn",
            f"{seen.done:.1f} s",
            f"streamed in {seconds} s",
            seen.done,
            seconds + 2,
            "s",
        ),
        Row(
            f"{what}: the browser's main thread",
            f"{seen.main_thread:.1f} s",
            f"a page without an answer {seen.main_thread_idle:.1f} s",
            seen.main_thread,
            2 if is_short else 6,
            "s",
        ),
        Row(
            f"{what}: received by the page",
            f"{seen.received / 1e3:.0f} kB",
            f"text {characters / 1e3:.0f} kB",
            seen.received / 1e6,
            1.6 * share,
            "MB",
        ),
        Row(
            f"{what}: longest freeze",
            f"{seen.longest_freeze * 1e3:.0f} ms",
            "–",
            seen.longest_freeze,
            0.5,
            "s",
        ),
    ]


def _absent() -> str:
    """What is missing for these rows, "" if nothing is."""
    for package in ("jupyterlab", "playwright"):
        if find_spec(package) is None:
            return package
    from browser.lab import CHROMIUM

    return "" if CHROMIUM.exists() else str(CHROMIUM)


@contextmanager
def _open(seconds: int) -> Iterator["Lab"]:
    """A notebook whose cell 1 will ask for an answer of so many seconds."""
    from browser.lab import lab_alone

    name = model(deltas=1 + RATE * seconds, rate=RATE, formula=EVERY)
    with server() as url, lab_alone() as lab:
        load = f"%env MINIMAX_BASE_URL={url}\n%load_ext mm_magic"
        lab.open("bench.ipynb", [load, f"%%minimax -m {name}\nTell me all."])
        lab.run(0)
        yield lab


def measure(lab: "Lab", seconds: int) -> Seen:
    """Run cell 1, and follow its answer to the end."""
    page = lab.page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    devtools.send("Network.enable")
    page.evaluate(_FOLLOW)
    page.evaluate(_IDLE)
    before = _main_thread(devtools)
    page.wait_for_timeout(IDLE_SECONDS * 1000)
    idle = (_main_thread(devtools) - before) / IDLE_SECONDS

    frames: list[int] = []
    devtools.on("Network.webSocketFrameReceived", lambda event: frames.append(_size(event)))
    page.evaluate("() => { window.benchLongest = 0 }")
    before, begin = _main_thread(devtools), time.monotonic()
    lab.start(1)
    formulas = prose(LETTERS * RATE * seconds, EVERY).count("$") // 2
    page.wait_for_function(_ALL_SHOWN, arg=formulas, polling=100)
    page.evaluate(_IDLE)
    done = time.monotonic() - begin
    return Seen(
        done,
        _main_thread(devtools) - before,
        idle * done,
        page.evaluate("window.benchLongest") / 1e3,
        sum(frames),
    )


def _main_thread(devtools: "CDPSession") -> float:
    """Seconds that the tasks of the page's main thread took until now."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def _size(event: dict[str, Any]) -> int:
    """The bytes of a frame. DevTools tells binary ones, which kernels send, in base64."""
    frame = event["response"]
    is_text = frame["opcode"] == 1
    data: str = frame["payloadData"]
    return len(data.encode()) if is_text else len(base64.b64decode(data))
