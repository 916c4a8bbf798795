"""One table and its prompt, from the check to the table that comes back: `mm.map` and `--rows`."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from mm_magic.conversation.catalog import cost
from mm_magic.conversation.rows_count import RowsCount
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.template import may_have_made, names_in
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Usage
from mm_magic.protocol.request import check_count
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.answerer import Demo
from mm_magic.session.build_request import Draft
from mm_magic.session.forecast import forecast_of_rows, too_many
from mm_magic.session.options import Options
from mm_magic.session.rows import template
from mm_magic.session.rows.answers import Reading
from mm_magic.session.rows.budget import RowsBudget
from mm_magic.session.rows.columns import Columns
from mm_magic.session.rows.plan import Plan, plan
from mm_magic.session.rows.run import RowsRun, close_idle
from mm_magic.session.rows.source import Source, missing, source
from mm_magic.session.rows.table import Table, check_can_return, table_of
from mm_magic.session.rows.template import ROW, RowPrompt
from mm_magic.session.rows.view import RowsView
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.wording import counted, plain, share, shortened, was, without_code

if TYPE_CHECKING:
    from mm_magic.session.values import ValueType

OnError: TypeAlias = Literal["continue", "raise"]
_ON_ERROR: tuple[object, ...] = get_args(OnError)


@dataclass(frozen=True, slots=True)
class RowsOptions:
    """With what options a table is asked: `mm.map` explains each.

    `in_cell`: by a magic, and what is said of its options is said in the magic's words.
    """

    options: Options
    column: str = "answer"
    parallel: int = 8
    file: str | Path | None = None
    is_fresh: bool = False
    on_error: OnError = "continue"
    budget: float | None = None
    type: "ValueType | None" = None
    in_cell: bool = False

    def __post_init__(self) -> None:
        check_count("parallel", self.parallel)
        if self.on_error not in _ON_ERROR:
            raise UsageError(f"on_error must be 'continue' or 'raise', got {self.on_error!r}")
        if not _is_name(self.column):
            raise UsageError(f"column must be a name, got {self.column!r}")
        if self.budget is not None and not _is_amount(self.budget):
            raise UsageError(f"budget must be an amount in USD above 0, got {self.budget!r}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


class RowsJob:
    """A table that is to be asked. Nothing is sent before `run`."""

    def __init__(
        self,
        session: Session,
        prompt: RowPrompt,
        rows: Any,
        how: RowsOptions,
        variables: Mapping[str, object] | None = None,
    ) -> None:
        """Make all prompts, and look for the answers that are known.

        `variables` may stand in a template beside the columns. Raises UsageError, and MiniMaxError
        where nobody can answer.
        """
        _check_not_swapped(prompt, rows)
        check_can_return(rows)
        self._session = session
        self._prompt = prompt
        self._how = how
        self._columns = Columns.of(how.column, how.type)
        self._table: Table = table_of(rows, self._columns)
        if self._table.size or self._table.names:
            template.check(prompt, self._table.names, variables or {})
        self._plan = Plan()
        self._source: Source | None = None
        self._base: TurnRequest | None = None
        self.notes: list[str] = []
        self.concerns: list[str] = []
        self.was_shown = False
        self._reused = 0
        self._has_begun_file = False
        self._empty = Counter[str]()  # rows without a value for an insert of the template
        if self._table.size:
            self._prepare(prompt, variables or {})

    def _prepare(self, prompt: RowPrompt, variables: Mapping[str, object]) -> None:
        found = source(self._session, self._reading, self._how.file, is_fresh=self._how.is_fresh)
        prompts = template.prompts(prompt, self._table.items(), variables, self._empty)
        is_final = found.asked is None
        self._source = found
        self._plan = plan(prompts, self._asked, found.known, is_final=is_final)
        if self._plan.todo and found.asked is not None:
            ask = self._ask(self._plan.todo[0].prompt)
            cell = self._session.cells.here
            self._base = Draft.of(ask, cell, None, None).build(found.asked)
            self._check_budget(self._base)
        self._check_prompts(prompt)

    def _ask(self, prompt: str) -> Ask:
        """What a row with this prompt asks."""
        how = self._how
        return Ask(Prompt.of_text(prompt), how.options, alone=True, is_cell=False, type=how.type)

    @property
    def _asked(self) -> JsonObject:
        """What tells its requests from others, whatever their prompts."""
        return self._ask(template.ROW).asked()

    @property
    def _reading(self) -> Reading:
        """How its answers are read."""
        limit = int(str(self._how.options.parameters()["max_tokens"]))
        fields = self._columns.values if self._columns.has_fields else ()
        return Reading(self._how.type, self._how.options.model, limit, fields)

    def _check_prompts(self, prompt: RowPrompt) -> None:
        """Raise the error of a row without a prompt, where one is too many.

        A function that fails for every row is a slip.
        """
        refused = self._plan.refused
        is_slip = callable(prompt) and len(refused) == self._table.size
        if refused and (is_slip or self._how.on_error == "raise"):
            raise next(iter(refused.values()))

    def _check_budget(self, base: TurnRequest) -> None:
        """Raise UsageError where a budget can't be kept."""
        if self._how.budget is None or isinstance(base.answerer, Demo):
            return
        is_known = cost(base.ask.options.model, Usage(1, 1)) is not None
        if base.answerer.backend != "minimax" or not is_known:
            raise UsageError(
                "a budget can't be used here: the price is unknown",
                next_steps=("Leave the budget out, and try a few rows first: `df.head(5)`",),
            )

    # -- before anything is sent --------------------------------------------------------------

    @property
    def number(self) -> int:
        """How many requests are to be sent."""
        return len(self._plan.todo)

    def check_number(self, line: str) -> None:
        """Raise UsageError for more requests than may be sent unasked; `line` goes ahead."""
        if self._base is None:
            return
        told = self.forecast()
        if other := self.other_prompt():
            raise UsageError(other, next_steps=(told, f"To go ahead: `{line}`"))
        if self.number > (limit := self._how.options.confirm_above):
            what = f"send {counted(self.number, 'request')}"
            raise too_many(what, self.number, limit, told, line)

    def other_prompt(self) -> str:
        """A sentence if the file has answers, and to none of these prompts; "" otherwise.

        Answers to other rows are none: an engine asks a table in parts, and all have one file. Nor
        are answers that did not fit, or failures: the same prompts are asked again.
        """
        found = self._source
        if found is None or not found.answered or self._how.is_fresh or self._plan.answers:
            return ""
        todo, asked = {each.name for each in self._plan.todo}, self._asked
        if any(key.hash in todo or self._is_of_other_row(key, asked) for key in found.answered):
            return ""
        return (
            f"{found.name!r} has no answers to these prompts: has the prompt or an option changed?"
        )

    def _is_of_other_row(self, key: RequestKey, asked: JsonObject) -> bool:
        """Whether a request may be that of another row, with the same template and options.

        What a function or a variable of the notebook made of a row can't be told.
        """
        template = self._prompt
        if not isinstance(template, str) or key.options != asked:
            return False
        has_columns_only = names_in(template) <= {ROW, *self._table.names}
        return has_columns_only and may_have_made(template, key.text)

    def forecast(self) -> str:
        """How many requests are to be sent, what they may cost, and what is empty in them."""
        if self._base is None:
            return "Nothing is sent: every row has an answer."
        told = forecast_of_rows(self._base, [*self._plan.sizes()])
        return " ".join((told, *template.empty_told(self._empty)))

    def dry_run(self) -> str:
        """What would be sent: number, forecast, and the first request."""
        rows = f"{counted(self._table.size, 'row')}, columns {', '.join(self._table.names)}"
        lines = [f"{rows}. {self.forecast()}"]
        if self._base is not None:
            lines.append(f"\nThe first request:\n{self._base.in_words()}")
        return "\n".join(lines)

    # -- asking -------------------------------------------------------------------------------

    async def run(
        self, watch: Callable[[RowsCount], RowsView | None] | None, *, is_awaited: bool = False
    ) -> Any:
        """Ask what is to be asked; return the table with the answers.

        `watch` gives what shows how far it is. `is_awaited`: the event loop is free meanwhile.
        Raises MiniMaxError with `.rows`, the table so far, where nothing more can be asked.
        """
        count = self._count()
        self._reused = count.done
        view = watch(count) if watch is not None and self._table.size else None
        self.was_shown = view is not None
        running = self._running(count, is_awaited=is_awaited)
        try:
            if running is not None and self._source is not None:
                self._has_begun_file = self._source.begin()
                await running.run(view.tick if view else _nothing)
            elif self._source is not None and self.number:
                raise missing(self._source, self.number, self._table.size)
        except asyncio.CancelledError:
            await close_idle(self._session)
            raise
        except MiniMaxError as error:
            error.rows = self.rows()
            self._add_step(error, count)
            raise error.with_traceback(None) from None
        finally:
            self._close(view, count, running)
        return self.rows()

    def rows(self) -> Any:
        """The table with what has come so far."""
        found = [self._plan.row(place) for place in range(len(self._plan.requests))]
        return self._table.with_columns(self._columns.cells(found))

    def _count(self) -> RowsCount:
        made = self._plan
        whole = sum(made.rows_of(name) for name, each in made.answers.items() if each.is_whole)
        failed = sum(made.rows_of(name) for name, each in made.answers.items() if not each.is_whole)
        return RowsCount(
            self._table.size,
            done=whole,
            found=whole + failed + len(made.refused),
            failed=failed + len(made.refused),
            is_demo=self._source is not None and isinstance(self._source.asked, Demo),
        )

    def _running(self, count: RowsCount, *, is_awaited: bool) -> RowsRun | None:
        if self._base is None or self._source is None or self._source.asked is None:
            return None
        return RowsRun(
            session=self._session,
            plan=self._plan,
            count=count,
            base=self._base,
            source=self._source,
            reading=self._reading,
            parallel=self._how.parallel,
            budget=RowsBudget(self._how.budget if self._base.answerer.endpoint else None),
            raises=self._how.on_error == "raise",
            is_awaited=is_awaited,
        )

    def _add_step(self, error: MiniMaxError, count: RowsCount) -> None:
        """What an error leaves, and how to go on."""
        left = count.rows - count.done
        if count.done and left:
            told = f"{share(count.done, count.rows, 'row')} "
            told += f"{'has' if count.done == 1 else 'have'} an answer: "
            error.next_steps = (
                *error.next_steps,
                f"{told}run the same line again to send the rest; the error's `.rows` is the table "
                "so far.",
            )

    def _close(self, view: RowsView | None, count: RowsCount, running: RowsRun | None) -> None:
        self._reused += running.reused if running is not None else 0
        self.concerns = [*self._concerns(count, running)]
        if view is not None:
            mended = running.mended if running is not None else []
            view.finish([*self._told(), *_once_more(mended), *self.concerns, *self.notes])

    def _told(self) -> list[str]:
        """Sentences on where answers came from."""
        notes: list[str] = []
        found = self._source
        if found is None:
            return notes
        if self._reused:
            fresh = "`%%minimax --fresh`" if self._how.in_cell else "fresh=True"
            again = "" if found.asked is None else f"; {fresh} asks again"
            reused = f"{counted(self._reused, 'answer')} {was(self._reused)} reused"
            notes.append(f"{reused} from {found.name}{again}.")
        if self._how.is_fresh and found.asked is not None:
            notes.append("All rows were sent again.")
        if self._has_begun_file:
            notes.append(f"Started a new recording, {found.name}.")
        return notes

    def _concerns(self, count: RowsCount, running: RowsRun | None) -> Iterator[str]:
        """Sentences on what is not as it should be."""
        if count.failed:
            yield self._failures(count)
        yield from template.empty_told(self._empty)
        if running is not None and running.cut:
            option = "--max-tokens N" if self._how.in_cell else "max_tokens=N"
            cut = f"{counted(running.cut, 'answer')} {was(running.cut)} cut off at max_tokens"
            yield f"{cut}; raise it with {option}."
        recorder = self._source.recorder if self._source else None
        if recorder is not None and recorder.problem:
            yield f"Answers could not be recorded in {recorder.name}: {recorder.problem}."

    def _failures(self, count: RowsCount) -> str:
        rows = (self._plan.row(place) for place in range(len(self._plan.requests)))
        first = next((each.error for each in rows if each.error), "")
        first = without_code(shortened(plain(first), 120)).rstrip(".")
        these = "this row" if count.failed == 1 else "these rows"
        these = f"only {these}" if count.ended == count.rows else f"{these} and the rest"
        which = ":" if count.failed == 1 else "; the first error:"
        end = "" if first.endswith("…") else "."
        return (
            f"{counted(count.failed, 'row')} failed{which} {first}{end} The column "
            f"{self._how.column}_error says why. Run the same line again to send {these}."
        )


def _once_more(problems: Sequence[str]) -> Iterator[str]:
    """A sentence on answers that were asked for once more."""
    if problems:
        which = "" if len(problems) == 1 else "the first problem: "
        did = f"{counted(len(problems), 'answer')} did not fit the type"
        told = without_code(shortened(problems[0], 120))
        yield f"{did} ({which}{told}), so the model was asked again."


def _nothing() -> None:
    pass


def _check_not_swapped(prompt: object, rows: object) -> None:
    """Raise UsageError where the table came first."""
    is_prompt = isinstance(prompt, str) or callable(prompt)
    if (isinstance(rows, str) or callable(rows)) and not is_prompt:
        raise UsageError(
            "the prompt must be the first argument, and the table the second",
            next_steps=("Write the prompt first: `mm.map(prompt, rows)`",),
        )
