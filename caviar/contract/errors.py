"""The error tree: what went wrong, as a code that programs can act on and a sentence that people can.

Subclasses are divided by what the caller can do: fix the request (`RequestError`), drop the run (`LeaseLost`),
or wait and try again (`Unavailable`).
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from caviar.contract.wording import Location, sentence

_SHOWN_CHARACTERS = 200
# A body can hold a million mistakes; nobody reads more than these, and the answer stays small.
MAX_ERRORS = 100
# Unlike repr(), it neither recurses without end nor prints a million entries only to throw them away.
_bounded_repr = reprlib.Repr()
_bounded_repr.maxlevel, _bounded_repr.maxdict, _bounded_repr.maxlist = 3, 8, 8
_bounded_repr.maxstring = _bounded_repr.maxother = 60


def shown(value: object) -> Any:
    """A JSON-safe form of a refused value, shortened to 200 characters."""
    if value is None or isinstance(value, (bool, int)):
        # Beyond 64 bits an integer is no longer safe for every JSON reader, and beyond 4,300 digits Python prints none.
        if not isinstance(value, int) or abs(value) < 2**63:
            return value
        is_printable = abs(value) < 10**1000
        return str(value)[:_SHOWN_CHARACTERS] if is_printable else f"a whole number of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if value - value == 0.0 else str(value)
    text = value if isinstance(value, str) else _bounded_repr.repr(value)
    return _printable(text[:_SHOWN_CHARACTERS])


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class FieldError(BaseModel):
    """One field that was refused.

    Attributes:
        field: Path of the field, such as `space.learning_rate.low`; empty for the body as a whole.
        received: What came, shortened to 200 characters where it is long.
        expected: What would have been accepted, and how to fix it.
    """

    model_config = ConfigDict(frozen=True)

    field: str
    received: Annotated[Any, BeforeValidator(shown)]
    expected: str


class CaviarError(Exception):
    """Base of everything that Caviar raises on purpose.

    Attributes:
        code: Stable word for programs.
        status: HTTP status of the answer that carries it.
        title: Short name of the kind of error, the same for every occurrence.
        detail: This occurrence, for people.
        errors: The refused fields, where there are any.
        request_id: What the service's log tells of the request by; None of errors that no service has answered.
        retry_after_s: Seconds after which the same request may be answered; None if nobody knows.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        """Keep the sentence for people and the refused fields."""
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id: str | None = None
        self.retry_after_s: float | None = None

    def __str__(self) -> str:
        """The detail, then a line per refused field; of a failure of the service also where its log tells more."""
        lines = [f"  {e.field or 'body'}: received {e.received!r}, expected {e.expected}" for e in self.errors]
        if self.request_id is not None and self.status >= 500:
            lines.append(f"  request id, to be found in the service's log: {self.request_id}")
        return "\n".join([self.detail, *lines])

    @classmethod
    def problem_type(cls) -> str:
        """The URI of this kind of error."""
        return f"urn:caviar:error:{cls.code}"

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 body of this error."""
        return {
            "type": self.problem_type(),
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "errors": [error.model_dump(mode="json") for error in self._told()],
        }

    def _told(self) -> Sequence[FieldError]:
        more = len(self.errors) - MAX_ERRORS
        if more <= 0:
            return self.errors
        rest = FieldError(field="", received=f"{more} more refused fields", expected=f"at most {MAX_ERRORS} are listed")
        return [*self.errors[:MAX_ERRORS], rest]


class RequestError(CaviarError):
    """The request itself is at fault: fix it before sending it again."""

    code, status, title = "bad_request", 400, "Bad request"


class InvalidRequest(RequestError):
    """Fields are missing, of the wrong type or out of range."""

    code, status, title = "invalid_request", 422, "Invalid request"


class UnknownObjective(InvalidRequest):
    """No worker offers an objective of this name, and it is not a built-in one."""

    code, title = "unknown_objective", "Unknown objective"


class Unauthorized(RequestError):
    """No valid access token came with the request."""

    code, status, title = "unauthorized", 401, "Not signed in"


class Forbidden(RequestError):
    """The token is valid but does not allow this."""

    code, status, title = "forbidden", 403, "Not allowed"


class NotFound(RequestError):
    """There is no such study, trial, worker or page."""

    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(RequestError):
    """The path exists, but not with this method."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class StudyExists(RequestError):
    """Another study body is already stored under this name."""

    code, status, title = "study_exists", 409, "Study exists"


class StateConflict(RequestError):
    """The study or trial is in a state that does not allow this change."""

    code, status, title = "state_conflict", 409, "State conflict"


class ReportConflict(RequestError):
    """This epoch of this attempt was reported before with other metrics."""

    code, status, title = "report_conflict", 409, "Report conflict"


class EventsGone(RequestError):
    """The study ended so long ago that its older events were removed: its results are still there."""

    code, status, title = "events_gone", 410, "Events gone"


class TooLarge(RequestError):
    """The body is larger than the service takes."""

    code, status, title = "too_large", 413, "Body too large"


class TooLong(RequestError):
    """The address is longer than the service takes."""

    code, status, title = "too_long", 414, "Address too long"


class UnsupportedEncoding(RequestError):
    """The body is compressed, which the service does not take."""

    code, status, title = "unsupported_encoding", 415, "Unsupported encoding"


class WrongHost(RequestError):
    """The service was called by a name that is not its own; its operator says which are."""

    code, status, title = "wrong_host", 421, "Wrong host"


class TooManyHeaders(RequestError):
    """There are more headers than the service takes, or longer ones."""

    code, status, title = "too_many_headers", 431, "Too many headers"


class LeaseLost(CaviarError):
    """The lease token is not the trial's current one: drop the run, nothing was changed."""

    code, status, title = "lease_lost", 410, "Lease lost"


class StorageFull(CaviarError):
    """The service has no room for this file: go on without it, its operator must make room."""

    code, status, title = "storage_full", 507, "Storage full"


class Unavailable(CaviarError):
    """The service or its database cannot answer now: repeat the same request later."""

    code, status, title = "unavailable", 503, "Unavailable"


class TooSlow(Unavailable):
    """The request did not come to its end in time, as over a connection that hangs: repeat it."""

    code, status, title = "too_slow", 408, "Request too slow"


class RateLimited(Unavailable):
    """There are too many requests of this client: repeat the same one after the seconds in Retry-After."""

    code, status, title = "rate_limited", 429, "Too many requests"


def kinds(kind: type[CaviarError] = CaviarError) -> list[type[CaviarError]]:
    """A kind of error and all that are below it in the tree, as far as they cross the wire: those of this module."""
    children = [child for child in kind.__subclasses__() if child.__module__ == __name__]
    return [kind, *(deeper for child in children for deeper in kinds(child))]


_MAX_DIGITS = 6
# Timeout, too early, too many requests: the request was not at fault.
_TRANSIENT = (408, 425, 429)


def from_problem(body: Any, status: int, retry_after: str | None = None) -> CaviarError:
    """Rebuild the error that a problem body describes.

    Args:
        body: The parsed JSON of the answer; anything that is no problem body is shown as it is.
        status: HTTP status of the answer.
        retry_after: Its header Retry-After; a date is not understood.
    """
    problem = body if isinstance(body, dict) else {"detail": str(body)[:_SHOWN_CHARACTERS]}
    known = {kind.code: kind for kind in kinds()}
    fallback = Unavailable if status >= 500 or status in _TRANSIENT else RequestError
    kind = known.get(str(problem.get("code")), fallback)
    detail = str(problem.get("detail") or f"the service answered with status {status}")
    error = kind(detail, errors=_told_errors(problem))
    if retry_after is not None and retry_after.isdecimal() and len(retry_after) <= _MAX_DIGITS:
        error.retry_after_s = float(retry_after)
    if isinstance(request_id := problem.get("request_id"), str):
        error.request_id = shown(request_id)
    return error


def _told_errors(problem: dict[Any, Any]) -> list[FieldError]:
    # A proxy between us and the service may answer with problem bodies of its own make.
    entries = problem.get("errors")
    found = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            found.append(FieldError.model_validate(entry))
        except ValidationError:
            found.append(FieldError(field="", received=entry, expected="see the detail"))
    return found


def refusal(received: object, expected: str, fix: str = "", *, field: str = "") -> PydanticCustomError:
    """A validation error that says what came, what was expected and how to fix it.

    Args:
        received: The offending value.
        expected: What would be accepted.
        fix: What to do about it, a clause without a full stop.
        field: Path below the validated value, when a validator of a whole model blames one field of it.
    """
    said = f"{expected}; {fix}" if fix else expected
    # pydantic renders the context, which fails on text that has no UTF-8.
    told = {"expected": _printable(said), "received": shown(received), "field": shown(field)}
    return PydanticCustomError("refusal", "{expected}", told)


def field_errors(error: ValidationError, body: object, *, prefix: str = "") -> list[FieldError]:
    """Translate pydantic's errors into ours.

    Args:
        error: What pydantic raised.
        body: The value that was validated, to tell real fields from names of union members in pydantic's paths.
        prefix: Path of the validated value within the request.
    """
    found: list[FieldError] = []
    for entry in error.errors(include_url=False):
        context = entry.get("ctx", {})
        if entry["type"] == "refusal":
            below, received, expected = context["field"], context["received"], context["expected"]
        else:
            below = _tag_field(entry)
            received, expected = _received(entry, below), sentence(entry, error.title)
        path = shown(".".join(part for part in (prefix, _path(entry["loc"], body), below) if part))
        if found and found[-1].field == path:
            # Each member of a union complains about the same value.
            expected = f"{found.pop().expected}, or {expected}"
        found.append(FieldError(field=path, received=received, expected=expected))
    return found


def _tag_field(entry: Any) -> str:
    is_tag = entry["type"] in ("union_tag_invalid", "union_tag_not_found")
    return str(entry["ctx"]["discriminator"]).strip("'") if is_tag else ""


def _received(entry: Any, tag: str) -> object:
    if entry["type"] == "missing":
        return "nothing"
    came = entry["input"]
    return came.get(tag, "nothing") if tag and isinstance(came, dict) else came


def _path(location: Location, body: object) -> str:
    # pydantic puts the chosen member of a union into the path; a reader knows only the fields of the body.
    parts: list[str] = []
    node = body
    for position, step in enumerate(location):
        is_last = position == len(location) - 1
        if step == "[key]" and is_last:
            break
        if isinstance(node, dict) and step not in node:
            is_tag = not is_last or step in (node.get("type"), node.get("kind"))
            if is_tag:
                continue
        if not isinstance(node, dict) and isinstance(step, str) and parts:
            continue
        parts.append(str(step))
        if isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            node = None
    return ".".join(parts)
