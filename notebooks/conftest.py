"""The example notebooks run without a key, so that a test spends nobody's money."""

import os

collect_ignore = ["class"]  # its notebooks are handed in, and hold what a model answered
PRIVATE = ("MINIMAX_", "ANTHROPIC_")


def pytest_configure() -> None:
    """Before the first kernel starts: kernels get this process's environment."""
    for name in [name for name in os.environ if name.startswith(PRIVATE)]:
        del os.environ[name]
