"""The change feed of a study, read from a known event on; that of a study that ended long ago may be gone."""

from __future__ import annotations

from caviar.contract.errors import EventsGone
from service.store import events
from service.store.transaction import Event, Record, Transaction


def since(tx: Transaction, study: Record, after: int, limit: int) -> list[Event]:
    """Events of a study numbered above `after`, in order.

    Args:
        tx: The transaction that has read the study.
        study: Its row, with `id`, `name` and `last_event_seq`.
        after: Number of the last event that is known; 0 for none.
        limit: At most this many.
    Raises:
        EventsGone: Events that come next were removed, because the study ended long ago (410).
    """
    found = events.since(tx, study.id, after, limit)
    last_gone = found[0].seq - 1 if found else int(study.last_event_seq)
    if last_gone > after:
        raise EventsGone(
            f"received a request for the events of study {study.name!r} after event {after}, but those up to event "
            f"{last_gone} were removed, because the study ended long ago; read its trials and curves instead, or "
            f"follow it after event {last_gone}"
        )
    return found
