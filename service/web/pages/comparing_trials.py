"""Two to six trials of a study side by side."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.ranking import MAX_COMPARED, MIN_COMPARED, Comparison
from caviar.contract.views import StudyView
from service.domain.board_query import BoardQuery
from service.use_cases import comparing_trials, reading
from service.use_cases.service import Service
from service.web import formats
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.pictures.side_by_side import overlaid
from service.web.rendering import HEADERS, page
from service.web.tables import board, leaderboard

router = APIRouter(include_in_schema=False)


@router.get("/studies/{name}/compare")
def compare_trials(request: Request, name: StudyName) -> Response:
    """Trials side by side: what differs, what they reached, their curves."""
    service: Service = service_of(request)
    pairs = request.query_params.multi_items()
    numbers = _numbers([value for key, value in pairs if key in ("trial", "trials")])
    if any(key == "trials" for key, _ in pairs):
        address = f"/studies/{quote(name, safe='')}/compare?{urlencode([('trial', one) for one in numbers])}"
        return RedirectResponse(address, status_code=303, headers=HEADERS)
    with service.reading() as tx:
        view = reading.study(tx, name)
        if not MIN_COMPARED <= len(set(numbers)) <= MAX_COMPARED:
            asked = len(set(numbers))
            shown: Context = {"study": view, "compared": None, "num_asked": asked, "most": MAX_COMPARED}
            return page("compare.html", status=422, **shown, now=service.clock())
        found = comparing_trials.compare(tx, name, numbers)
    return page("compare.html", **_shown(found, view, numbers), now=service.clock())


def _numbers(texts: list[str]) -> list[int]:
    found = []
    for text in (part.strip() for value in texts for part in value.split(",") if part.strip()):
        if not text.isdecimal() or len(text) > 9:
            field = FieldError(field="trial", received=text, expected="the number of a trial, such as trial=3&trial=7")
            raise InvalidRequest("the trials to compare cannot be read", errors=[field])
        found.append(int(text))
    return found


def _shown(found: Comparison, view: StudyView, numbers: list[int]) -> Context:
    rows = leaderboard.rows([*found.items], BoardQuery(), view, found.noise)
    cells = [{cell.name: cell for cell in board.cells(view.space, row.trial.params)} for row in rows]
    known = view.space.names
    return {
        "study": view,
        "compared": found,
        "rows": rows,
        "differing": [(name, [one[name] for one in cells]) for name in found.differing if name in known],
        "equal": [(name, cells[0][name]) for name in known if name not in found.differing],
        "hints": {name: leaderboard.parameter_hint(view.space, name) for name in known},
        "chart": overlaid(found.items, found.metric, best=view.best.trial_id if view.best else None),
        "noise": leaderboard.noise_text(found.noise) if found.noise else "",
        "others": {
            number: "?" + urlencode([("trial", other) for other in dict.fromkeys(numbers) if other != number])
            for number in numbers
        },
        "query_text": urlencode([("trial", number) for number in dict.fromkeys(numbers)]),
        "spread": _spread(found),
    }


def _spread(found: Comparison) -> str:
    values = [one.value for one in found.items if one.value is not None]
    return formats.number(max(values) - min(values), 3) if len(values) > 1 else ""
