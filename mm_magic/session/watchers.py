"""Who is told when something of a session changes."""

from collections.abc import Callable


class Watchers(list[Callable[[], None]]):
    """They are called, on any thread, when a run began or ended, a conversation changed, or another
    backend was chosen."""

    def tell(self) -> None:
        """Something changed: call all."""
        for watcher in tuple(self):
            watcher()
