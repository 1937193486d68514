"""The client's methods on webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from caviar.client.bodies import checked
from caviar.client.connection import Connection, Query
from caviar.contract.model import Model
from caviar.contract.webhooks import (
    Deliveries,
    DeliveryState,
    DeliveryView,
    NewSecret,
    NewWebhook,
    SecretShown,
    WebhookEdit,
    Webhooks,
    WebhookView,
)

_PAGE = 100


class WebhookClient:
    """Webhooks of one service; `client.webhooks` is one."""

    def __init__(self, connection: Connection) -> None:
        """Ask over the connection of a client."""
        self._connection = connection

    def create(self, webhook: NewWebhook | Mapping[str, Any]) -> SecretShown:
        """Have another service told of studies.

        Returns:
            The webhook, and the secret if one was made: nobody can read it again.
        Raises:
            InvalidRequest: Fields are missing or wrong, or the address may not be sent to (422).
        """
        body = webhook if isinstance(webhook, NewWebhook) else checked(NewWebhook, webhook)
        return self._connection.ask(SecretShown, "POST", "/webhooks", body=_text(body))

    def all(self) -> list[WebhookView]:
        """The webhooks that the caller may see, the oldest first."""
        return self._connection.ask(Webhooks, "GET", "/webhooks").items

    def read(self, webhook_id: int) -> WebhookView:
        """A webhook."""
        return self._connection.ask(WebhookView, "GET", _path(webhook_id))

    def edit(self, webhook_id: int, edit: WebhookEdit | Mapping[str, Any]) -> WebhookView:
        """Change what is given of a webhook; None for `studies` means all."""
        body = edit if isinstance(edit, WebhookEdit) else checked(WebhookEdit, edit)
        return self._connection.ask(WebhookView, "PATCH", _path(webhook_id), body=_text(body))

    def delete(self, webhook_id: int) -> None:
        """Delete a webhook with its deliveries; what was still to be sent is not sent."""
        self._connection.send("DELETE", _path(webhook_id))

    def ping(self, webhook_id: int) -> DeliveryView:
        """Send a message that tells nothing, to try a webhook out; it is sent within seconds."""
        return self._connection.ask(DeliveryView, "POST", f"{_path(webhook_id)}:ping")

    def settled(self, delivery: DeliveryView, *, timeout_s: float = 20.0, poll_s: float = 0.5) -> DeliveryView:
        """A delivery once its first attempt has ended, or as it stands after `timeout_s` seconds."""
        clock = self._connection.clock
        end = clock.monotonic() + timeout_s
        while True:
            query: Query = {"limit": 1, "after": delivery.delivery_id + 1}
            page = self._connection.ask(Deliveries, "GET", f"{_path(delivery.webhook_id)}/deliveries", query=query)
            found = [one for one in page.items if one.delivery_id == delivery.delivery_id]
            current = found[0] if found else delivery
            has_ended = current.attempts > delivery.attempts and current.state is not DeliveryState.SENDING
            if has_ended or clock.monotonic() >= end:
                return current
            clock.sleep(poll_s)

    def rotate(self, webhook_id: int, secret: str | None = None, *, keep_s: float = 86_400.0) -> SecretShown:
        """Sign with another secret.

        Args:
            webhook_id: The webhook.
            secret: `whsec_…`; None to have one made, which is in the answer and never again.
            keep_s: Seconds for which messages carry a signature by the former secret as well.
        """
        body = checked(NewSecret, {"secret": secret, "keep_s": float(keep_s)})
        return self._connection.ask(SecretShown, "POST", f"{_path(webhook_id)}:rotate", body=_text(body))

    def deliveries(self, webhook_id: int, state: DeliveryState | str | None = None) -> Iterator[DeliveryView]:
        """Messages and how their delivery stands, the newest first, fetched page by page as they are asked for.

        Args:
            webhook_id: The webhook.
            state: Only those that are waiting, sending, delivered or failed.
        """
        after: int | None = None
        while True:
            asked: Query = {"limit": _PAGE} | ({} if state is None else {"state": str(state)})
            query = asked if after is None else {**asked, "after": after}
            page = self._connection.ask(Deliveries, "GET", f"{_path(webhook_id)}/deliveries", query=query)
            yield from page.items
            after = page.next_after
            if after is None:
                return

    def redeliver(self, webhook_id: int, delivery_id: int) -> DeliveryView:
        """Send a message once more, with the same id, and for another day if it is not taken."""
        path = f"{_path(webhook_id)}/deliveries/{delivery_id:d}:redeliver"
        return self._connection.ask(DeliveryView, "POST", path)


def _path(webhook_id: int) -> str:
    return f"/webhooks/{webhook_id:d}"


def _text(body: Model) -> str:
    # A secret hides itself wherever it is printed, and here it must not.
    values = body.model_dump(exclude_unset=True)
    return json.dumps({name: _open(value) for name, value in values.items()})


def _open(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
