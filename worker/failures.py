"""What the exception of a training says about its trial."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from caviar.contract.messages import TrainingError
from caviar.contract.states import Outcome
from worker.objectives.errors import LoadError

_OUT_OF_MEMORY_TYPES = frozenset({"MemoryError", "ResourceExhaustedError", "OutOfMemoryError", "_ArrayMemoryError"})
_OUT_OF_MEMORY_WORDS = (
    "RESOURCE_EXHAUSTED",
    "out of memory",
    "OOM when allocating",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "can't allocate memory",
    "failed to allocate memory",
)
_OWN_FOLDER = Path(__file__).parent
_MAX_KIND, _MAX_MESSAGE, _MAX_TRACEBACK = 200, 2000, 20_000


class NotTrainable(Exception):
    """The objective and the study do not fit together: what is wrong, and how to fix it."""


def outcome_of(error: BaseException) -> Outcome:
    """How a training ended that raised: out of memory by any backend's name for it, or failed."""
    return Outcome.OUT_OF_MEMORY if any(map(_is_out_of_memory, _chain(error))) else Outcome.FAILED


def describe(error: BaseException) -> TrainingError:
    """The error of a trial, shortened to what the service takes: the start of the message, the end of the traceback.

    The traceback begins at the user's code, unless there is none in it.
    """
    lines = writable("".join(_from_users_code(traceback.TracebackException.from_exception(error)).format()))
    message = writable(" ".join(str(error).split())) or type(error).__name__
    return TrainingError(
        kind=type(error).__name__[:_MAX_KIND], message=message[:_MAX_MESSAGE], traceback=lines[-_MAX_TRACEBACK:]
    )


def describe_load(error: LoadError) -> TrainingError:
    """The error of a trial whose objective cannot be loaded: what its file raised, if that is the reason."""
    told = describe(error.__cause__ or error)
    return told.model_copy(update={"message": describe(error).message})


def _from_users_code(told: traceback.TracebackException) -> traceback.TracebackException:
    step: traceback.TracebackException | None = told
    while step is not None:
        # The line that cannot be read is told beside the frames, which are only those of the import.
        nowhere = len(step.stack) if hasattr(step, "filename") else 0
        start = next((number for number, frame in enumerate(step.stack) if not _is_ours(frame.filename)), nowhere)
        step.stack = traceback.StackSummary.from_list(step.stack[start:])
        step = step.__cause__ or step.__context__
    return told


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen importlib") or _OWN_FOLDER in Path(file).parents


def writable(text: str) -> str:
    """A text with what the wire does not take, NUL and half surrogate pairs, replaced by a visible sign."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode("utf-8")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        yield step
        seen.add(id(step))
        step = step.__cause__ or step.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    if any(kind.__name__ in _OUT_OF_MEMORY_TYPES for kind in type(error).__mro__):
        return True
    # Other libraries raise plain RuntimeErrors; a user's own ValueError that speaks of memory is no evidence.
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY_WORDS)
