"""A study's events as an endless iterator that survives broken connections."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from caviar.client.connection import Connection
from caviar.contract.errors import RequestError, Unavailable
from caviar.contract.views import EventView

# The service sends a comment every 15 s; three missing ones mean a dead connection.
SILENCE_S = 45.0
PATIENCE_S = 60.0
_FIRST_PAUSE_S = 0.25
_MAX_PAUSE_S = 5.0


def follow(connection: Connection, path: str, after: int | None, patience_s: float = PATIENCE_S) -> Iterator[EventView]:
    """Yield events, none twice and none left out, and go on after the last one when the connection breaks.

    Args:
        connection: The service.
        path: Address of the stream below the prefix.
        after: Sequence number after which to begin; None for the service's choice, the events from now on.
        patience_s: Seconds for which a service that is away is tried again.
    Raises:
        Unavailable: The service cannot be reached at first, or for `patience_s` later.
        RequestError: The stream is refused, or something that is no event came.
    """
    last = None if after is None else str(after)
    lost_at: float | None = None
    was_open, pause_s = False, _FIRST_PAUSE_S
    while True:
        try:
            with connection.listen(path, last_event_id=last, silence_s=SILENCE_S) as source:
                was_open, lost_at = True, None
                for message in source:
                    last, pause_s = message.id or last, _FIRST_PAUSE_S
                    if message.data:
                        yield _event(message.data)
        except Unavailable:
            now = connection.clock.monotonic()
            lost_at = now if lost_at is None else lost_at
            if not was_open or now - lost_at >= patience_s:
                raise
        connection.clock.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)


def _event(text: str) -> EventView:
    try:
        return EventView.model_validate_json(text)
    except ValidationError as error:
        raise RequestError(
            f"an event of the service cannot be read ({error.errors()[0]['msg']}): received "
            f"{text[:200]!r}; check that client and service are of the same version"
        ) from error
