"""An OpenID Connect provider on this machine, which can also be told to behave badly."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "caviar"
CLIENT_SECRET = "the-secret-of-the-client"
Signer = Callable[["Issuer", dict[str, Any]], str]


@cache
def first_key() -> RSAKey:
    """The key by which it signs at first: to make one takes long."""
    return RSAKey.generate_key(2048, parameters={"kid": "first"})


def signed(issuer: Issuer, claims: dict[str, Any]) -> str:
    """An ID token as it should be."""
    return jwt.encode({"alg": "RS256", "kid": issuer.key.kid}, claims, issuer.key)


def part(value: object) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class Issuer:
    """A provider: who signs in there is always the same person, without being asked.

    Attributes:
        address: By which it calls itself.
        key: By which it signs.
        person: What it says of the person, or anything else that a test wants in the ID token.
        sign: Makes the ID token.
        error: What it sends back in place of a code.
        metadata: What it says of itself, other than it should.
        is_down: It answers nothing but 503.
        asked: Paths of all requests.
        used: How it was told who redeems a code.
    """

    address: str = ""
    key: RSAKey = field(default_factory=first_key)
    person: dict[str, Any] = field(default_factory=dict)
    sign: Signer = signed
    error: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False
    asked: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def reset(self) -> None:
        """Behave as at the beginning."""
        self.__init__(self.address.rstrip("/"))  # type: ignore[misc]

    def describe(self) -> dict[str, Any]:
        """What it says of itself."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize?tenant=one",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        } | self.metadata

    def authorize(self, asked: dict[str, str]) -> str:
        """Where it sends the browser back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["scope"] == "openid email profile"
        assert asked["code_challenge_method"] == "S256"
        assert asked["tenant"] == "one"
        told = {"state": asked["state"]}
        if self.error:
            told["error"] = self.error
        else:
            told["code"] = secrets.token_urlsafe(16)
            self.codes[told["code"]] = asked
        return f"{asked['redirect_uri']}?{urlencode(told)}"

    def redeem(self, asked: dict[str, str], authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Exchange a code, once, for whoever has the secret and the verifier."""
        if authorization is None:
            sent = (asked.get("client_id"), asked.get("client_secret"))
            self.used.append("post" if sent[1] else "none")
        else:
            name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            sent = (name, secret)
            self.used.append("basic")
        if sent not in ((CLIENT_ID, CLIENT_SECRET), (CLIENT_ID, None)):
            return 401, {"error": "invalid_client"}
        begun = self.codes.pop(asked["code"], None)
        challenge = hashlib.sha256(asked["code_verifier"].encode()).digest()
        if begun is None or begun["code_challenge"] != base64.urlsafe_b64encode(challenge).rstrip(b"=").decode():
            return 400, {"error": "invalid_grant", "error_description": "<b>never mind</b>"}
        assert asked["redirect_uri"] == begun["redirect_uri"]
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT_ID, "sub": "person-1", "iat": now, "exp": now + 300}
        claims |= {"nonce": begun["nonce"]} | self.person
        return 200, {"access_token": "of-no-use-here", "token_type": "Bearer", "id_token": self.sign(self, claims)}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.issuer.asked.append(url.path)
        if self.issuer.is_down:
            self._say(503, {})
        elif url.path == "/.well-known/openid-configuration":
            self._say(200, self.issuer.describe())
        elif url.path == "/keys":
            self._say(200, {"keys": [self.issuer.key.as_dict(private=False) | {"use": "sig"}, {"kty": "future"}]})
        else:
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            self._say(302, {}, self.issuer.authorize(asked))

    def do_POST(self) -> None:
        self.issuer.asked.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        self._say(*(503, {}) if self.issuer.is_down else self.issuer.redeem(asked, self.headers["Authorization"]))

    def _say(self, status: int, body: dict[str, Any], location: str = "") -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A provider that runs."""
    issuer = Issuer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"issuer": issuer}))
    issuer.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
