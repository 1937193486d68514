"""`caviar token`: making tokens, looking at them, and taking them back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import typer
from rich.table import Table

from caviar import credentials
from caviar.cli import formats, options
from caviar.cli.console import CommandFailed, Line, out, say, show_note
from caviar.client import Client
from caviar.client.connection import service_url
from caviar.contract.identity import DAY_S, Role, TokenView

app = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke access tokens; sign a browser in.")

TokenId = Annotated[int, typer.Argument(metavar="NUMBER", help="Of the token, as `caviar token list` tells it.")]
Days = Annotated[float | None, typer.Option("--days", metavar="DAYS", help="Days after which it ends.", min=0)]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called, for people.")],
    *,
    role: Annotated[Role, typer.Option("--role", help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--study", metavar="NAME|BEGINNING*", help="A study that it is limited to; repeatable. Default: all."
        ),
    ] = None,
    days: Days = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Make a token and print its secret, which is told this once."""
    with Client(url, token) as client:
        made = client.create_token(name, role, scope=scope or None, expires_in_s=_seconds(days))
    show_note(f"token {made.token_id}, {made.name}, role {made.role}: its secret is printed this once")
    say(made.secret)


@app.command("list")
def list_tokens(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not valid any more.")] = False,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """List tokens and share links."""
    with Client(url, token) as client:
        found = [item for item in client.tokens() if everything or item.is_valid]
    out().print(_table(found))


@app.command()
def show(token: options.Token = None) -> None:
    """Print the access token: CAVIAR_TOKEN, or the one stored by a service of this user."""
    say(_token(token))


@app.command()
def link(
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="A study to share: the link then shows it, and nothing else."),
    ] = None,
    *,
    days: Days = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Print a link that signs a browser in, or one that shows a single study to whoever has it."""
    if study is None:
        if days is not None:
            raise CommandFailed("--days is for links to a study; name the study as well")
        say(login_link(service_url(url), _token(token)))
        return
    with Client(url, token) as client:
        say(client.share(study, expires_in_s=_seconds(days) or 7 * DAY_S))


@app.command()
def rotate(
    token_id: TokenId,
    *,
    overlap_s: Annotated[
        float, typer.Option("--overlap-s", metavar="SECONDS", help="How long the old secret stays valid.", min=0)
    ] = 3600,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Give a token a new secret and print it, this once."""
    with Client(url, token) as client:
        made = client.rotate_token(token_id, overlap_s=overlap_s)
    show_note(f"token {made.token_id}, {made.name}: its new secret is printed this once")
    say(made.secret)


@app.command()
def revoke(token_id: TokenId, *, url: options.Url = None, token: options.Token = None) -> None:
    """Let a token or share link in no more."""
    with Client(url, token) as client:
        client.revoke_token(token_id)
    say(f"token {token_id} lets nobody in any more")


@app.command()
def whoami(*, url: options.Url = None, token: options.Token = None) -> None:
    """Print who the token belongs to, and what it may do."""
    with Client(url, token) as client:
        who = client.who_am_i()
    studies = ", ".join(who.scope) if who.scope else "all"
    ends = "never" if who.expires_at is None else who.expires_at.isoformat()
    say(f"{who.name}: role {who.role}, may {', '.join(who.rights)}; studies: {studies}; ends: {ends}")


def login_link(url: str, token: str) -> str:
    """The address that signs a browser in.

    Args:
        url: Address of the service, without a slash at its end.
        token: The access token.
    """
    return f"{url}/login?token={quote(token, safe='')}"


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * DAY_S


def _table(tokens: list[TokenView]) -> Table:
    table = Table()
    for heading in ("number", "name", "for", "studies", "made by", "used", "ends"):
        table.add_column(heading, justify="right" if heading == "number" else "left", overflow="fold")
    now = datetime.now(UTC)
    for token in tokens:
        used = token.last_used_at
        table.add_row(
            str(token.token_id),
            Line(token.name, style="" if token.is_valid else "dim"),
            "share link" if token.kind == "share" else token.role.value,
            Line(", ".join(token.scope) if token.scope else "all"),
            Line(token.created_by or "the settings"),
            "never" if used is None else f"{formats.duration(max((now - used).total_seconds(), 0.0))} ago",
            _end(token),
        )
    return table


def _end(token: TokenView) -> str:
    if token.revoked_at is not None:
        return f"revoked {token.revoked_at:%Y-%m-%d %H:%M}"
    return "never" if token.expires_at is None else f"{token.expires_at:%Y-%m-%d %H:%M}"


def _token(given: str | None) -> str:
    token = given or credentials.read_token()
    if token is None:
        raise CommandFailed(
            f"there is no access token in CAVIAR_TOKEN or {credentials.home() / 'token'}; a service "
            "that this user starts on this machine stores one there at its first start"
        )
    return token
