"""Asking an identity provider who somebody is: OpenID Connect, by the authorization code with PKCE.

Nothing of Authlib is imported unless a provider is set.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx2
import structlog

from caviar.contract.errors import FieldError, Forbidden, InvalidRequest, Unavailable
from service.domain import admission

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""By which an ID token may be signed: those alone whose keys a provider can publish."""

_LEEWAY_S = 60
_TIMEOUT_S = 5.0
_LONGEST_WAIT_S = 2.0
_CODE = re.compile(r"[a-z0-9_]{1,60}")
_KEY_TYPES = frozenset({"RSA", "EC"})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """What the service is to the provider.

    Attributes:
        issuer: Address by which the provider calls itself.
        client_id: Name of the service there.
        client_secret: Its secret; None for a client that has none.
        scopes: What it asks to be told, separated by spaces.
        redirect_url: Where the provider sends browsers back to.
    """

    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    redirect_url: str


@dataclass(frozen=True, slots=True)
class _Told:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    algorithms: tuple[str, ...]
    is_secret_posted: bool


class Provider:
    """An identity provider. What it says of itself, and its keys, are asked for once; keys again for an unknown one."""

    def __init__(self, client: Client) -> None:
        """Ask nothing yet.

        Raises:
            InvalidRequest: The packages are not installed.
        """
        try:
            import authlib.integrations.httpx_client
            import joserfc.jwt  # noqa: F401  # It only has to be there.
        except ModuleNotFoundError as error:
            field = FieldError(field="oidc_issuer", received=client.issuer, expected="pip install 'caviar[oidc]'")
            told = f"an identity provider needs the package {error.name}, which is not installed"
            raise InvalidRequest(told, errors=[field]) from error
        self._client = client
        self._open: Callable[..., Any] = authlib.integrations.httpx_client.OAuth2Client
        self._told: _Told | None = None
        self._keys: KeySet | None = None
        self._lock = threading.Lock()

    @property
    def issuer(self) -> str:
        """Address by which the provider calls itself."""
        return self._client.issuer

    def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send a browser to.

        Args:
            state: What the provider is to send back.
            nonce: What it is to sign.
            verifier: Of which it is told the SHA-256 (PKCE).
        Raises:
            Unavailable: The provider does not answer (503).
        Source: RFC 7636; OpenID Connect Core 1.0, section 3.1.2.1.
        """
        told = self._metadata()
        with self._session(told) as session:
            address, _ = session.create_authorization_url(
                told.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(address)

    def redeem(self, code: str, *, nonce: str, verifier: str, now: datetime) -> Mapping[str, Any]:
        """What the provider says of the person whose browser brought a code.

        Raises:
            Forbidden: It does not take the code, or what it says is not to be believed (403).
            Unavailable: It does not answer (503).
        """
        from authlib.integrations.base_client import OAuthError

        told = self._metadata()
        try:
            with self._session(told) as session:
                token = session.fetch_token(
                    told.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except OAuthError as error:
            reason = error_code(str(error.error))
            _log.warning("provider.refused", issuer=self.issuer, reason=reason)
            raise Forbidden(f"the identity provider did not take this sign-in ({reason}); sign in again") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._away(error) from error
        return self._believed(told, token, nonce=nonce, now=now)

    def _believed(self, told: _Told, token: Mapping[str, Any], *, nonce: str, now: datetime) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        client_id = self._client.client_id
        options: dict[str, dict[str, Any]] = {name: {"essential": True} for name in ("sub", "exp", "iat")}
        options |= {"iss": {"essential": True, "value": self.issuer}, "aud": {"essential": True, "value": client_id}}
        params = {"nonce": nonce, "client_id": client_id, "access_token": token.get("access_token")}
        try:
            decoded = self._decoded(told, token.get("id_token"))
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            _log.warning("provider.unbelievable", issuer=self.issuer, reason=f"{type(error).__name__}: {error}")
            raise Forbidden("what the identity provider says cannot be believed; the service's log says why") from error
        return dict(claims)

    def _decoded(self, told: _Told, id_token: object) -> Any:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jws import JWSRegistry

        if not isinstance(id_token, str):
            raise ValueError("there is no ID token")  # noqa: TRY004  # It is the provider's mistake, not a caller's.
        registry = JWSRegistry(algorithms=list(told.algorithms), strict_check_header=False)
        keys = self._keys
        if keys is not None:
            try:
                return jwt.decode(id_token, keys, registry=registry)
            except InvalidKeyIdError:
                _log.info("provider.unknown_key", issuer=self.issuer)
        return jwt.decode(id_token, self._fetched_keys(told), registry=registry)

    def _metadata(self) -> _Told:
        if self._told is not None:
            return self._told
        # While it does not answer, strangers must not take up all threads.
        if not self._lock.acquire(timeout=_LONGEST_WAIT_S):
            raise self._away(TimeoutError("somebody waits for its answer already"))
        try:
            if self._told is None:
                self._told = self._read_metadata(self._fetched(_discovery(self.issuer)))
        finally:
            self._lock.release()
        return self._told

    def _read_metadata(self, found: Mapping[str, Any]) -> _Told:
        try:
            if found.get("issuer") != self.issuer:
                raise ValueError(f"it calls itself {found.get('issuer')!r}")
            authorization, token, keys = (
                _safe(str(found.get(name))) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
            )
            offered = found.get("id_token_signing_alg_values_supported") or ALGORITHMS
            algorithms = tuple(name for name in ALGORITHMS if name in offered)
            if not algorithms:
                raise ValueError(f"it signs by none of {', '.join(ALGORITHMS)}")
            methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            is_posted = "client_secret_basic" not in methods and "client_secret_post" in methods
        except (ValueError, TypeError) as error:
            raise self._away(error) from error
        return _Told(authorization, token, keys, algorithms, is_secret_posted=is_posted)

    def _fetched_keys(self, told: _Told) -> KeySet:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        found = self._fetched(told.jwks_uri)
        try:
            keys = [key for key in found["keys"] if key.get("kty") in _KEY_TYPES and key.get("use", "sig") == "sig"]
            self._keys = KeySet.import_key_set({"keys": keys})
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._away(error) from error
        return self._keys

    def _fetched(self, address: str) -> Mapping[str, Any]:
        try:
            with self._open(verify=_authorities(), timeout=_TIMEOUT_S) as session:
                answer = session.request("GET", address, withhold_token=True)
            answer.raise_for_status()
            found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._away(error) from error
        if not isinstance(found, dict) or answer.status_code != httpx2.codes.OK:
            raise self._away(ValueError(f"{address} holds no JSON object"))
        return found

    def _session(self, told: _Told) -> Any:
        client = self._client
        method = "client_secret_post" if told.is_secret_posted else "client_secret_basic"
        return self._open(
            client_id=client.client_id,
            client_secret=client.client_secret,
            token_endpoint_auth_method="none" if client.client_secret is None else method,
            scope=client.scopes,
            redirect_uri=client.redirect_url,
            code_challenge_method="S256",
            verify=_authorities(),
            timeout=_TIMEOUT_S,
        )

    def _away(self, error: Exception) -> Unavailable:
        _log.warning("provider.away", issuer=self.issuer, reason=f"{type(error).__name__}: {error}")
        return Unavailable(
            f"the identity provider {self.issuer} does not answer as it should; try again in a moment, or sign in with "
            "an access token"
        )


@cache
def _authorities() -> ssl.SSLContext:
    # To read them takes longer than to ask.
    return httpx2.create_ssl_context()


def error_code(text: str) -> str:
    """A provider's word for what went wrong, if it is one: whatever else it sends is shown to nobody."""
    return text if _CODE.fullmatch(text) else "an error without a name"


def _safe(address: str) -> str:
    # What is asked or told there is no use if somebody on the way can change it.
    admission.issuer(address.partition("?")[0])
    return address


def _discovery(issuer: str) -> str:
    # Source: OpenID Connect Discovery 1.0, section 4.1, which takes a slash at the end away.
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"
