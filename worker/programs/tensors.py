"""Rows as TensorFlow takes them, kept from trial to trial."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Tensors:
    """The tensors of arrays; those of arrays that nobody can change are kept, as far as there is room.

    Trials of a study are given the very same arrays, so their data is brought to its device once.
    """

    def __init__(self, max_bytes: int) -> None:
        """Begin empty.

        Args:
            max_bytes: Of all arrays that are kept; those used longest ago go first.
        """
        self._max_bytes = max_bytes
        # By identity, which is a name only as long as the array lives: so the array is kept as well.
        self._kept: OrderedDict[int, tuple[Array, Any]] = OrderedDict()

    def of(self, rows: Any) -> Any:
        """The tensors of a nested structure of arrays."""
        import tensorflow as tf

        return tf.nest.map_structure(self._tensor, rows)

    def num_bytes(self) -> int:
        """Of all arrays that are kept."""
        return sum(array.nbytes for array, _tensor in self._kept.values())

    def _tensor(self, array: Array) -> Any:
        import tensorflow as tf

        if id(array) in self._kept:
            self._kept.move_to_end(id(array))
            return self._kept[id(array)][1]
        tensor = tf.convert_to_tensor(array)
        if _is_constant(array) and array.nbytes <= self._max_bytes:
            self._kept[id(array)] = (array, tensor)
            while self.num_bytes() > self._max_bytes:
                self._kept.popitem(last=False)
        return tensor


def _is_constant(array: Array) -> bool:
    if array.flags.writeable:
        return False
    # A read-only view shows what is written to the array that it looks at.
    base: object = array.base
    return base is None or (isinstance(base, np.ndarray) and _is_constant(base))
