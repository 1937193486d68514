"""Settings of the service: flags of `caviar serve`, or `CAVIAR_…` variables."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from caviar.credentials import home
from service.domain import admission, hosts, networks, origins

# What a slow disk or a long garbage collection takes must not look like the end of a process.
_LEAST_PATIENCE_S = 2.0
_MOST_PATIENCE_S = 10.0


def _embedded_database() -> str:
    return f"sqlite:///{home() / 'caviar.db'}"


def _local_artifacts() -> str:
    return str(home() / "artifacts")


def _each(read: Callable[[str], object], text: str) -> str:
    return ",".join(str(read(part)) for part in text.split(",") if part.strip())


class ServiceSettings(BaseSettings):
    """Everything that can be set about a service process."""

    model_config = SettingsConfigDict(env_prefix="CAVIAR_", frozen=True, extra="ignore")

    database_url: str = Field(
        default_factory=_embedded_database,
        description="Database: `sqlite:///path` or `postgresql://user:password@host:port/database`.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8700, ge=1, le=65535, description="Port to listen on.")
    token: SecretStr | None = Field(
        default=None,
        description="Administrator's access token, at least 16 characters; one is made at the first start if unset.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Service processes that share the work and the port; more than one only with Postgres.",
    )
    lease_ttl_s: float = Field(
        default=30.0,
        ge=0.5,
        le=3600.0,
        description="Seconds without a sign of life after which a trial is given to another worker.",
    )
    artifacts_url: str = Field(
        default_factory=_local_artifacts,
        min_length=1,
        description="Where checkpoints and weights are kept: a folder, or an address that fsspec knows, such as "
        "`s3://bucket/folder`.",
    )
    max_artifact_bytes: int = Field(
        default=8 * 2**30, ge=1, lt=2**53, description="Bytes that one checkpoint or file of weights may have."
    )
    allowed_hosts: Annotated[str, AfterValidator(partial(_each, hosts.pattern))] = Field(
        default="",
        description="Names by which the service may be called, separated by commas, such as `caviar.example.org` or "
        "`*.example.org`, `*` for any; without it, what [the network page](network.md) says.",
    )
    allowed_origins: Annotated[str, AfterValidator(partial(_each, origins.origin))] = Field(
        default="",
        description="Origins of pages elsewhere that may call the API with a token, separated by commas, such as "
        "`https://pages.example.org`.",
    )
    trusted_proxies: Annotated[str, AfterValidator(partial(_each, networks.network))] = Field(
        default="",
        description="Addresses or networks of the proxies whose X-Forwarded headers are believed, separated by commas, "
        "such as `10.0.0.0/8`.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM file of a certificate and those that lead to it, to speak https; with its key in `tls_key`.",
    )
    tls_key: Path | None = Field(default=None, description="PEM file of the private key of `tls_cert`, not encrypted.")
    max_connections: int = Field(
        default=10_000, ge=10, le=1_000_000, description="Number of connections that may be open at a time."
    )
    client_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=3600.0,
        description="Seconds that a client may take for the headers of a request, and for its body beside one for each "
        "1024 bytes.",
    )
    requests_per_s: float = Field(
        default=200.0,
        ge=0,
        le=1e6,
        description="Requests per second that people and scripts may make with one token; 0 for any number.",
    )
    worker_requests_per_s: float = Field(
        default=20_000.0,
        ge=0,
        le=1e6,
        description="Requests per second that workers may make with one token, which they share; 0 for any number.",
    )
    stranger_requests_per_s: float = Field(
        default=50.0,
        ge=0,
        le=1e6,
        description="Requests per second without a token that may come from one address; 0 for any number.",
    )
    failures_per_s: float = Field(
        default=2.0,
        ge=0,
        le=1e6,
        description="Failed attempts to sign in per second that may come from one address; 0 for any number.",
    )
    burst_s: float = Field(
        default=10.0,
        ge=0,
        le=3600.0,
        description="Seconds' worth of requests that may come at once, of each of these kinds.",
    )
    max_streams: int = Field(
        default=2000, ge=1, le=1_000_000, description="Number of streams of events that may be open at a time, in all."
    )
    max_streams_each: int = Field(
        default=500, ge=1, le=1_000_000, description="Number of streams of events that one token may have open."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Address that people reach the service at, for links in messages of webhooks and for sign-ins "
        "through an identity provider.",
    )
    oidc_issuer: Annotated[str, AfterValidator(admission.issuer)] | None = Field(
        default=None,
        description="Address of an OpenID Connect provider through which people sign in, as it calls itself, such as "
        "`https://accounts.example.org`; see [who may do what](security.md).",
    )
    oidc_client_id: str | None = Field(
        default=None, min_length=1, description="Name that the provider knows this service by."
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None, min_length=1, description="Secret of this service at the provider; none for a public client."
    )
    oidc_scopes: str = Field(
        default="openid email profile",
        pattern=r"^(\S+ )*openid( \S+)*$",
        description="What the provider is asked to tell, separated by spaces; `openid` must be among it.",
    )
    oidc_groups_claim: str = Field(
        default="groups", min_length=1, description="Claim of the ID token that tells the groups of a person."
    )
    oidc_roles: Annotated[str, AfterValidator(partial(_each, admission.Rule.of))] = Field(
        default="",
        description="What groups may do, separated by commas, of which the first that fits counts, such as "
        "`ml-admins=admin,ml-team=submitter:digits-*,everyone=viewer`.",
    )
    oidc_allowed_domains: Annotated[str, AfterValidator(partial(_each, admission.domain))] = Field(
        default="",
        description="Domains of verified addresses of e-mail, one of which a person must have, separated by commas; "
        "without it, none is needed.",
    )
    oidc_session_hours: float = Field(
        default=12.0, gt=0, le=720.0, description="Hours after which people sign in through the provider again."
    )
    webhook_allowed_networks: Annotated[str, AfterValidator(partial(_each, networks.network))] = Field(
        default="",
        description="Networks that webhooks may send to although they are not public, separated by commas, such as "
        "`10.2.0.0/16`; to these also by plain http.",
    )
    webhook_timeout_s: float = Field(
        default=10.0, ge=0.5, le=60.0, description="Seconds that the receiver of a webhook has for its answer."
    )
    webhook_keep_days: float = Field(
        default=30.0, ge=2.0, le=3650.0, description="Days for which deliveries of webhooks are kept to be looked at."
    )
    keep_events_days: float = Field(
        default=0.0,
        ge=0,
        le=36_500.0,
        description="Days for which the change feed of a study is kept after its end and the last that happened in it, "
        "for `caviar replay` and whoever follows it; 0 for ever.",
    )
    keep_workers_days: float = Field(
        default=90.0,
        ge=0,
        le=36_500.0,
        description="Days for which workers that hold no trial are kept after their last sign of life; 0 for ever.",
    )
    keep_audit_days: float = Field(
        default=730.0,
        ge=0,
        le=36_500.0,
        description="Days for which the audit log, and tokens that are no longer valid, are kept; 0 for ever.",
    )
    keep_logs_days: float = Field(
        default=0.0,
        ge=0,
        le=36_500.0,
        description="Days for which the last lines that a training wrote are kept after its attempt; 0 for ever.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Lines for machines or for people; `auto` is `console` on a terminal."
    )
    access_log: bool = Field(
        default=False, description="Whether a line is logged for every request, which costs a quarter of the speed."
    )
    slow_request_s: float = Field(
        default=1.0, ge=0.001, le=3600.0, description="Seconds from which on a request is logged as slow."
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="A token of at least 16 characters that opens `/metrics` and nothing else, for Prometheus.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Where traces are sent to, by OTLP over HTTP, such as `http://127.0.0.1:4318`; without it, where "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` says, and nowhere without that.",
    )
    metrics_public: bool = Field(
        default=False,
        description="Whether `/metrics` is answered without any token; only behind a proxy that guards it.",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def host_names(self) -> hosts.Hosts:
        """By which names the service may be called."""
        return hosts.Hosts.of(self.host, socket.gethostname(), filter(None, self.allowed_hosts.split(",")))

    @property
    def page_origins(self) -> tuple[str, ...]:
        """Of which other pages may call the API."""
        return tuple(filter(None, self.allowed_origins.split(",")))

    @property
    def proxy_networks(self) -> networks.Networks:
        """Which proxies are believed."""
        return networks.Networks(map(networks.network, filter(None, self.trusted_proxies.split(","))))

    @property
    def patience_s(self) -> float:
        """Seconds after which a process that is frozen no longer holds up the others that share its database."""
        return min(max(self.lease_ttl_s / 3, _LEAST_PATIENCE_S), _MOST_PATIENCE_S)

    @property
    def webhook_networks(self) -> tuple[networks.Network, ...]:
        """The networks that webhooks may send to although they are not public."""
        return tuple(map(networks.network, filter(None, self.webhook_allowed_networks.split(","))))

    @property
    def oidc_admission(self) -> admission.Admission:
        """Whom the service lets in of those whom an identity provider vouches for."""
        rules = tuple(map(admission.Rule.of, filter(None, self.oidc_roles.split(","))))
        domains = frozenset(filter(None, self.oidc_allowed_domains.split(",")))
        return admission.Admission(rules, self.oidc_groups_claim, domains)

    @property
    def drafts_path(self) -> Path:
        """Where files lie on their way to an artifact store elsewhere."""
        return home() / "drafts"

    @property
    def token_path(self) -> Path:
        """Where the token of this user lies."""
        return home() / "token"
