"""Counting requests by token buckets, at the price of a dictionary and some arithmetic for each."""

from __future__ import annotations

_MAX_KEYS = 10_000


class Buckets:
    """A bucket for each of those who ask: it holds a burst, and fills again at a steady rate.

    Kept is one number for each: when its bucket will be full again, if nothing more is taken.

    Source: ITU-T I.371, the generic cell rate algorithm, which is a token bucket with a single number.
    """

    def __init__(self, rate_per_s: float, burst: float) -> None:
        """Fill every bucket.

        Args:
            rate_per_s: Requests per second that it takes for good; 0 for any number.
            burst: Requests that it takes at once, at least 1.
        """
        self._each_s = 1.0 / rate_per_s if rate_per_s else 0.0
        # A thousandth more, so that no rounding takes a whole request away.
        self._depth_s = self._each_s * (max(burst - 1.0, 0.0) + 0.001)
        self._full_at: dict[object, float] = {}

    def take(self, key: object, now: float) -> float:
        """Take one request out of a bucket.

        Args:
            key: Whose bucket.
            now: Seconds of a clock that is never set.
        Returns:
            0 if it was there; otherwise the seconds until it will be, and nothing is taken.
        """
        if not self._each_s:
            return 0.0
        full_at = self._full_at.get(key, now)
        ahead_s = full_at - now
        if ahead_s > self._depth_s:
            return ahead_s - self._depth_s
        if key not in self._full_at and len(self._full_at) >= _MAX_KEYS:
            self._forget_full(now)
        self._full_at[key] = (full_at if ahead_s > 0.0 else now) + self._each_s
        return 0.0

    def wait_s(self, key: object, now: float) -> float:
        """Seconds until the bucket has a request again; 0 if it has. Nothing is taken."""
        full_at = self._full_at.get(key)
        return 0.0 if full_at is None else max(0.0, full_at - now - self._depth_s)

    def _forget_full(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) >= _MAX_KEYS:
            # Somebody has more addresses than we have room for: better a fresh start for all than no room.
            self._full_at.clear()
