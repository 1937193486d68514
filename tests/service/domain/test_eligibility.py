"""What a worker must have to be given trials of a study."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.study import Requires
from service.domain.eligibility import meets

GIB = 2**30
SMALL: dict[str, Any] = {"kind": "gpu", "name": "small", "memory_total_bytes": 8 * GIB}
LARGE: dict[str, Any] = {"kind": "gpu", "name": "large", "memory_total_bytes": 80 * GIB}
SLICE: dict[str, Any] = {"kind": "mig", "name": "slice", "memory_total_bytes": 20 * GIB}
SILENT: dict[str, Any] = {"kind": "gpu", "name": "silent", "memory_total_bytes": None}
CPU: dict[str, Any] = {"kind": "cpu", "name": "cpu", "memory_total_bytes": 64 * GIB}


@pytest.mark.parametrize(
    ("requires", "devices", "is_met"),
    [
        ({}, [], True),
        ({"device": "gpu"}, [], False),
        ({"device": "gpu"}, [CPU], False),
        ({"device": "gpu"}, [CPU, SMALL], True),
        ({"device": "gpu"}, [SLICE], True),
        ({"device": "gpu"}, [SILENT], True),
        ({"device": "cpu"}, [SMALL], False),
        ({"device": "cpu"}, [CPU], True),
        ({"memory_bytes": 80 * GIB}, [SMALL, LARGE], True),
        ({"memory_bytes": 80 * GIB + 1}, [SMALL, LARGE], False),
        ({"memory_bytes": 64 * GIB}, [SMALL, CPU], True),
        ({"device": "gpu", "memory_bytes": 64 * GIB}, [SMALL, CPU], False),
        ({"device": "gpu", "memory_bytes": 20 * GIB}, [SMALL, SLICE], True),
        ({"device": "gpu", "memory_bytes": 1}, [SILENT], False),
        ({"memory_bytes": 1}, [], False),
    ],
)
def test_devices_of_the_kind_and_the_largest_memory_of_them_count(
    requires: dict[str, Any], devices: list[dict[str, Any]], is_met: bool
) -> None:
    assert meets(Requires.model_validate(requires), labels={}, devices=devices) is is_met


@pytest.mark.parametrize(
    ("labels", "is_met"),
    [
        ({}, False),
        ({"site": "attic", "team": "a"}, False),
        ({"site": "basement"}, False),
        ({"site": "basement", "team": "a"}, True),
        ({"site": "basement", "team": "a", "more": "x"}, True),
    ],
)
def test_every_label_is_required_with_its_value(labels: dict[str, str], is_met: bool) -> None:
    requires = Requires(labels={"site": "basement", "team": "a"})
    assert meets(requires, labels=labels, devices=[]) is is_met
