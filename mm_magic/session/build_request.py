"""A turn made ready: its number, the turns before it, and the request that carries them."""

from collections.abc import Iterable

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.history import History, first_link
from mm_magic.conversation.model_facts import room
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.protocol.request import Request, user_message
from mm_magic.session.cell_run import CellRun
from mm_magic.session.options import Options
from mm_magic.session.turn_request import Prepared
from mm_magic.transport.endpoint import Endpoint


def prepare(
    prompt: str,
    options: Options,
    name: str | None,
    conversation: Conversation | None,
    key: TurnKey | None,
    cell: CellRun,
    endpoint: Endpoint | None,
    server: str,
) -> Prepared:
    """The turn of a cell in the conversation `name`, which is None before its first turn.

    `server` is the name by which the history knows who answers. Raises UsageError for a prompt
    that no server takes.
    """
    question = user_message(prompt)
    if conversation is None:
        earlier = History(first_link(options.model, server, options.system))
        number = 0 if name is None else 1
    else:
        number = conversation.number_of(key, prompt)
        earlier = conversation.history(
            conversation.place(key, prompt),
            model=options.model,
            server=server,
            system=options.system,
            room=room(options.model, options.max_tokens, options.system, question),
        )
    request = Request(
        model=options.model,
        messages=[*earlier.messages, question],
        system=options.system or None,
        stream=options.stream,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        thinking=options.thinking,
    )
    return Prepared(
        prompt=prompt,
        options=options,
        request=request,
        endpoint=endpoint,
        server=server,
        conversation=name,
        number=number,
        cell=cell,
        key=key,
        history=earlier,
    )


def history_again(
    conversation: Conversation, turn: Turn, servers: Iterable[str], options: Options
) -> History:
    """What would be sent before a turn's prompt if its cell ran again now.

    Of the names of servers that may answer, it is for the one with which nothing has changed since,
    or for the first.
    """
    histories = [
        conversation.history(
            conversation.turns.index(turn),
            model=turn.model,
            server=server,
            system=str(turn.asked.get("system", "")),
            room=room(options.model, options.max_tokens, options.system, user_message(turn.prompt)),
        )
        for server in servers
    ]
    return next((each for each in histories if each.context == turn.context), histories[0])
