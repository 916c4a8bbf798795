"""The options that hold for all cells, and whether anybody chose their model."""

from collections.abc import Mapping
from dataclasses import replace

from mm_magic.conversation.catalog import DEFAULT_MODEL
from mm_magic.session.options import Options, first_options, model_in


class Defaults:
    """The options of what says no others.

    `is_model_chosen`: the environment or IPython's configuration names the model. `retired` is this
    package's default model, once another one is asked in its place, "" before.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.options = first_options(environ)
        self.is_model_chosen = bool(model_in(environ))
        self.retired = ""

    def have_model_of(self, options: Options) -> bool:
        """Whether nobody chose the model of these options: it is this package's default."""
        is_said = "model" in options.said or self.is_model_chosen
        return options.model == DEFAULT_MODEL and not is_said

    def retire(self, retired: str, model: str) -> None:
        """From now on another model is asked in the place of one that is no longer served."""
        if "model" not in self.options.said:
            self.options = replace(self.options, model=model)
        self.retired = retired
