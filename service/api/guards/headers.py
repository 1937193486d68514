"""Headers that every answer carries, and that tell browsers to be careful with it."""

from __future__ import annotations

from starlette.types import Message, Scope, Send

from service.domain.hosts import host_name, is_loopback

_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation",
    "gyroscope", "hid", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{feature}=()" for feature in _FEATURES).encode()),
    (b"cache-control", b"no-store"),
)
"""What an answer carries unless it says otherwise by itself, as pages do, which need scripts, styles and forms."""

ALWAYS_TOLD = {name.decode(): value.decode() for name, value in ALWAYS}
"""The same as text."""
_NAMES = frozenset(name for name, _ in ALWAYS)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


def complete(message: Message, further: list[tuple[bytes, bytes]]) -> None:
    """Add to the beginning of an answer what it lacks.

    Args:
        message: `http.response.start`.
        further: Headers for this request only.
    """
    own = list(message.get("headers", ()))
    # Header names of our framework are in lower case already.
    given = [name for name, _ in own if name in _NAMES]
    own += [pair for pair in ALWAYS if pair[0] not in given] if given else ALWAYS
    own += further
    message["headers"] = own


def completing(send: Send, further: list[tuple[bytes, bytes]]) -> Send:
    """What sends an answer after it was completed; see `complete`."""

    async def completed(message: Message) -> None:
        if message["type"] == "http.response.start":
            complete(message, further)
        await send(message)

    return completed


def only_by_tls(scope: Scope, host: bytes | None) -> list[tuple[bytes, bytes]]:
    """What tells a browser to come by https from now on, if it has come by it now."""
    # For localhost it would lock browsers out of every other program that this machine serves.
    name = host_name(host.decode("latin-1")) if scope["scheme"] == "https" and host else None
    return [] if name is None or is_loopback(name) else [_HSTS]
