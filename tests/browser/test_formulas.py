"""MathJax sets the formulas of an answer without an error, however often the answer comes."""

import pytest
from playwright.sync_api import expect
from support import hostile
from support.loopback import Loopback, captured, streamed

from browser.lab import Lab
from browser.test_drawing import LOAD, use

pytestmark = pytest.mark.browser

HARD = r"""
Labels $$E = mc^2 \label{eq:1} \tag{1}$$ and again \(E \label{eq:1} \tag{1}\), see $\eqref{eq:1}$.

\begin{align}
a &= b_{\text{max_value}} \label{eq:2} \\

&= \text{R&D, 5% of #1, x^2} \tag{2}
\end{align}

$$
\begin{aligned}
a &= b
- c
\end{aligned} \label{eq:1}
$$

\begin{pmatrix} \begin{pmatrix} 1 & 2 \end{pmatrix} \\ 3 \end{pmatrix}

| Plan ($) | Norm ($) | $|x|$ |
|---|---|---|
| $5 | $\|x\|$ | $P(A | B)$ |

> $\require{cancel}\cancel{x} \text{ if $y_1$ or a_b}$

- \begin{cases} a & b \\ c & d \end{cases}
- \[ \ref{eq_1} \textbf{b_c} \mbox{d_e} \]
- $\tag{a_b} x$
"""
SET = 13


def answer(lab: Lab, text: str, cells: list[str], *numbers: int) -> None:
    """Run the cells with numbers behind those that load the extension and choose the model."""
    with Loopback(streamed(captured(text=text))) as model:
        lab.open("formulas.ipynb", [LOAD, use(model), *cells])
        lab.run(0, 1, *numbers)


def test_hard_formulas_are_set_each_time(lab: Lab) -> None:
    """Two answers with the same labels, one of them twice, and the file opened again: no error."""
    answer(lab, HARD, ["%%minimax --alone\nOne", "%%minimax --alone\nTwo"], 2, 3, 2)
    for number in (2, 3):
        expect(lab.answer(number).locator("mjx-container")).to_have_count(SET)
        expect(lab.output(number).locator("mjx-merror")).to_have_count(0)
    lab.save()
    lab.reload()
    expect(lab.answer(3).locator("mjx-container")).to_have_count(SET)
    assert lab.output(2).locator("mjx-merror, [data-mjx-error]").count() == 0
    assert lab.output(3).locator("mjx-merror, [data-mjx-error]").count() == 0


def test_pages_that_models_made_have_no_errors(lab: Lab) -> None:
    """An answer that ran again has no more errors of MathJax than it may have."""
    for case in hostile.load("real-world/pages.json"):
        if case["kind"] == "K7":
            look = 2 + case["look"]
            answer(lab, "".join(case["answer"]), case["cells"], look, 2 + case["again"])
            expect(lab.answer(look).locator("mjx-container").first).to_be_visible()
            assert lab.output(look).locator("mjx-merror").count() == case["errors"]
