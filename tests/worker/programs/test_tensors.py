"""Tensors of arrays: kept while nobody can change the array, and as long as there is room."""

from __future__ import annotations

from typing import Any

import numpy as np

from worker.programs.tensors import Tensors


def constant(size: int) -> Any:
    """An array that nobody can change."""
    array = np.arange(size, dtype="float32")
    array.flags.writeable = False
    return array


def test_constant_arrays_are_brought_to_their_device_once() -> None:
    kept, rows = Tensors(1000), ({"a": constant(3)}, constant(2))
    first, second = kept.of(rows), kept.of(rows)
    assert first[0]["a"] is second[0]["a"]
    np.testing.assert_array_equal(first[1], rows[1])
    assert kept.num_bytes() == 20


def test_what_may_change_is_read_again() -> None:
    kept, array = Tensors(1000), np.zeros(3)
    view = array[:2]
    view.flags.writeable = False
    kept.of((array, view))
    array[:] = 1
    assert [tensor.numpy().tolist() for tensor in kept.of((array, view))] == [[1, 1, 1], [1, 1]]
    assert kept.num_bytes() == 0


def test_those_used_longest_ago_make_room() -> None:
    kept, arrays = Tensors(90), [constant(10), constant(10), constant(5)]
    first, second = kept.of(arrays[0]), kept.of(arrays[1])
    assert kept.of(arrays[0]) is first
    kept.of(arrays[2])
    assert kept.num_bytes() == 60
    assert kept.of(arrays[0]) is first
    assert kept.of(arrays[1]) is not second
    kept.of(constant(100))
    assert kept.num_bytes() <= 90
