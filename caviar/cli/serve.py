"""`caviar serve`: the service."""

from __future__ import annotations

import typer

from caviar.cli import fleet, machine, options
from caviar.cli.children import end_with_parent


def serve(
    *,
    database: options.Database = None,
    host: options.Host = None,
    port: options.Port = None,
    token: options.AdminToken = None,
    lease_ttl_s: options.LeaseTtl = None,
    artifacts: options.Artifacts = None,
    public_url: options.PublicUrl = None,
    webhook_allow: options.WebhookNetworks = None,
    processes: options.Processes = None,
    listening_socket: options.ListeningSockets = None,
    process_number: options.ProcessNumber = None,
    tls_cert: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    end_with: options.ParentProcess = None,
) -> None:
    """Run the service: it takes studies, hands trials to workers and shows the leaderboard."""
    end_with_parent(end_with)
    settings = options.optional_module("service.settings", "service")
    service = options.optional_module("service.serving", "service")
    chosen = options.given(
        database_url=database,
        host=host,
        port=port,
        token=token,
        lease_ttl_s=lease_ttl_s,
        artifacts_url=artifacts,
        public_url=public_url,
        webhook_allowed_networks=webhook_allow,
        processes=processes,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    decided = options.settings(settings.ServiceSettings, chosen)
    if listening_socket:
        raise typer.Exit(service.run_one(decided, listening_socket, process_number or 1))
    machine.check_port(decided.host, decided.port)
    if decided.processes == 1:
        raise typer.Exit(service.run(decided))
    service.announce(decided)
    # By their environment, where nobody else can read the token.
    environment = machine.inherited() | {f"CAVIAR_{name.upper()}": str(value) for name, value in chosen.items()}
    raise typer.Exit(fleet.serve(decided.host, decided.port, decided.processes, environment=environment))
