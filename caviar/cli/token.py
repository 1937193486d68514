"""`caviar token`: the access token of this user."""

from __future__ import annotations

from urllib.parse import quote

import typer

from caviar import credentials
from caviar.cli import options
from caviar.cli.console import CommandFailed
from caviar.client.connection import service_url

app = typer.Typer(no_args_is_help=True, help="Show the access token, or a link that signs a browser in.")


@app.command()
def show(token: options.Token = None) -> None:
    """Print the access token: CAVIAR_TOKEN, or the one stored by a service of this user."""
    typer.echo(_token(token))


@app.command()
def link(url: options.Url = None, token: options.Token = None) -> None:
    """Print a link that signs a browser in."""
    typer.echo(login_link(service_url(url), _token(token)))


def login_link(url: str, token: str) -> str:
    """The address that signs a browser in.

    Args:
        url: Address of the service, without a slash at its end.
        token: The access token.
    """
    return f"{url}/login?token={quote(token, safe='')}"


def _token(given: str | None) -> str:
    token = given or credentials.read_token()
    if token is None:
        raise CommandFailed(
            f"there is no access token in CAVIAR_TOKEN or {credentials.home() / 'token'}; a service "
            "that this user starts on this machine stores one there at its first start"
        )
    return token
