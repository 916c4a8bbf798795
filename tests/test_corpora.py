"""The corpora that come with the project: large enough, no case twice, and counted right."""

from collections.abc import Callable, Hashable, Iterable, Sized

import pytest
from support.corpora import benign, own_payloads, own_streams, own_strings
from support.faults import FAULTS
from support.odd import VALUES
from support.security_page import SECURITY_PAGE


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


@pytest.mark.parametrize(
    ("cases", "called"),
    [
        (own_streams(), "hostile answers"),
        (own_payloads(), "payloads"),
        (benign(), "ordinary texts"),
        (own_strings(), "hostile and ordinary strings"),
        (FAULTS, "kinds of faults"),
        (VALUES, "odd values"),
    ],
)
def test_the_page_counts_what_a_clone_has(cases: Sized, called: str) -> None:
    """The figures of docs/security.md are those of this repository alone."""
    assert f" {len(cases)} {called}" in SECURITY_PAGE
