"""What follows from a refused request: another one in its place, and what that teaches."""

from collections.abc import Iterable
from dataclasses import dataclass

from mm_magic.conversation.catalog import preferred
from mm_magic.errors import MiniMaxError
from mm_magic.session.answerer import Server
from mm_magic.session.defaults import Defaults
from mm_magic.session.models import Models
from mm_magic.session.requests import Requests
from mm_magic.session.run import Run
from mm_magic.session.told import Told
from mm_magic.session.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Refusals:
    """Says what may be sent where a server refuses a model, or the thinking of earlier turns."""

    requests: Requests
    models: Models
    defaults: Defaults
    told: Told

    def instead(
        self, run: Run, request: TurnRequest, error: MiniMaxError, offered: Iterable[str]
    ) -> TurnRequest | None:
        """What to send in place of a request that was refused, None if nothing else may help."""
        if run.has_content:
            return None
        if error.kind == "not_found" and run.is_first_request:
            return self._of_another_model(request, offered)
        return request.instead(error)

    def _of_another_model(self, request: TurnRequest, offered: Iterable[str]) -> TurnRequest | None:
        """The request to the best of the models on offer, where nobody chose one.

        The API page's model is reported as retired. The other one stays for the session.
        """
        options = request.ask.options
        model = preferred(name for name in offered if name != options.model)
        if model is None or not self._may_be_another_model(request):
            return None
        self.defaults.retire(options.model, model)
        return self.requests.of_model(request, model)

    def _may_be_another_model(self, request: TurnRequest) -> bool:
        is_live = isinstance(request.answerer, Server)
        return is_live and self.defaults.have_model_of(request.ask.options)

    def may_send_instead(self, request: TurnRequest, error: MiniMaxError) -> bool:
        """Whether another request may be sent in the place of one that was refused so."""
        if error.kind == "not_found":
            return self._may_be_another_model(request)
        return request.instead(error) is not None

    def learn(self, run: Run, request: TurnRequest) -> None:
        """What an answer tells that was sent in the place of another request; each is said once."""
        options, retired = request.ask.options, self.defaults.retired
        if not request.is_sent:
            return
        is_replaced = bool(retired and request.answerer.endpoint) and "model" not in options.said
        if is_replaced and self.told.once("retired model"):
            run.notes.append(f"{retired} is no longer served; {options.model} answered.")
        if request.history.link.with_thinking:
            return
        self.requests.refuse_thinking.add((request.answerer.server, options.model))
        if self.told.once("refused thinking"):
            run.notes.append(
                "The server refused the thinking of earlier turns; they were sent without it."
            )
