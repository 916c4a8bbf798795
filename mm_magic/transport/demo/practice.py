"""The embedded backend's practice answers: fixed texts for exact prompts, and scripted errors.

They let a class practise drawing, Stop and error cards without a network.
"""

import re
from dataclasses import dataclass

from mm_magic.transport.demo.read_request import count_words
from mm_magic.transport.demo.report import OPENING
from mm_magic.transport.demo.send import DemoScript, Ending

DEMOS: dict[str, str] = {
    "demo long": "a long answer: scroll while it streams in, or press Stop",
    "demo code": "Python code that runs; `%minimax code` is replaced by it",
    "demo maths": "formulas inside lines and on lines of their own",
    "demo slow": "one word at a time, for about 25 seconds",
    "demo stall": "some text, then ten minutes of silence: press Stop",
    "demo cut": "a stream that breaks off in the middle of a sentence",
    "demo wrong value": "with `--type`: JSON that does not fit, so the model is asked again",
    "demo error 1008": "the error card for an account with no balance",
    "demo error 429": "the error card for too many requests, after the retries",
}


@dataclass(frozen=True, slots=True)
class ScriptedError:
    """An HTTP error of the service: status, the error's type, message with the code in it."""

    status: int
    kind: str
    message: str


def script(prompt: str) -> DemoScript | None:
    """The practice answer for exactly this prompt, or None."""
    return _SCRIPTS.get(prompt.strip())


def asks_for_wrong_value(prompt: str) -> bool:
    """Whether JSON is wanted that is not of the requested type."""
    return prompt.strip() == "demo wrong value"


def scripted_error(prompt: str) -> ScriptedError | None:
    """The error that `demo error NNNN` asks for, or None for another prompt.

    NNNN is a code of the service or an HTTP status. An unknown one gives the error for a wrong
    parameter, with a message that lists the known ones.
    """
    asked = re.fullmatch(r"demo error(?:\s+(\w{1,9}))?", prompt.strip())
    if asked is None:
        return None
    number = asked[1]
    if number in _STATUSES:
        return _STATUSES[number]
    if number in _CODES:
        return _error(number, *_CODES[number])
    known = ", ".join((*_CODES, *_STATUSES))
    what = f"no scripted error {number!r}" if number else "no error number given"
    return _error("2013", 400, "invalid_request_error", f"offline demo: {what}; known: {known}")


# What happened is told where the error is shown: once more in the message, it would be told twice.
_MESSAGE = "a practice error of the offline demo"


def _error(code: str, status: int, kind: str, message: str = _MESSAGE) -> ScriptedError:
    return ScriptedError(status, kind, f"{message} ({code})")


# Codes with the HTTP status that they arrive with. 1008 and 2061 do come as 500: the code tells
# what is wrong, the status doesn't.
_CODES: dict[str, tuple[int, str]] = {
    "1000": (500, "api_error"),
    "1001": (504, "timeout_error"),
    "1002": (429, "rate_limit_error"),
    "1004": (401, "authentication_error"),
    "1008": (500, "api_error"),
    "1013": (500, "api_error"),
    "1024": (500, "api_error"),
    "1026": (400, "invalid_request_error"),
    "1027": (400, "invalid_request_error"),
    "1028": (429, "rate_limit_error"),
    "1030": (429, "rate_limit_error"),
    "1033": (500, "api_error"),
    "1039": (429, "rate_limit_error"),
    "1041": (429, "rate_limit_error"),
    "1042": (400, "invalid_request_error"),
    "2013": (400, "invalid_request_error"),
    "2045": (429, "rate_limit_error"),
    "2046": (429, "rate_limit_error"),
    "2047": (429, "rate_limit_error"),
    "2049": (401, "authentication_error"),
    "2056": (429, "rate_limit_error"),
    "2061": (500, "api_error"),
    "2062": (429, "rate_limit_error"),
    "2064": (529, "overloaded_error"),
    "2067": (429, "rate_limit_error"),
}

# For an HTTP status: the code that most often comes with it; two come without any.
_STATUSES: dict[str, ScriptedError] = {
    "400": _error("2013", *_CODES["2013"]),
    "401": _error("2049", *_CODES["2049"]),
    "402": _error("1008", 402, "billing_error"),
    "404": ScriptedError(404, "not_found_error", _MESSAGE),
    "429": _error("1002", *_CODES["1002"]),
    "500": _error("1000", *_CODES["1000"]),
    "502": ScriptedError(502, "api_error", _MESSAGE),
    "504": _error("1001", *_CODES["1001"]),
    "529": _error("2064", *_CODES["2064"]),
}

_FILLER = (
    "An answer comes in many small pieces, and each piece is shown as soon as it arrives.",
    "Scroll up while the text grows: the part you are reading should stay in place.",
    "Press Stop at any time; what has arrived stays under the cell, marked as stopped.",
    "A stopped cell also halts Run All, so no later cell runs without that answer.",
    "These sentences come from a fixed list, in an order that depends on the section alone.",
    "The same prompt gives the same bytes at the same times, on every machine.",
    "No model chose these words, and nothing in them answers a question.",
    "Long answers are shown in pages, so that the last line appears as fast as the first.",
    "A heading, a list or a block of code may be half there for a moment while it arrives.",
    "The line under the answer counts the words: here, one word stands for one token.",
    "A smaller `--max-tokens` cuts this text short, and the line under it says so.",
    "Save the notebook, close it and open it again: the finished answer is in the file.",
    "Run the cell again and the text is the same, because nothing in it is random.",
)

_SECTIONS = 10


def _long() -> str:
    title = (
        f"{OPENING}: filler text for practising scrolling and Stop.\n\n"
        f"It has {_SECTIONS} sections and takes about eleven seconds."
    )
    return "\n\n".join((title, *(_section(number) for number in range(1, _SECTIONS + 1))))


def _section(number: int) -> str:
    lines = [_FILLER[(number * 4 + step) % len(_FILLER)] for step in range(10)]
    parts = [f"### Section {number} of {_SECTIONS}", " ".join(lines[:4])]
    parts.append("\n".join(f"- {line}" for line in lines[4:7]))
    # Long names make many bytes of few words: all of it fits into the default max_tokens, 2048.
    name = f"filler_numbers_of_section_{number}"
    parts.append(
        "```python\n"
        f"{name} = [{number} * place for place in range(10)]\n"
        f"print(min({name}), max({name}))\n"
        f"print(sum({name}) / len({name}))\n"
        f"print(sorted({name}, reverse=True)[:3])\n"
        f"print(set({name}).issuperset({name}))\n"
        "```"
    )
    return "\n\n".join((*parts, " ".join(lines[7:])))


_CODE = f"""{OPENING}: fixed code, for practising.

The program turns scores into probabilities at three temperatures. A low temperature favours the \
likeliest word; a high one spreads the chances.

```python
import math

scores = {{"oak": 3.0, "elm": 2.2, "ash": 1.6, "fir": 1.1}}


def probabilities(temperature):
    weights = {{word: math.exp(score / temperature) for word, score in scores.items()}}
    total = sum(weights.values())
    return {{word: weight / total for word, weight in weights.items()}}


for temperature in (0.2, 0.6, 1.0):
    print(f"temperature {{temperature}}")
    for word, share in probabilities(temperature).items():
        print(f"  {{word:6}} {{share:6.1%}} {{'#' * round(40 * share)}}")
```

- `probabilities` divides each score by the temperature before `exp`.
- Add a word or change a score, and look at the bars again.

`%minimax code`, in a cell of its own, is replaced by this program. It runs only when you run that
cell again."""

_MATHS = rf"""{OPENING}: fixed formulas, for practising.

**Inside a line:** the weights \(w_1, w_2, \dots, w_n\) are never negative, and
$e^{{i\pi}} + 1 = 0$. A price such as $5 or $10 is not a formula.

**On a line of its own**, the probability of word $i$ with score $z_i$ at temperature $T$:

$$
p_i = \frac{{e^{{z_i / T}}}}{{\sum_{{j=1}}^{{n}} e^{{z_j / T}}}}
$$

**A matrix** rotates a point through the angle $\theta$:

\[
R(\theta) = \begin{{pmatrix}} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{{pmatrix}}
\]

**Over two lines**, the second of which begins with a minus sign:

$$
(a - b)^3 = a^3 - 3a^2 b
- b^3 + 3ab^2
$$

| formula | name |
| --- | --- |
| $\int_0^1 x^2 \, dx = \frac{{1}}{{3}}$ | an area |
| $\lim_{{n \to \infty}} \left(1 + \frac{{1}}{{n}}\right)^n = e$ | a limit |"""

_SLOW = (
    f"{OPENING}: a slow answer, for practising patience and Stop. There is a half-second pause"
    " between words; nothing is wrong. If you wait, you will see the words arrive one at a time."
)

_STALL = (
    f"{OPENING}: after this text, nothing arrives for ten minutes. Press Stop and see that"
    " what has arrived stays …"
)

_CUT = (
    f"{OPENING}: this stream breaks off in the middle of a sentence. What has arrived is kept and"
    " marked as incomplete, and it is not sent along with the next prompt, because the rest of"
)

_ANSWERS: dict[str, tuple[str, float, Ending]] = {
    "demo long": (_long(), 0.0053, "whole"),
    "demo code": (_CODE, 0.022, "whole"),
    "demo maths": (_MATHS, 0.02, "whole"),
    "demo slow": (_SLOW, 0.5, "whole"),
    "demo stall": (_STALL, 0.05, "stall"),
    "demo cut": (_CUT, 0.05, "cut"),
}


def _thinking(prompt: str, text: str) -> str:
    return (
        f"Step 1: the prompt is exactly `{prompt}`, so it asks for a practice answer.\n\n"
        f"Step 2: send its fixed text, {count_words(text)} words, at fixed times."
    )


_SCRIPTS = {
    prompt: DemoScript(_thinking(prompt, text), text, word_seconds, ending)
    for prompt, (text, word_seconds, ending) in _ANSWERS.items()
}
