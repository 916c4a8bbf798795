"""A turn as the notebook file keeps it: JSON beside the readable forms.

It holds what is needed to go on from the file, and never a key, a header or an address. Nothing
in it changes from run to run where the reply does not: no cell id, wall-clock time or path.
"""

import hashlib
import json

from mm_magic.conversation import Reply
from mm_magic.protocol.messages import JsonObject, join_surrogates
from mm_magic.session import Prepared

VERSION = 1


def saved_turn(prepared: Prepared, reply: Reply) -> JsonObject:
    """The JSON of one turn. `id` is a hash of conversation, place, prompt and content."""
    turn: JsonObject = {
        "conversation": prepared.conversation.name if prepared.conversation else None,
        "number": prepared.number,
        "prompt": prepared.prompt,
        "content": reply.content,
    }
    body = prepared.request.to_body()
    asked = {k: v for k, v in body.items() if k not in ("messages", "model")}
    seconds = reply.thinking_seconds
    full: JsonObject = {
        "version": VERSION,
        "id": hashlib.sha256(_canonical(turn).encode("utf-8", "replace")).hexdigest()[:16],
        **turn,
        "context": prepared.history.context,
        "status": reply.status,
        "backend": reply.backend,
        "asked_model": prepared.request.model,
        "parameters": asked,
        "model": reply.model,
        "message_id": reply.id,
        "stop_reason": reply.stop_reason,
        "usage": reply.usage.to_wire(),
        "thinking_seconds": seconds if seconds is None else round(seconds, 3),
    }
    whole: JsonObject = json.loads(join_surrogates(_canonical(full)))
    return whole


def _canonical(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
