"""The rows of a page: a long answer with formulas in JupyterLab, for a reader who follows it.

Without Chromium, JupyterLab or Playwright they are left out.
"""

import base64
import json
import sys
import time
from bisect import bisect
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
STREAMS, STREAM_RATE = 4, 100  # of a compare
EVERY = 250  # characters, for each formula
IDLE_SECONDS = 2
LOADED = [f"%%minimax\nTell me of *{n}*: {{{{x}}}}" for n in range(10)] + ["print(1)"] * 10
"""The cells of the notebook that is loaded: prompts and Python."""

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
# The page as it is where the extension is not installed; its scripts run after this.
_WITHOUT_EXTENSION = """document.addEventListener("readystatechange", () => {
    const told = document.getElementById("jupyter-config-data");
    if (document.readyState !== "interactive" || told === null) return;
    const config = JSON.parse(told.textContent);
    const others = config.federated_extensions.filter(each => each.name !== "mm_magic");
    told.textContent = JSON.stringify({...config, federated_extensions: others});
});"""
_IDLE = "() => new Promise(resolve => requestIdleCallback(() => resolve()))"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an answer cost its page. Times are in seconds."""

    done: float
    main_thread: float
    main_thread_idle: float
    """In as long a time without an answer: what the watching costs."""
    longest_freeze: float
    """The longest time between two frames."""
    busiest_frame: float
    """The most processor time that the main thread took between two frames."""
    received: int
    """Bytes of the frames in the page's WebSockets."""


def rows(*, is_short: bool) -> list[Row]:
    """Measure one answer, in a new page and a new kernel, as a reader first meets them.

    It is done when the status is there, all formulas are typeset and the page is idle. The main
    thread's time is that of its tasks, and a freeze is what the processor did for it between two
    frames: the time by the clock, which other processes lengthen, stands beside it. Several answers
    at once are compared with the same text as one answer, at the sum of their speeds. The short
    answer has a quarter of the length and of the budgets, but for what is to do once: two seconds
    of waiting, and half a second of the main thread, in which the page loads MathJax. The last row
    is a page that is opened, with and without our extension of it.
    """
    if absent := _absent():
        print(f"The rows of JupyterLab are left out: there is no {absent}.", file=sys.stderr)
        return []
    seconds = SHORT_SECONDS if is_short else SECONDS
    with _open(_one(RATE * seconds, RATE)) as lab:
        seen = measure(lab, _formulas(RATE * seconds))
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
            f"{seen.busiest_frame * 1e3:.0f} ms of processor time",
            f"by the clock {seen.longest_freeze * 1e3:.0f} ms",
            seen.busiest_frame,
            0.1,
            "s",
        ),
        *_compared(seconds),
        _loading(2 if is_short else 6),
    ]


def _absent() -> str:
    """What is missing for these rows, "" if nothing is."""
    for package in ("jupyterlab", "playwright"):
        if find_spec(package) is None:
            return package
    from browser.lab import CHROMIUM

    return "" if CHROMIUM.exists() else str(CHROMIUM)


def _compared(seconds: int) -> list[Row]:
    """Measure several answers at once, and the same text as one answer in the same time."""
    deltas = STREAM_RATE * seconds
    temperatures = ",".join(f"0.{number}" for number in range(1, STREAMS + 1))
    several = f"%%minimax -t {temperatures} {_one(deltas, STREAM_RATE).removeprefix('%%minimax')}"
    with _open(several) as lab:
        ours = measure(lab, STREAMS * _formulas(deltas))
    with _open(_one(STREAMS * deltas, STREAMS * STREAM_RATE)) as lab:
        one = measure(lab, _formulas(STREAMS * deltas))
    what = f"compare, {STREAMS} streams at {STREAM_RATE} tokens a second"
    return [
        Row(
            f"{what}: received by the page",
            f"{ours.received / 1e3:.0f} kB",
            f"the same text as one answer {one.received / 1e3:.0f} kB",
            ours.received / one.received,
            1.5,
        ),
        Row(
            f"{what}: the browser's main thread",
            f"{ours.main_thread:.1f} s",
            f"the same text as one answer {one.main_thread:.1f} s",
            ours.main_thread / one.main_thread,
            1.5,
        ),
    ]


def _loading(rounds: int) -> Row:
    """Open a notebook in new pages, which take turns: with the extension, and without it."""
    from browser.lab import lab_alone, new_lab

    found: dict[bool, list[float]] = {True: [], False: []}
    with lab_alone() as here:
        pages, there = here.page.context, here.server
        there.write("load.ipynb", LOADED)
        for turn in range(rounds + 1):
            for has_extension, seconds in found.items():
                with new_lab(pages, there) as lab:
                    cost = loading(lab, "load.ipynb", has_extension=has_extension)
                if turn:
                    seconds.append(cost)
    ours, without = min(found[True]), min(found[False])
    return Row(
        f"a notebook of {len(LOADED)} cells opens in JupyterLab: the browser's main thread",
        f"{ours:.2f} s",
        f"without the extension {without:.2f} s",
        (ours - without) * 1e3,
        50,
        "ms more",
    )


def loading(lab: "Lab", name: str, *, has_extension: bool) -> float:
    """Seconds of processor time that the page's main thread takes until the notebook is there."""
    page = lab.page
    page.goto(f"{lab.server.url}/api/status")  # else the page that is measured changes its process
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    if not has_extension:
        page.add_init_script(_WITHOUT_EXTENSION)
    before = _main_thread(devtools)
    lab.open(name)
    if has_extension:
        page.locator(".mm-magic-name").first.wait_for()
    page.evaluate(_IDLE)
    page.wait_for_timeout(IDLE_SECONDS * 1000)
    page.evaluate(_IDLE)
    assert (page.locator(".mm-magic-name").count() > 0) == has_extension
    return _main_thread(devtools) - before


def _one(deltas: int, rate: int) -> str:
    """The cell that asks for one answer of so many deltas."""
    name = model(deltas=1 + deltas, rate=rate, formula=EVERY)
    return f"%%minimax -m {name}\nTell me all."


def _formulas(deltas: int) -> int:
    """How many of them that answer has."""
    return prose(LETTERS * deltas, EVERY).count("$") // 2


@contextmanager
def _open(cell: str) -> Iterator["Lab"]:
    """A notebook with this as its cell 1."""
    from browser.lab import lab_alone

    with server() as url, lab_alone() as lab:
        load = f"%env MINIMAX_BASE_URL={url}\n%load_ext mm_magic"
        lab.open("bench.ipynb", [load, cell])
        lab.run(0)
        yield lab


def measure(lab: "Lab", formulas: int) -> Seen:
    """Run cell 1, and follow its answer to the end, when so many formulas are typeset."""
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
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    before, begin = _main_thread(devtools), time.monotonic()
    lab.start(1)
    page.wait_for_function(_ALL_SHOWN, arg=formulas, polling=100)
    page.evaluate(_IDLE)
    done = time.monotonic() - begin
    return Seen(
        done,
        _main_thread(devtools) - before,
        idle * done,
        page.evaluate("window.benchLongest") / 1e3,
        _busiest_frame(json.loads(browser.stop_tracing())["traceEvents"]),
        sum(frames),
    )


def _thread(event: dict[str, Any]) -> tuple[int, int]:
    return event["pid"], event["tid"]


def _busiest_frame(events: list[dict[str, Any]]) -> float:
    """The most seconds that a page's main thread computed between two of its frames."""
    frames = sorted(each["ts"] for each in events if each["name"] == "FireAnimationFrame")
    thread = next(_thread(each) for each in events if each["name"] == "FireAnimationFrame")
    tasks = [
        (each["ts"], each["ts"] + each.get("dur", 0), each.get("tdur", 0))
        for each in events
        if each["name"] == "ThreadControllerImpl::RunTask" and _thread(each) == thread
    ]
    spent = [0.0] * len(frames)
    for begin, end, processor in tasks:
        for number in range(bisect(frames, begin) - 1, bisect(frames, end)):
            if 0 <= number < len(frames) - 1:
                within = min(end, frames[number + 1]) - max(begin, frames[number])
                spent[number] += processor * within / max(end - begin, 1)
    return max(spent) / 1e6


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
