"""Webhooks: create, list, read, edit, delete, try out, give another secret; their deliveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

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
from service.api.dependencies import CurrentSender, CurrentService, DeliveryId, Limit, WebhookId
from service.use_cases import webhooks

router = APIRouter(tags=["webhooks"])
_After = Annotated[int | None, Query(description="`next_after` of the page before.", ge=1, lt=2**31)]
_State = Annotated[DeliveryState | None, Query(description="Only deliveries in this state.")]


@router.post("/webhooks", status_code=status.HTTP_201_CREATED)
async def create_webhook(
    service: CurrentService, sender: CurrentSender, body: NewWebhook, response: Response
) -> SecretShown:
    """Have other services told of studies. A secret that is made is shown in this answer and never again."""
    await webhooks.check_address(service, sender, body.url)
    response.headers["Cache-Control"] = "no-store"
    return await service.submit(lambda tx: webhooks.create(tx, body))


@router.get("/webhooks")
def list_webhooks(service: CurrentService) -> Webhooks:
    """List webhooks, the oldest first. Their secrets are never told."""
    with service.reading() as tx:
        return webhooks.find(tx)


@router.get("/webhooks/{webhook_id:segment}")
def read_webhook(service: CurrentService, webhook_id: WebhookId) -> WebhookView:
    """Read a webhook. Its secret is never told."""
    with service.reading() as tx:
        return webhooks.read(tx, webhook_id)


@router.patch("/webhooks/{webhook_id:segment}")
async def edit_webhook(
    service: CurrentService, sender: CurrentSender, webhook_id: WebhookId, body: WebhookEdit
) -> WebhookView:
    """Change a webhook, or turn it off and on. Fields that are left out stay; null for `studies` means all."""
    if body.url is not None:
        await webhooks.check_address(service, sender, body.url)
    return await service.submit(lambda tx: webhooks.edit(tx, webhook_id, body))


@router.delete("/webhooks/{webhook_id:segment}", status_code=status.HTTP_204_NO_CONTENT)
def delete_webhook(service: CurrentService, webhook_id: WebhookId) -> None:
    """Delete a webhook with its deliveries; what was still to be sent is not sent."""
    service.write(lambda tx: webhooks.delete(tx, webhook_id))


@router.post("/webhooks/{webhook_id}:ping", status_code=status.HTTP_202_ACCEPTED)
def ping_webhook(service: CurrentService, webhook_id: WebhookId) -> DeliveryView:
    """Send a message that tells nothing, to try a webhook out; its delivery tells how it went."""
    return service.write(lambda tx: webhooks.ping(tx, service.announcer, webhook_id))


@router.post("/webhooks/{webhook_id}:rotate")
def rotate_webhook(service: CurrentService, webhook_id: WebhookId, body: NewSecret, response: Response) -> SecretShown:
    """Sign with another secret. For a while, messages carry a signature by the former secret as well.

    A secret that is made is shown in this answer and never again.
    """
    response.headers["Cache-Control"] = "no-store"
    return service.write(lambda tx: webhooks.rotate(tx, webhook_id, body))


@router.get("/webhooks/{webhook_id}/deliveries")
def list_deliveries(
    service: CurrentService, webhook_id: WebhookId, limit: Limit = 50, after: _After = None, state: _State = None
) -> Deliveries:
    """List the messages of a webhook and how their delivery stands, the newest first."""
    with service.reading() as tx:
        return webhooks.list_deliveries(tx, webhook_id, limit=limit, after=after, state=state)


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver", status_code=status.HTTP_202_ACCEPTED)
def redeliver(service: CurrentService, webhook_id: WebhookId, delivery_id: DeliveryId) -> DeliveryView:
    """Send a message once more, with the same id, and for another day if it is not taken."""
    return service.write(lambda tx: webhooks.redeliver(tx, webhook_id, delivery_id))
