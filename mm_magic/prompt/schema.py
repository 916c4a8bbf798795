"""How a type is asked for: its JSON Schema at the end of the system prompt."""

import json

from mm_magic.protocol.json_values import JsonObject, join_surrogates, parse_json

_ASKS = "Answer only with JSON that fits this JSON Schema:\n"

REPAIR = "Your answer does not fit the JSON Schema."
"""By this a recording knows the prompt that asks once more: pydantic's words may change."""


def with_schema(system: str, schema: JsonObject) -> str:
    """A system prompt that asks for JSON of this schema, too."""
    asked = f"{_ASKS}{json.dumps(schema, ensure_ascii=False)}"
    return join_surrogates(f"{system}\n\n{asked}" if system else asked)


def split_schema(system: str) -> tuple[str, JsonObject | None]:
    """The system prompt without what `with_schema` added, and the schema; None if there is none."""
    before, asks, text = system.rpartition(_ASKS)
    schema = parse_json(text) if asks and before[-2:] in ("", "\n\n") else None
    return (before[:-2], schema) if isinstance(schema, dict) else (system, None)


def repair_prompt(problem: str) -> str:
    """The prompt that asks once more; it quotes what was wrong."""
    return f"{REPAIR[:-1]}: {problem}.\n\nAnswer again, with the corrected JSON only."
