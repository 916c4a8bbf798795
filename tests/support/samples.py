"""How many of many samples a test takes: a share by default, all of them where it is `slow`."""

import pytest


def one_in(step: int) -> pytest.MarkDecorator:
    """Gives a test `step`: `samples[::step]` are a share of them, or all in the slow run."""
    everything = pytest.param(1, id="all", marks=pytest.mark.slow)
    return pytest.mark.parametrize("step", [pytest.param(step, id=f"one in {step}"), everything])
