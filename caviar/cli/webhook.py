"""`caviar webhook`: whom the service tells of its studies, and how that goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from caviar import Client
from caviar.cli import options
from caviar.cli.console import CommandFailed, Line, hand_over, out, say
from caviar.contract.webhooks import DeliveryState, DeliveryView, SecretShown, WebhookEvent, WebhookView

app = typer.Typer(
    no_args_is_help=True, help="Tell other services of new best values, ends, failures and stagnation of studies."
)

_Id = Annotated[int, typer.Argument(metavar="ID", help="Id of a webhook.", min=1)]
_DeliveryId = Annotated[int, typer.Argument(metavar="DELIVERY", help="Id of a delivery.", min=1)]
_Secret = Annotated[
    str | None,
    typer.Option("--secret", envvar="CAVIAR_WEBHOOK_SECRET", show_default=False, help="whsec_…. Default: one is made."),
]
_EVENTS = [event.value for event in WebhookEvent if event is not WebhookEvent.PING]
_WAIT_S = 20.0
_POLL_S = 0.25
_COLOURS = {"waiting": "yellow", "sending": "cyan", "delivered": "green", "failed": "red"}


@app.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to send to: https://….")],
    *,
    name: Annotated[str | None, typer.Option("--name", help="For people. Default: the host of the address.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help=f"What to tell of; repeatable. Default: all of {', '.join(_EVENTS)}."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", help="Name of a study, or a beginning of names with a *; repeatable. Default: all."),
    ] = None,
    secret: _Secret = None,
    service: options.Url = None,
    token: options.Token = None,
) -> None:
    """Create a webhook and print its secret once, if one is made."""
    body: dict[str, Any] = {
        "name": name or url.partition("://")[2].partition("/")[0].partition("?")[0] or url,
        "url": url,
        "events": event or _EVENTS,
        "studies": study or None,
        "secret": secret,
    }
    with Client(service, token) as client:
        made = client.webhooks.create({key: value for key, value in body.items() if value is not None})
    say(f"webhook {made.webhook.webhook_id} tells {made.webhook.url}")
    _say_secret(made)


@app.command("list")
def list_all(*, url: options.Url = None, token: options.Token = None) -> None:
    """List webhooks."""
    with Client(url, token) as client:
        found = client.webhooks.all()
    if not found:
        say("no webhooks; create one with: caviar webhook create URL")
        return
    table = _table("id", "name", "url", "events", "studies", "state", "deliveries")
    for webhook in found:
        table.add_row(*map(Line, _cells(webhook)))
    out().print(table)


@app.command()
def show(webhook: _Id, *, url: options.Url = None, token: options.Token = None) -> None:
    """Print a webhook as JSON; its secret is never told."""
    with Client(url, token) as client:
        hand_over(client.webhooks.read(webhook).model_dump_json(indent=2) + "\n")


@app.command()
def edit(
    webhook: _Id,
    *,
    name: Annotated[str | None, typer.Option("--name", help="For people.")] = None,
    address: Annotated[str | None, typer.Option("--to", metavar="URL", help="Where to send to: https://….")] = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", help=f"What to tell of, of {', '.join(_EVENTS)}; repeatable.")
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", help="Name of a study, or a beginning of names with a *; repeatable. * for all."),
    ] = None,
    is_active: Annotated[bool | None, typer.Option("--on/--off", help="Whether it is told anything.")] = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Change what is given of a webhook; the rest stays."""
    given = {"name": name, "url": address, "events": event, "studies": study, "is_active": is_active}
    changes: dict[str, Any] = {field: value for field, value in given.items() if value not in (None, [])}
    if study == ["*"]:
        changes["studies"] = None
    if not changes:
        raise CommandFailed("nothing to change; give --name, --to, --event, --study, --on or --off")
    with Client(url, token) as client:
        client.webhooks.edit(webhook, changes)
    say(f"webhook {webhook} is changed")


@app.command()
def rotate(
    webhook: _Id,
    *,
    secret: _Secret = None,
    keep_s: Annotated[
        float,
        typer.Option("--keep-s", metavar="SECONDS", help="How long messages are signed with the old secret as well."),
    ] = 86_400,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Give a webhook another secret and print it once, if it is made."""
    with Client(url, token) as client:
        made = client.webhooks.rotate(webhook, secret, keep_s=keep_s)
    say(f"webhook {webhook} signs with another secret")
    _say_secret(made)


@app.command()
def delete(webhook: _Id, *, url: options.Url = None, token: options.Token = None) -> None:
    """Delete a webhook; what was still to be sent is not sent."""
    with Client(url, token) as client:
        client.webhooks.delete(webhook)
    say(f"webhook {webhook} is deleted")


@app.command()
def ping(webhook: _Id, *, url: options.Url = None, token: options.Token = None) -> None:
    """Send a message that tells nothing, and say how that went."""
    with Client(url, token) as client:
        delivery = client.webhooks.ping(webhook)
        ended = client.webhooks.settled(delivery, timeout_s=_WAIT_S, poll_s=_POLL_S)
    say(_told(ended))
    if ended.state is not DeliveryState.DELIVERED:
        raise CommandFailed(f"the ping was not delivered so far: {ended.error or 'there is no answer yet'}")


@app.command()
def deliveries(
    webhook: _Id,
    *,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 20,
    payload: Annotated[bool, typer.Option("--payload", help="Print the bodies, a line of JSON each.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """List the messages of a webhook and how their delivery stands, the newest first."""
    with Client(url, token) as client:
        found = [
            delivery for _, delivery in zip(range(limit), client.webhooks.deliveries(webhook, state), strict=False)
        ]
    if payload:
        for delivery in found:
            hand_over(json.dumps(delivery.payload) + "\n")
    elif found:
        out().print(_deliveries(found))
    else:
        say("no deliveries")


@app.command()
def redeliver(webhook: _Id, delivery: _DeliveryId, *, url: options.Url = None, token: options.Token = None) -> None:
    """Send a message once more, with the same id."""
    with Client(url, token) as client:
        say(_told(client.webhooks.redeliver(webhook, delivery)))


def _say_secret(made: SecretShown) -> None:
    if made.secret is not None:
        say("Its secret, which is not shown again:")
        say(made.secret)


def _told(delivery: DeliveryView) -> str:
    answered = "" if delivery.status is None else f", answered {delivery.status}"
    return f"delivery {delivery.delivery_id} ({delivery.event}) is {delivery.state}{answered}"


def _cells(webhook: WebhookView) -> Sequence[str]:
    return (
        str(webhook.webhook_id),
        webhook.name,
        webhook.url,
        " ".join(webhook.events),
        " ".join(webhook.studies or ["all"]),
        "on" if webhook.is_active else "off",
        ", ".join(f"{num} {state}" for state, num in webhook.counts.items()) or "none",
    )


def _deliveries(found: Sequence[DeliveryView]) -> Table:
    table = _table("id", "event", "study", "state", "attempts", "status", "written", "next attempt", "error")
    for one in found:
        table.add_row(
            Line(str(one.delivery_id)),
            Line(one.event),
            Line(one.study or "–"),
            Line(one.state, style=_COLOURS[one.state]),
            Line(str(one.attempts)),
            Line("–" if one.status is None else str(one.status)),
            Line(f"{one.created_at:%Y-%m-%d %H:%M:%S}"),
            Line("–" if one.next_attempt_at is None else f"{one.next_attempt_at:%H:%M:%S}"),
            Line(one.error or ""),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
