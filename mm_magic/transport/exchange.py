"""One HTTP exchange as a value: what the live client, the offline demo and a recording all give.

Nothing here opens a socket or reads a clock.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Reads: TypeAlias = AsyncGenerator[tuple[float, bytes], None]
"""Reads of a body: seconds since the request was sent, and bytes."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An HTTP answer whose body is still arriving.

    `headers` has lower-case names. A live one comes over the network, and may never end. A scripted
    or recorded one is all there: it yields its own times and does not wait; who plays it waits for
    it, `speed` times faster than its times say.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Reads
    speed: float = 1.0
    is_live: bool = False
