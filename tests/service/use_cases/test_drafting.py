"""What somebody who writes a study is told: free names, and who could train it."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.errors import NotFound
from caviar.contract.study import StudySpec
from service.use_cases import drafting
from tests.service.protocol.wire import LEASE_TTL_S
from tests.service.use_cases.lab import Lab

GPU = {"kind": "gpu", "name": "g", "uuid": "GPU-1", "memory_total_bytes": 2**34}


def able(lab: Lab, **requires: Any) -> int:
    spec = StudySpec.model_validate({"name": "a", "objective": {"name": lab.objective}, "requires": requires})
    with lab.wire.service.reading() as tx:
        return drafting.num_able_workers(tx, spec, lease_ttl_s=LEASE_TTL_S)


def free_name(lab: Lab, stem: str) -> str:
    with lab.wire.service.reading() as tx:
        return drafting.free_name(tx, stem)


def test_a_free_name_is_the_stem_or_has_the_next_number(lab: Lab) -> None:
    assert free_name(lab, "free-one") == "free-one"
    for name in ("free-one", "free-one-2", "free-one-4", "free-ones"):
        lab.study(name=name)
    assert free_name(lab, "free-one") == "free-one-3"
    assert free_name(lab, "free_one") == "free_one", "an underscore is no wildcard"


def test_a_long_name_is_cut_for_its_number(lab: Lab) -> None:
    name = "n" * 55 + "-" + "n" * 8
    lab.study(name=name)
    assert free_name(lab, name) == "n" * 55 + "-2"


def test_who_could_train_it(lab: Lab) -> None:
    assert able(lab) == 0
    lab.wire.worker(lab.objective)
    lab.wire.worker(lab.objective, devices=[GPU])
    lab.wire.worker("another-one")
    assert able(lab) == 2
    assert able(lab, device="gpu") == 1
    assert able(lab, memory_bytes=2**35) == 0
    lab.wire.clock.advance(LEASE_TTL_S + 1)
    assert able(lab) == 0, "they were not heard of any more"


def test_the_newest_studies_come_first(lab: Lab) -> None:
    names = [lab.study(), lab.study()]
    with lab.wire.service.reading() as tx:
        assert drafting.recent_names(tx)[:2] == names[::-1]


def test_what_a_study_was_submitted_with(lab: Lab) -> None:
    name = lab.study(seed=5)
    with lab.wire.service.reading() as tx:
        assert drafting.is_taken(tx, name)
        assert drafting.spec_of(tx, name).seed == 5
        with pytest.raises(NotFound):
            drafting.spec_of(tx, "not-there")
