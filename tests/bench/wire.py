"""The rows of the wire path: from the request to the text that came."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from statistics import median

from bench.peers import Bare, Floor, Ours, model, server
from bench.table import Row

BURST = 20_000  # deltas
RATE = 500  # deltas a second
PACED_SECONDS = 5
PARALLEL = 32
LARGE = 10_000_000  # bytes


def rows(*, is_short: bool) -> list[Row]:
    """Measure all of them. They take about 45 s, or 100 s where it is not short."""
    with server() as url:
        return asyncio.run(_rows(url, 4 if is_short else 15))


async def _rows(url: str, rounds: int) -> list[Row]:
    floor, bare, ours = Floor(url), Bare(url), Ours(url)
    try:
        return [
            await _first_delta(bare, ours, rounds * 30),
            await _burst(floor, bare, ours, rounds, 16),
            await _burst(floor, bare, ours, rounds, 1),
            await _paced(floor, bare, ours, max(1, rounds // 5)),
            await _parallel(ours, max(2, rounds // 3)),
            *await _large(ours),
        ]
    finally:
        floor.close()
        await bare.close()
        await ours.close()


async def _first_delta(bare: Bare, ours: Ours, rounds: int) -> Row:
    name = model(deltas=8)
    times: dict[str, list[int]] = {"bare": [], "ours": []}
    for turn in range(rounds):
        for key, peer in (("bare", bare), ("ours", ours)):
            nanoseconds = await peer.first(name)
            if turn >= 5:
                times[key].append(nanoseconds)
    mine, theirs = median(times["ours"]) / 1e3, median(times["bare"]) / 1e3
    return Row(
        "first delta on a warm connection",
        f"{mine:.0f} µs",
        f"bare httpx {theirs:.0f} µs",
        mine / theirs,
        1.5,
    )


async def _burst(floor: Floor, bare: Bare, ours: Ours, rounds: int, chunk: int) -> Row:
    cost = await _compared(model(deltas=BURST, chunk=chunk), BURST, floor, bare, ours, rounds)
    is_single = chunk == 1
    return Row(
        f"CPU per delta, {BURST:,} in a burst, {'one' if is_single else chunk} in a chunk",
        f"{cost['ours']:.2f} µs",
        f"floor {cost['floor']:.2f} µs, bare httpx {cost['bare']:.2f} µs",
        cost["ours"] / (cost["bare"] if is_single else cost["floor"]),
        1.5 if is_single else 0.8,
        "x of bare httpx" if is_single else "x of the floor",
    )


async def _paced(floor: Floor, bare: Bare, ours: Ours, rounds: int) -> Row:
    deltas = RATE * PACED_SECONDS
    cost = await _compared(model(deltas=deltas, rate=RATE), deltas, floor, bare, ours, rounds)
    return Row(
        f"CPU per delta at {RATE} a second",
        f"{cost['ours']:.0f} µs",
        f"floor {cost['floor']:.0f} µs, bare httpx {cost['bare']:.0f} µs",
        cost["ours"] / cost["floor"],
        2,
        "x of the floor",
    )


async def _compared(
    name: str, deltas: int, floor: Floor, bare: Bare, ours: Ours, rounds: int
) -> dict[str, float]:
    """The least CPU of each, in microseconds a delta. They take turns."""

    async def on_socket(name: str) -> None:
        floor.drain(name)

    ways: dict[str, Callable[[str], Awaitable[object]]] = {
        "floor": on_socket,
        "bare": bare.drain,
        "ours": ours.drain,
    }
    found: dict[str, list[float]] = {key: [] for key in ways}
    for turn in range(rounds + 1):
        for key, way in ways.items():
            cost = await _cpu(way, name)
            if turn:
                found[key].append(cost * 1e6 / deltas)
    return {key: min(costs) for key, costs in found.items()}


async def _cpu(way: Callable[[str], Awaitable[object]], name: str) -> float:
    """Seconds of CPU that it takes."""
    gc.collect()
    begin = time.process_time()
    await way(name)
    return time.process_time() - begin


async def _parallel(ours: Ours, rounds: int) -> Row:
    deltas, rate = 100, 50
    name, ideal = model(deltas=deltas, rate=rate), (deltas - 1) / rate
    walls = []
    for _ in range(rounds):
        begin = time.monotonic()
        await asyncio.gather(*(ours.ask(name) for _ in range(PARALLEL)))
        walls.append(time.monotonic() - begin)
    return Row(
        f"{PARALLEL} prompts in parallel, wall time",
        f"{min(walls):.3f} s",
        f"ideal {ideal:.2f} s",
        min(walls) / ideal,
        1.04,
    )


async def _large(ours: Ours) -> list[Row]:
    name = model(deltas=2, size=LARGE)
    seconds = min([await _cpu(ours.drain, name) for _ in range(3)])
    tracemalloc.start()
    try:
        await ours.drain(name)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    what = f"one event of {LARGE // 1_000_000} MB"
    return [
        Row(f"{what}, CPU", f"{seconds:.2f} s", "–", seconds, 0.5, "s"),
        Row(f"{what}, memory at most", f"{peak:.0f} MB", "–", peak, 60, "MB"),
    ]
