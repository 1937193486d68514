"""One connection to a service: addresses, the access token, and what becomes of answers that are no success."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from caviar import credentials
from caviar.contract.errors import (
    CaviarError,
    InvalidRequest,
    RateLimited,
    RequestError,
    Unauthorized,
    Unavailable,
    from_problem,
)
from caviar.trust import verification

DEFAULT_URL = "http://127.0.0.1:8700"
PREFIX = "/api/v1"

Answer = TypeVar("Answer", bound=BaseModel)
Query = Mapping[str, "str | int | float | Sequence[str | int]"]

# A preview of 10,000 samples or a large export takes a while; a service that is not there answers at once.
# When there were too many requests, a few tries more, each after the seconds that the service names, else after these.
_PATIENCE_S = (1.0, 2.0, 4.0)
_LONGEST_WAIT_S = 30.0
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Clock:
    """Where waiting takes its time from.

    Attributes:
        monotonic: Seconds from an arbitrary start, never falling.
        sleep: Waits a number of seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def service_url(given: str | None) -> str:
    """The address of the service: the one given, `CAVIAR_URL`, or http://127.0.0.1:8700.

    Raises:
        InvalidRequest: It is no http or https address with a host.
    """
    text = (given or os.environ.get("CAVIAR_URL", "").strip() or DEFAULT_URL).rstrip("/")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise InvalidRequest(
            f"the service's address {text!r} is no URL ({error}); expected one like {DEFAULT_URL}"
        ) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequest(
            f"the service's address is {text!r}; expected http:// or https:// and a host, such as {DEFAULT_URL}"
        )
    return text


class Connection:
    """Sends requests to one service and turns whatever is no success into the contract's errors.

    Attributes:
        url: Address of the service, without a slash at its end.
        clock: Where waiting takes its time from.
    """

    def __init__(self, url: str | None, token: str | None, http: httpx2.Client | None, clock: Clock) -> None:
        """Open the connection; nothing is sent yet. See `caviar.Client` for the arguments."""
        self.url = str(http.base_url).rstrip("/") if http is not None and url is None else service_url(url)
        self.clock = clock
        self._given_token = credentials.check_token(token) if token is not None else None
        self._owns_http = http is None
        # A proxy of the environment cannot reach this machine's own loopback address.
        self._http = http or httpx2.Client(
            timeout=_TIMEOUT, trust_env=not _is_loopback(httpx2.URL(self.url).host), verify=verification()
        )

    def close(self) -> None:
        """Close the sockets, unless they belong to the caller."""
        if self._owns_http:
            self._http.close()

    def ask(
        self, kind: type[Answer], method: str, path: str, *, query: Query | None = None, body: str | None = None
    ) -> Answer:
        """Send a request and read its answer.

        Args:
            kind: The view that the answer is.
            method: Verb of HTTP.
            path: Below the prefix, with its variable parts quoted.
            query: Parameters of the address.
            body: JSON text.
        Raises:
            CaviarError: As the service's problem body says.
            Unavailable: The service cannot be reached.
            Unauthorized: There is no access token, or not the right one.
        """
        answer = self.send(method, path, query=query, body=body)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "its top"
            raise RequestError(
                f"the answer of {self.url}{PREFIX}{path} is no {kind.__name__} ({first['msg']} "
                f"at {place}); check that a Caviar service of this version listens there"
            ) from error

    def send(self, method: str, path: str, *, query: Query | None = None, body: str | None = None) -> httpx2.Response:
        """Send a request; raises as `ask` does.

        One that came too soon after many others is repeated when the service says so, for nothing was done.
        """
        headers = self._headers() | ({"Content-Type": "application/json"} if body is not None else {})
        for wait_s in (*_PATIENCE_S, None):
            with self._reaching():
                answer = self._http.request(
                    method, f"{self.url}{PREFIX}{path}", params=dict(query or {}), headers=headers, content=body
                )
            try:
                self._refuse_failure(answer)
            except RateLimited as error:
                if wait_s is None or (error.retry_after_s or 0.0) > _LONGEST_WAIT_S:
                    raise
                self.clock.sleep(error.retry_after_s or wait_s)
            else:
                break
        return answer

    @contextmanager
    def listen(self, path: str, *, last_event_id: str | None, silence_s: float) -> Iterator[httpx2.EventSource]:
        """Open a stream of server-sent events; raises as `ask` does, also while the stream is read.

        Args:
            path: Below the prefix.
            last_event_id: The event after which to begin.
            silence_s: Seconds without a single byte after which the stream counts as broken.
        """
        headers = self._headers() | ({} if last_event_id is None else {"Last-Event-ID": last_event_id})
        with (
            self._reaching(),
            self._http.sse(
                f"{self.url}{PREFIX}{path}", headers=headers, timeout=httpx2.Timeout(silence_s, connect=5.0)
            ) as source,
        ):
            if source.response.is_error:
                source.response.read()
            self._refuse_failure(source.response)
            yield source

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx2.Response]:
        """Open an answer whose content is read in portions; raises as `ask` does, also while it is read.

        Args:
            path: Below the prefix.
        """
        address = f"{self.url}{PREFIX}{path}"
        with self._reaching(), self._http.stream("GET", address, headers=self._headers()) as answer:
            if answer.is_error:
                answer.read()
            self._refuse_failure(answer)
            yield answer

    def _headers(self) -> dict[str, str]:
        token = self._given_token or credentials.read_token()
        if token is not None:
            return {"Authorization": f"Bearer {credentials.check_token(token)}"}
        if "authorization" in self._http.headers:
            return {}
        raise Unauthorized(
            f"there is no access token for {self.url}: give one by --token, by Client(token=…) or in "
            f"CAVIAR_TOKEN; a service that this user starts on this machine with `caviar serve` or "
            f"`caviar up` stores its own in {credentials.home() / 'token'} (`caviar token show`)"
        )

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx2.SSEError as error:
            raise RequestError(f"no stream of events comes from {self.url}: {error}") from error
        except httpx2.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(
                f"no answer from a Caviar service at {self.url} ({reason}); start one with "
                "`caviar serve` or `caviar up`, or give the address of a running one by --url or "
                "CAVIAR_URL"
            ) from error

    def _refuse_failure(self, answer: httpx2.Response) -> None:
        if answer.is_success:
            return
        error = _failure(answer)
        if isinstance(error, Unauthorized):
            source = (
                "the one given"
                if self._given_token
                else "from CAVIAR_TOKEN"
                if os.environ.get("CAVIAR_TOKEN")
                else f"from {credentials.home() / 'token'}"
            )
            raise Unauthorized(f"{self.url} does not accept the access token ({source}): {error.detail}")
        raise error


def _failure(answer: httpx2.Response) -> CaviarError:
    try:
        return from_problem(answer.json(), answer.status_code, answer.headers.get("retry-after"))
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError):
        # A proxy or another program answered: its page would tell a reader nothing.
        summary = {
            "detail": f"{answer.url} answered with status {answer.status_code} and no Caviar error; "
            "check that a Caviar service listens at this address"
        }
        return from_problem(summary, answer.status_code)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
