"""The corpora that come with the project: large enough, and no case twice."""

from collections.abc import Callable, Hashable, Iterable

import pytest
from support.corpora import benign, own_payloads, own_streams


@pytest.mark.parametrize(
    ("names_and_cases", "least"),
    [
        (
            lambda: [
                (each.name, (each.status, each.body, *each.headers.items()))
                for each in own_streams()
            ],
            100,
        ),
        (lambda: own_payloads().items(), 100),
        (lambda: [(text.name, text.text) for text in benign()], 50),
    ],
    ids=["streams", "payloads", "ordinary texts"],
)
def test_a_clone_brings_its_own_corpora(
    names_and_cases: Callable[[], Iterable[tuple[str, Hashable]]], least: int
) -> None:
    """Without any other folder there are 100 streams, 100 payloads and 50 ordinary texts."""
    names, cases = zip(*names_and_cases(), strict=True)
    assert len(set(names)) == len(names)
    assert len(set(cases)) == len(cases) >= least
