"""Who looks at a page: the service as that person has it, and what templates ask about them."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request

from service.domain.principal import Principal, Right
from service.use_cases.service import Service

FORM_FIELD = "csrf"
"""Name of the input by which a form says that it was made for this session."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page.

    Attributes:
        principal: Who it is; None for a stranger.
        form_token: What forms of its session carry; empty without a session.
    """

    principal: Principal | None = None
    form_token: str = ""

    def may(self, right: str) -> bool:
        """Whether the visitor has a right."""
        return self.principal is not None and self.principal.may(Right(right))

    @property
    def is_over_all(self) -> bool:
        """Whether the visitor administers everything, not only some studies."""
        return self.may(Right.ADMINISTER) and self.principal is not None and self.principal.scope is None


_current: ContextVar[Visitor] = ContextVar("visitor", default=Visitor())  # noqa: B039  # It is frozen.


def service_of(request: Request) -> Service:
    """The service, for the one who makes a request."""
    service: Service = request.app.state.service
    return service.acting_for(actor_of(request))


def actor_of(request: Request) -> Principal:
    """Who makes a request."""
    principal: Principal = request.state.principal
    return principal


def rights_of(service: Service) -> frozenset[Right]:
    """What the one may do for whom a service is: those with equal rights see a study alike."""
    return frozenset() if service.actor is None else service.actor.rights


async def note(request: Request) -> None:
    """Keep who makes a request, for the page that answers it.

    It must be a coroutine: what a thread sets, the thread of the page would not see.
    """
    state = request.scope.get("state", {})
    _current.set(Visitor(state.get("principal"), state.get("form_token", "")))


def current() -> Visitor:
    """Who looks at the page that is being made."""
    return _current.get()


def form_input() -> Markup:
    """The input that every form which writes holds; for parts that several visitors see, a script fills it in."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FORM_FIELD, current().form_token)


def share() -> None:
    """From here on, make what several visitors with equal rights see: without anything of one session."""
    _current.set(Visitor(_current.get().principal))
