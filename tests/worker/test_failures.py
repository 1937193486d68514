"""What exceptions say about a trial."""

from __future__ import annotations

import numpy as np
import pytest

from caviar.contract.states import Outcome
from worker.failures import describe, outcome_of


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's."""


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class XlaRuntimeError(RuntimeError):
    """Named as JAX's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("failed to allocate"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 34359738368 bytes."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_every_backend_s_out_of_memory_is_known(error: Exception) -> None:
    assert outcome_of(error) is Outcome.OUT_OF_MEMORY


def test_an_array_too_large_for_this_machine_is_out_of_memory() -> None:
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**55, dtype="float64")
    assert outcome_of(caught.value) is Outcome.OUT_OF_MEMORY


def test_the_cause_counts_too() -> None:
    error = ValueError("layer could not be built")
    error.__cause__ = MemoryError()
    assert outcome_of(error) is Outcome.OUT_OF_MEMORY


@pytest.mark.parametrize("error", [ValueError("out of memory is a fine name"), KeyError("x"), SystemExit("bye")])
def test_other_errors_are_failures(error: BaseException) -> None:
    assert outcome_of(error) is Outcome.FAILED


def test_the_description_is_cut_to_what_the_service_takes() -> None:
    error = describe(ValueError("first\nsecond " + "x" * 30_000))
    assert error.kind == "ValueError"
    assert error.message.startswith("first second xxx")
    assert "\n" not in error.message
    assert (len(error.message), len(error.traceback)) == (2000, 20_000)


def test_an_error_without_words_is_named() -> None:
    assert describe(KeyboardInterrupt()).message == "KeyboardInterrupt"


def test_what_the_wire_does_not_take_is_made_visible() -> None:
    described = describe(ValueError("half a \ud83d pair and a \x00 NUL"))
    assert described.message == "half a ? pair and a \u2400 NUL"
    assert "\x00" not in described.traceback
