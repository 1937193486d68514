"""Signing people in for whom an identity provider vouches."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from caviar.contract.errors import FieldError, Forbidden, InvalidRequest
from service.domain.admission import Admission
from service.domain.principal import Origin
from service.outbound.provider import Provider, error_code
from service.use_cases import identity
from service.use_cases.service import Service

if TYPE_CHECKING:
    from itsdangerous import URLSafeSerializer

PATIENCE = timedelta(minutes=10)
"""How long somebody may take at the provider."""


@dataclass(frozen=True, slots=True)
class SignOn:
    """How people sign in through an identity provider.

    Attributes:
        provider: Says who somebody is.
        admission: Says what that makes of them here.
        lasts: How long a session lasts.
        public_url: Address of the service to which the provider sends browsers back.
    """

    provider: Provider
    admission: Admission
    lasts: timedelta
    public_url: str

    def __post_init__(self) -> None:
        """See that what keeps a sign-in in the browser is installed.

        Raises:
            InvalidRequest: It is not.
        """
        try:
            import itsdangerous  # noqa: F401  # It only has to be there.
        except ModuleNotFoundError as error:
            issuer = self.provider.issuer
            field = FieldError(field="oidc_issuer", received=issuer, expected="pip install 'caviar[oidc]'")
            raise InvalidRequest("an identity provider needs the package itsdangerous", errors=[field]) from error

    @property
    def label(self) -> str:
        """Name of the provider's machine, for people."""
        return urlsplit(self.provider.issuer).netloc


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in that is under way, as the browser keeps it, signed by the service.

    Attributes:
        state: What the provider must send back.
        nonce: What it must sign.
        verifier: What proves to it that the one who began is the one who ends.
        target: Where the browser goes then.
        until: When that is too late, in seconds since 1970.
    """

    state: str
    nonce: str
    verifier: str
    target: str
    until: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a browser brings back from the provider.

    Attributes:
        state: What it was given on the way.
        code: What the provider exchanges for an ID token.
        error: What the provider says went wrong; empty if nothing did.
    """

    state: str
    code: str
    error: str = ""


def begin(service: Service, sign_on: SignOn, target: str) -> tuple[str, str]:
    """Begin to sign somebody in.

    Args:
        service: Signs what the browser keeps.
        sign_on: How.
        target: Page to go to then.
    Returns:
        Address at the provider to send the browser to, and what the browser keeps meanwhile.
    Raises:
        Unavailable: The provider does not answer (503).
    """
    until = (service.clock() + PATIENCE).timestamp()
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    begun = _Begun(state, nonce, verifier, target, until)
    address = sign_on.provider.address(state=begun.state, nonce=begun.nonce, verifier=begun.verifier)
    return address, str(_sealing(service).dumps(asdict(begun)))


def complete(service: Service, sign_on: SignOn, kept: str, reply: Reply, origin: Origin) -> tuple[str, str]:
    """Sign somebody in who comes back from the provider.

    Args:
        service: Keeps the session.
        sign_on: How.
        kept: What the browser has kept since `begin`; empty if nothing.
        reply: What it brings.
        origin: Where the request came from.
    Returns:
        Secret of the session, and the page to go to.
    Raises:
        Forbidden: The browser did not begin this, the provider refuses, or the person is not let in (403).
        Unavailable: The provider does not answer (503).
    """
    begun = _opened(service, kept)
    if begun is None or not hmac.compare_digest(begun.state.encode(), reply.state.encode()):
        raise Forbidden(
            "this sign-in was not begun by this browser, or is over, or longer ago than "
            f"{PATIENCE.total_seconds() / 60:.0f} minutes; begin again at {sign_on.public_url}/login"
        )
    if reply.error or not reply.code:
        reason = error_code(reply.error) if reply.error else "it sent no code"
        raise Forbidden(f"the identity provider did not sign you in ({reason})")
    now = service.clock()
    claims = sign_on.provider.redeem(reply.code, nonce=begun.nonce, verifier=begun.verifier, now=now)
    guest = sign_on.admission.decide(claims)
    return identity.open_guest_session(service, guest, origin, lasts=sign_on.lasts), begun.target


def _opened(service: Service, kept: str) -> _Begun | None:
    from itsdangerous import BadSignature

    if not kept:
        return None
    try:
        begun = _Begun(**_sealing(service).loads(kept))
    except BadSignature:
        return None
    return begun if service.clock().timestamp() < begun.until else None


def _sealing(service: Service) -> URLSafeSerializer:
    from itsdangerous import URLSafeSerializer

    return URLSafeSerializer(identity.sealing_key(service), salt="caviar sign-in")
