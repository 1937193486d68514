"""Tokens, share links and the audit log, as the client asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from caviar.client.connection import Connection, Query
from caviar.contract.errors import InvalidRequest
from caviar.contract.identity import (
    AuditEntry,
    AuditPage,
    MadeShare,
    MadeToken,
    NewShare,
    NewToken,
    Role,
    Rotation,
    Tokens,
    TokenView,
    WhoAmI,
)

_PORTION = 500


class TokenRequests:
    """What a client asks about tokens; a part of `caviar.Client`."""

    _connection: Connection

    def who_am_i(self) -> WhoAmI:
        """Who the token of this client belongs to, and what it may do."""
        return self._connection.ask(WhoAmI, "GET", "/whoami")

    def create_token(
        self, name: str, role: Role | str, *, scope: list[str] | None = None, expires_in_s: float | None = None
    ) -> MadeToken:
        """Make a token; its secret is in the answer and is told never again.

        Args:
            name: For people.
            role: `viewer`, `submitter`, `worker` or `admin`.
            scope: Names of the studies that it is limited to, and beginnings of names followed by `*`; None for all.
            expires_in_s: Seconds after which it ends; None for never.
        Raises:
            ValueError: There is no such role.
        """
        body = NewToken(name=name, role=Role(role), scope=scope, expires_in_s=expires_in_s)
        return self._connection.ask(MadeToken, "POST", "/tokens", body=body.model_dump_json())

    def tokens(self) -> list[TokenView]:
        """Tokens and share links, the newest first."""
        return self._connection.ask(Tokens, "GET", "/tokens").items

    def token(self, token_id: int) -> TokenView:
        """A token or share link, without its secret."""
        return self._connection.ask(TokenView, "GET", f"/tokens/{token_id}")

    def rotate_token(self, token_id: int, *, overlap_s: float = 3600) -> MadeToken:
        """Give a token a new secret; the old one stays valid for `overlap_s` seconds."""
        body = Rotation(overlap_s=overlap_s).model_dump_json()
        return self._connection.ask(MadeToken, "POST", f"/tokens/{token_id}:rotate", body=body)

    def revoke_token(self, token_id: int) -> None:
        """Let a token or share link in no more."""
        self._connection.send("DELETE", f"/tokens/{token_id}")

    def share(self, study: str, *, name: str | None = None, expires_in_s: float = 7 * 86_400) -> str:
        """Make a link that shows a study, and nothing else, to whoever has it.

        Args:
            study: Its name.
            name: Of the link, for people.
            expires_in_s: Seconds after which it ends.
        Returns:
            The link. It is told never again.
        """
        if not study or study.strip(".") == "":
            raise InvalidRequest(f"received {study!r}, expected the name of a study")
        body = NewShare(name=name, expires_in_s=expires_in_s).model_dump_json()
        made = self._connection.ask(MadeShare, "POST", f"/studies/{quote(study, safe='')}:share", body=body)
        return f"{self._connection.url}{made.path}"

    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        about: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditEntry]:
        """Who did what, the newest first.

        Args:
            actor: Name of who acted.
            action: What was done, such as `study.create`, or `study` for everything that was done to studies.
            about: What it was done to, such as `study:digits-mlp`.
            since: Not before this time.
            until: Before this time.
        """
        asked = {"actor": actor, "action": action, "object": about}
        asked |= {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at is not None}
        query: dict[str, str | int] = {name: text for name, text in asked.items() if text}
        query["limit"] = _PORTION
        while True:
            page = self._connection.ask(AuditPage, "GET", "/audit", query=_plain(query))
            yield from page.items
            if page.next_after is None:
                return
            query["after"] = page.next_after


def _plain(query: dict[str, str | int]) -> Query:
    return dict(query)
