"""The catalog: what is known of MiniMax's models, and what follows from it. Data and arithmetic.

Any other name works, too: nothing is known of it then, and nothing is refused. Sources: MiniMax's
pages on models and prices, and captures of real traffic, of PRICES_DATE.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mm_magic.conversation.reply import Reply, earlier_usages, is_counted
from mm_magic.errors import UsageError
from mm_magic.protocol.image_file import Size
from mm_magic.protocol.json_values import as_text
from mm_magic.protocol.messages import ImageBlock, Usage
from mm_magic.wording import counted

PRICES_DATE = "November 2026"
DEFAULT_MODEL = "MiniMax-M2.7"
PAGE_MAX_TOKENS = 2048
"""The largest `max_tokens` by the API page, which knows MiniMax-M2.1 to M2.7 alone. Other pages of
the service allow more."""
ADVISED_MAX_TOKENS = 16_384
"""What is sent as `max_tokens` for M3 and later, whose thinking alone can take thousands."""
MOST_PICTURES = 4
"""In one request, by MiniMax's documentation."""
BYTES_PER_TOKEN = 3
"""A careful guess: English text has about 4, Chinese 3 to 4, code and numbers fewer."""


class Price(NamedTuple):
    """USD per million tokens; None where a price is not known.

    A prompt of more than `long_from` tokens costs twice as much, a request of the priority tier
    `priority` times as much.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float | None
    long_from: int | None = None
    priority: float | None = None


class Model(NamedTuple):
    """One model of MiniMax.

    `window` counts the tokens that a request and its answer may have together, `most_out` those of
    the longest answer; `max_tokens` is what is sent where it is not set, and `page_max` the most
    that the API page allows, None where the page does not know the model. `thinks_if_asked`: its
    thinking is off unless the request says adaptive. `always_thinks`: it refuses to have it
    disabled. `takes_effort`: it accepts `output_config`. `sees`: it takes pictures.
    """

    name: str
    window: int
    most_out: int
    max_tokens: int
    page_max: int | None
    price: Price | None
    thinks_if_asked: bool = False
    always_thinks: bool = False
    takes_effort: bool = False
    sees: bool = False

    @property
    def ignores_disabled(self) -> bool:
        """Whether it thinks all the same, without an error, if it is asked not to."""
        return not (self.thinks_if_asked or self.always_thinks)


def _m2(name: str, price: Price | None) -> Model:
    return Model(name, 204_800, 131_072, PAGE_MAX_TOKENS, PAGE_MAX_TOKENS, price)


def _m3(name: str, price: Price, *, thinks_if_asked: bool = False) -> Model:
    return Model(
        name, 1_000_000, 524_288, ADVISED_MAX_TOKENS, None, price,
        thinks_if_asked=thinks_if_asked, always_thinks=not thinks_if_asked, takes_effort=True,
        sees=True,
    )  # fmt: skip


_FLASH = Price(0.15, 0.60, 0.015, None)

_CATALOG = (
    _m2("MiniMax-M2.7", Price(0.30, 1.20, 0.06, 0.375)),
    _m2("MiniMax-M2.7-highspeed", Price(0.60, 2.40, 0.06, 0.375)),
    _m2("MiniMax-M2.5", Price(0.30, 1.20, 0.03, 0.375)),
    _m2("MiniMax-M2.5-highspeed", Price(0.60, 2.40, 0.03, 0.375)),
    _m2("MiniMax-M2.1", Price(0.30, 1.20, 0.03, 0.375)),
    _m2("MiniMax-M2.1-highspeed", None),
    _m2("MiniMax-M2", Price(0.30, 1.20, 0.03, 0.375)),
    _m3(
        "MiniMax-M3", Price(0.30, 1.20, 0.06, None, long_from=512_000, priority=1.5),
        thinks_if_asked=True,
    ),
    _m3("MiniMax-M3.1-Flash", _FLASH),
    _m3("MiniMax-M3.1-Flash-Preview", _FLASH),
)  # fmt: skip

MODELS: Mapping[str, Model] = {model.name: model for model in _CATALOG}
_BY_ID = {name.lower(): model for name, model in MODELS.items()}
_DATE = re.compile(r"-\d{8}\Z", re.ASCII)

_OTHERS = [model for model in _CATALOG if model.name != DEFAULT_MODEL]
PREFERENCE = tuple(model.name for model in sorted(_OTHERS, key=lambda m: m.page_max is not None))
"""The models that answer where the default one is no longer served, M3 and later first."""


def find(name: str | None) -> Model | None:
    """What is known of a model, None if nothing is.

    The service also answers with ids such as `minimax-m2.5-20260211`, and proxies put the maker
    in front, as `minimax/minimax-m2.5`.
    """
    own = (name or "").rpartition("/")[2].lower()
    return _BY_ID.get(own) or _BY_ID.get(_DATE.sub("", own))


def preferred(offered: Iterable[str]) -> str | None:
    """The model of PREFERENCE, as the server calls it, that comes first; None if it has none."""
    names = {model.name: name for name in offered if (model := find(name))}
    return next((names[name] for name in PREFERENCE if name in names), None)


def default_max_tokens(model: str) -> int:
    """What is sent as `max_tokens` where it is not set: the wire requires one."""
    known = find(model)
    return known.max_tokens if known else PAGE_MAX_TOKENS


def max_tokens_warning(model: str, value: int | None) -> str | None:
    """A sentence for a `max_tokens` above what the service documents for a model, else None."""
    known = find(model)
    if known is None or value is None or value <= (known.page_max or known.most_out):
        return None
    if known.page_max is None or value > known.most_out:
        return (
            f"max_tokens {value} is more than {known.name} can write ({known.most_out}): the "
            "service may refuse it."
        )
    return (
        f"max_tokens {value} is above {known.page_max}, the limit on MiniMax's API page. It is "
        f"sent anyway: other pages allow {known.most_out}."
    )


def thinking_warning(model: str, thinking: str) -> str | None:
    """A sentence where `thinking` asks a model not to think, which does so all the same."""
    known = find(model)
    if known is None or thinking != "disabled" or not known.ignores_disabled:
        return None
    return f"{known.name} always thinks; `--thinking disabled` changes nothing."


def longer(model: str, max_tokens: int) -> int | None:
    """A larger `max_tokens` to try, None where the model can give no more."""
    known = find(model)
    most = known.most_out if known else None
    if most is not None and max_tokens >= most:
        return None
    return min(filter(None, (max(4 * max_tokens, PAGE_MAX_TOKENS), most)))


def check_accepted(model: str, thinking: str, effort: str | None) -> None:
    """Raise UsageError where a model is known to refuse what it would be asked with."""
    known = find(model)
    if known is None:
        return
    if thinking == "disabled" and known.always_thinks:
        raise UsageError(
            f"{known.name} always thinks: it refuses --thinking disabled",
            next_steps=("To make it think less: `%%minimax --thinking auto --effort low`",),
        )
    if effort is not None and not known.takes_effort:
        raise UsageError(
            f"{known.name} refuses --effort",
            next_steps=(
                "To ask without it: `%%minimax --effort default`",
                "To ask a model that supports it: "
                f"`%%minimax -m MiniMax-M3.1-Flash --effort {effort}`",
            ),
        )


def check_pictures(model: str, own: int, earlier: int) -> None:
    """Raise UsageError where a model is known to refuse so many pictures.

    `own` are in the prompt, `earlier` in the turns that are sent along.
    """
    known = find(model)
    if known is None or not own + earlier:
        return
    number = f"{earlier} of them " if own else ""
    others = f" ({number}in earlier turns)" if earlier else ""
    steps = ["To leave earlier turns out: `%%minimax --alone`"] if earlier else []
    if not known.sees:
        seeing = next(name for name in PREFERENCE if MODELS[name].sees)
        raise UsageError(
            f"{known.name} can't see pictures, and this would send "
            f"{counted(own + earlier, 'picture')}{others}",
            next_steps=(f"To ask a model that can: `%%minimax -m {seeing}`", *steps),
        )
    if own + earlier > MOST_PICTURES:
        raise UsageError(
            f"this would send {own + earlier} pictures{others}, and {known.name} takes at most "
            f"{MOST_PICTURES}",
            next_steps=(*steps, "To send several as one picture, draw them in one figure."),
        )


def image_tokens(size: Size) -> int:
    """The tokens of a picture: width × height / 750.

    The rule is that of Anthropic's documentation of this API ("Vision"); MiniMax's has none.
    """
    return size[0] * size[1] // 750 + 1


def weight(encoded: int, pictures: Iterable[ImageBlock]) -> int:
    """So many bytes of JSON as `room` counts them: pictures in it by tokens, and not by bytes."""
    for each in pictures:
        encoded += image_tokens(each.size) * BYTES_PER_TOKEN - len(each.data)
    return encoded


def room(model: str, max_tokens: int, system: str, question: int) -> int | None:
    """Bytes that earlier turns may take; None where the model's window is not known.

    `question` is the weight of the prompt.
    """
    known = find(model)
    if known is None:
        return None
    taken = question + len(system.encode("utf-8", "replace"))
    return max(0, (known.window - max_tokens) * BYTES_PER_TOKEN - taken)


# What it costs


def price_of(reply: Reply, asked: str) -> float | None:
    """What an answer of the model `asked` cost, in USD; None where that is not known."""
    if reply.backend != "minimax" or not is_counted(reply):
        return None
    tier = as_text(reply.usage.extra.get("service_tier") or reply.message.extra.get("service_tier"))
    usages = [reply.usage, *earlier_usages(reply)]
    prices = [cost(reply.model or asked, usage, tier) for usage in usages]
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def cost(model: str | None, usage: Usage, tier: str = "") -> float | None:
    """The price of one request in USD, or None where price or usage is not known."""
    known = find(model)
    price = known.price if known else None
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    if written and price.cache_write is None:
        return None
    total = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + read * price.cache_read
        + written * (price.cache_write or 0.0)
    )
    if price.long_from is not None and usage.input_tokens + read + written > price.long_from:
        total *= 2
    if tier == "priority":
        if price.priority is None:
            return None
        total *= price.priority
    return total / 1_000_000


def highest_cost(model: str | None, input_tokens: int, output_tokens: int) -> float | None:
    """The most that a request of so many tokens can cost in USD, however its input is counted.

    None where the price is not known.
    """
    plain = cost(model, Usage(input_tokens, output_tokens))
    cached = cost(model, Usage(0, output_tokens, cache_creation_input_tokens=input_tokens))
    return plain if plain is None or cached is None else max(plain, cached)


def dollars(amount: float | None) -> str:
    """An amount of USD as it is shown; "—" where it is not known."""
    if amount is None:
        return "—"
    return f"${amount:.4f}" if amount >= 0.00005 or amount == 0 else "under $0.0001"
