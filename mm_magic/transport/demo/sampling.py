"""What temperature and top_p do, worked out on a fixed table of eight words.

It is arithmetic, no model: the same table for every prompt.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

DRAWS = 20

# From the highest score down: the nucleus of top_p is then a head of the list.
SCORES: tuple[tuple[str, Decimal], ...] = tuple(
    (word, Decimal(score))
    for word, score in (
        ("oak", "3.0"),
        ("elm", "2.2"),
        ("ash", "1.6"),
        ("fir", "1.1"),
        ("pine", "0.6"),
        ("lime", "0.1"),
        ("birch", "-0.6"),
        ("maple", "-1.4"),
    )
)

# The C library's exp differs in its last bit from platform to platform; Decimal's doesn't. The
# context is our own because a notebook may have changed the precision of the current one.
_ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])


@dataclass(frozen=True, slots=True)
class WordRow:
    """One word: its score, and its probability (0 to 1) at each step.

    `kept` is the probability after top_p, or None for a word that was cut. `drawn` counts how often
    the word came in the draws.
    """

    word: str
    score: Decimal
    at_one: Decimal
    at_temperature: Decimal
    kept: Decimal | None
    drawn: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """The table's rows, and the words drawn from it in order."""

    rows: tuple[WordRow, ...]
    draws: tuple[str, ...]


def sample(
    temperature: float, top_p: float, prompt: str, earlier: int, answer: int = 1
) -> Sampling:
    """The table at `temperature` and `top_p`, both in (0, 1], and draws from it.

    The random numbers derive from `prompt`, the number of `earlier` turns and that of the `answer`
    alone, which is 1 where no more are asked for. So when only the temperature changes, every
    difference in the draws is the temperature's doing.
    """
    with localcontext(_ARITHMETIC):
        scores = [score for _, score in SCORES]
        at_one = probabilities(scores, Decimal(1))
        at_temperature = probabilities(scores, Decimal(repr(temperature)))
        kept = nucleus(at_temperature, Decimal(repr(top_p)))
        places = [_place(kept, number) for number in _random_numbers(prompt, earlier, answer)]
    rows = tuple(
        WordRow(
            word,
            score,
            at_one[place],
            at_temperature[place],
            kept[place] if place < len(kept) else None,
            places.count(place),
        )
        for place, (word, score) in enumerate(SCORES)
    )
    return Sampling(rows, tuple(SCORES[place][0] for place in places))


def probabilities(scores: Sequence[Decimal], temperature: Decimal) -> list[Decimal]:
    """Softmax: exp(score / temperature), divided by the sum of them all."""
    best = max(scores)
    weights = [((score - best) / temperature).exp() for score in scores]
    return _shares(weights)


def nucleus(descending: Sequence[Decimal], top_p: Decimal) -> list[Decimal]:
    """The probabilities of the fewest likeliest words that reach `top_p`, made to sum to 1."""
    kept: list[Decimal] = []
    for probability in descending:
        kept.append(probability)
        if sum(kept) >= top_p:
            break
    return _shares(kept)


def _shares(weights: Sequence[Decimal]) -> list[Decimal]:
    total = sum(weights, Decimal(0))
    return [weight / total for weight in weights]


def _random_numbers(prompt: str, earlier: int, answer: int) -> list[Decimal]:
    made_of = [prompt, earlier, *[answer] * (answer > 1)]
    seed = hashlib.sha256(json.dumps(made_of).encode("ascii")).digest()
    source = random.Random(int.from_bytes(seed, "big"))
    return [Decimal(source.random()) for _ in range(DRAWS)]


def _place(kept: Sequence[Decimal], number: Decimal) -> int:
    """The index of the word whose share of the line from 0 to 1 holds `number`."""
    reached = Decimal(0)
    for place, probability in enumerate(kept):
        reached += probability
        if number < reached:
            return place
    return len(kept) - 1
