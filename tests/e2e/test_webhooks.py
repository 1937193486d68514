"""A service that is killed while a message is on its way delivers it after its restart."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import orjson
import pytest

from caviar import verify_webhook
from tests.caviar.trainer import study
from tests.databases import Databases
from tests.e2e.processes import CaviarProcess, Site, free_port, until
from tests.service.outbound.receiver import Receiver, answering, hanging, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def settings(timeout_s: float) -> dict[str, str]:
    """What a service needs to send to this machine."""
    return {"CAVIAR_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "CAVIAR_WEBHOOK_TIMEOUT_S": str(timeout_s)}


class ToldSite(Site):
    """A service that may send to this machine."""

    def __init__(self, folder: Path, database_url: str | None = None, *, timeout_s: float = 1.5) -> None:
        super().__init__(folder, database_url=database_url)
        flags = ("--port", str(self.port), "--database", database_url or f"sqlite:///{folder / 'caviar.db'}")
        self.service = CaviarProcess(folder, "service", "serve", *flags, settings=settings(timeout_s))


@pytest.mark.slow
def test_a_killed_service_delivers_after_its_restart(tmp_path: Path) -> None:
    site = ToldSite(tmp_path)
    try:
        site.start_service()
        with receiving() as receiver:
            receiver.behaviours.append(hanging)
            new = {"name": "told", "url": receiver.url, "events": ["study_done"], "secret": SECRET}
            webhook = site.client.webhooks.create(new).webhook.webhook_id
            site.client.create_study(study("told"))
            site.client.stop("told")
            until(lambda: receiver.received, deadline_s=30, what="the first attempt")
            # It has sent the message and waits for an answer: what it does not know yet, nobody will ever tell it.
            site.service.signal(signal.SIGKILL)
            site.service.process.wait()
            receiver.behaviours.append(answering(200))
            site.start_service()
            until(lambda: len(receiver.received) > 1, deadline_s=60, what="the message after the restart")
            first, again = receiver.received[:2]
        [delivery] = site.client.webhooks.deliveries(webhook)
        delivered = until(
            lambda: [one for one in site.client.webhooks.deliveries(webhook) if one.state == "delivered"],
            deadline_s=30,
            what="the delivery",
        )
        assert first.body == again.body
        assert verify_webhook(again.headers, again.body, SECRET) == first.headers["webhook-id"] == delivery.message_id
        assert orjson.loads(again.body)["data"]["study"]["name"] == "told"
        assert delivered[0].attempts == 2
    finally:
        site.end()


@pytest.mark.slow
@pytest.mark.postgres
def test_two_services_on_one_database_deliver_each_message_once(tmp_path: Path, databases: Databases) -> None:
    database_url = databases.ready("postgres")
    site = ToldSite(tmp_path, database_url, timeout_s=60)
    arguments = ("serve", "--port", str(free_port()), "--database", database_url)
    other = CaviarProcess(tmp_path, "other", *arguments, settings=settings(60))
    try:
        site.start_service()
        other.start()
        until(lambda: "Serving at" in other.shown_log() or None, deadline_s=60, what="the other service")
        with receiving() as receiver:
            new = {"name": "told", "url": receiver.url, "events": ["study_done"]}
            webhook = site.client.webhooks.create(new).webhook.webhook_id
            # A service sends two at once to one receiver: the third of those held comes from the other service.
            all_held = threading.Barrier(3)

            def held(connection: socket.socket, answerer: Receiver) -> None:
                all_held.wait(45)
                answering(204)(connection, answerer)

            receiver.behaviours.extend([held] * all_held.parties)
            for _ in range(30):
                site.client.webhooks.ping(webhook)
            until(
                lambda: all(one.state == "delivered" for one in site.client.webhooks.deliveries(webhook)),
                deadline_s=60,
                what="all deliveries",
            )
            ids = [one.headers["webhook-id"] for one in receiver.received]
        assert len(ids) == len(set(ids)) == 30
        logs = [process.log.read_text() for process in (site.service, other)]
        assert sum(log.count("webhook.sent") for log in logs) == 30
        assert all("webhook.sent" in log for log in logs)
    finally:
        other.end()
        site.end()
