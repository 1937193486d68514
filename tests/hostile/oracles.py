"""What must hold of every answer to hostile input."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from caviar.contract.errors import MAX_ERRORS, CaviarError, InvalidRequest, field_errors
from caviar.contract.study import StudyEdit

AnyModel = TypeVar("AnyModel", bound=BaseModel)
MAX_DETAIL_CHARACTERS = 2000
MAX_PROBLEM_BYTES = 200_000
# A busy machine is no defect; what grows with the square of the input takes far longer than this.
MAX_S = 5.0
MAX_BYTES = 200 * 2**20


def refused_well(error: CaviarError) -> None:
    """Fail unless an error is one of the request, and can be printed, sent and read."""
    assert 400 <= error.status < 500, error
    problem = error.problem()
    sent = json.dumps(problem, allow_nan=False).encode()
    assert len(sent) <= MAX_PROBLEM_BYTES, len(sent)
    assert len(error.detail) <= MAX_DETAIL_CHARACTERS, error.detail[:200]
    assert len(problem["errors"]) <= MAX_ERRORS + 1
    str(error).encode()


def read(model: type[AnyModel], body: Any) -> AnyModel | None:
    """What a body means; None if it is refused, as the service would refuse it."""
    try:
        made = model.model_validate(body)
    except ValidationError as error:
        refused_well(InvalidRequest("some fields were refused", errors=field_errors(error, body)))
        return None
    # In a change, what is left out and what is taken away are two things; it is sent as it was said.
    said = partial(model.model_dump_json, exclude_unset=issubclass(model, StudyEdit))
    again = model.model_validate_json(said(made))
    assert again == made, (made, again)
    assert said(again) == said(made)
    return made


@contextmanager
def bounded(*, counts_memory: bool = False) -> Iterator[None]:
    """Fail if the block takes too long or, where it counts that, too much memory."""
    began = time.perf_counter()
    if counts_memory:
        tracemalloc.start()
    try:
        yield
        most = tracemalloc.get_traced_memory()[1] if counts_memory else 0
    finally:
        if counts_memory:
            tracemalloc.stop()
    taken = time.perf_counter() - began
    assert taken <= MAX_S, f"took {taken:.1f} s"
    assert most <= MAX_BYTES, f"took {most / 2**20:.0f} MiB"
