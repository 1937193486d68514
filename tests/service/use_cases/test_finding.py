"""The list of studies: searched, filtered, sorted and paged by both databases alike; names for copies."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from caviar.contract.errors import InvalidRequest
from service.domain.study_query import SortOrder, StudyQuery, StudySort
from service.use_cases import naming, overview
from tests.service.use_cases.lab import Lab


def found(lab: Lab, **asked: Any) -> list[str]:
    """Names of the studies of this test that a query finds, in its order."""
    query = StudyQuery.model_validate({"limit": 1000, "q": lab.objective} | asked)
    with lab.wire.service.reading() as tx:
        return [study.name for study in overview.find(tx, query).items]


def test_words_are_looked_for_in_names_objectives_and_tags(lab: Lab) -> None:
    first = lab.study(tags={"owner": "ann", "100%": "a_b"})
    second = lab.study(tags={"owner": "Bo"})
    third = lab.study()
    assert found(lab) == [third, second, first]
    assert found(lab, q=lab.objective.upper()) == [third, second, first]
    assert found(lab, q=f"{lab.objective} owner") == [second, first]
    assert found(lab, q=f"OWNER=bo {lab.objective}") == [second]
    assert found(lab, q=f"{lab.objective} {first}") == [first]
    # What SQL would take for a placeholder is a letter like any other.
    assert found(lab, q=f"{lab.objective} 100%=a_b") == [first]
    assert found(lab, q=f"{lab.objective} o%r") == []
    assert found(lab, q=f"{lab.objective} own_r") == []
    assert found(lab, q=f"{lab.objective} nobody") == []


def test_states_are_counted_and_chosen(lab: Lab) -> None:
    running, paused, stopped = lab.study(), lab.study(), lab.study()
    lab.wire.post(f"/studies/{paused}:pause")
    lab.wire.post(f"/studies/{stopped}:stop")
    assert found(lab, state=["paused"]) == [paused]
    assert found(lab, state=["running", "stopped"]) == [stopped, running]
    with lab.wire.service.reading() as tx:
        query = StudyQuery.model_validate({"q": lab.objective, "state": ["paused"]})
        assert overview.count(tx, query) == {"running": 1, "paused": 1, "stopped": 1}
        assert overview.find(tx, query).total == 1


def test_every_column_sorts_either_way(lab: Lab) -> None:
    untouched = lab.study()
    names = [lab.study(budget={"max_trials": 9, "max_epochs": 9}) for _ in range(3)]
    for name in (untouched, *names):
        lab.wire.post(f"/studies/{name}:pause")
    for name, values in zip(names, ((0.5, 0.4), (0.9,), (0.8, 0.7, 0.6)), strict=True):
        lab.wire.advance(7)
        lab.wire.post(f"/studies/{name}:resume")
        lab.train(name, {"x": 0.5, "kind": "a"}, *values)
        lab.wire.post(f"/studies/{name}:pause")
    first, second, third = names
    lab.wire.advance(7)
    lab.wire.post(f"/studies/{first}/trials", {"params": {"x": 0.25, "kind": "b"}})
    assert found(lab, sort="best", order="asc") == [first, third, second, untouched]
    assert found(lab, sort="best", order="desc") == [second, third, first, untouched], "those without a value come last"
    assert found(lab, sort="epochs") == [third, first, second, untouched]
    assert found(lab, sort="epochs", order="asc") == [untouched, second, first, third]
    assert found(lab, sort="trials") == [first, third, second, untouched], "among equals, the newer one comes first"
    assert found(lab, sort="name") == sorted([*names, untouched])
    assert found(lab, sort="created") == [third, second, first, untouched]
    assert found(lab, sort="created", order="asc") == [untouched, first, second, third]
    assert found(lab, sort="activity") == [first, third, second, untouched]


def test_slot_time_counts_what_runs_now(lab: Lab) -> None:
    long, short = lab.study(), lab.study()
    lab.wire.post(f"/studies/{long}/trials", {"params": {"x": 0.5, "kind": "a"}})
    lab.wire.post(f"/studies/{short}:pause")
    [trial] = lab.claim()
    assert trial["study"] == long
    lab.wire.clock.advance(12)
    assert found(lab, sort="slot_time") == [long, short]
    assert found(lab, sort="slot_time", order="asc") == [short, long]
    assert lab.wire.get(f"/studies/{long}")["slot_s"] == pytest.approx(12)
    assert lab.wire.get(f"/studies?q={lab.objective}&sort=slot_time")["items"][0]["slot_s"] == pytest.approx(12)


def paged(lab: Lab, sort: StudySort, order: SortOrder) -> list[str]:
    """Names of the studies of this test, found by going from page to page."""
    names: list[str] = []
    while True:
        asked = {"q": lab.objective, "sort": sort, "order": order, "limit": 2, "after": names[-1] if names else None}
        with lab.wire.service.reading() as tx:
            page = overview.find(tx, StudyQuery.model_validate(asked))
        names += [study.name for study in page.items]
        assert page.total == 5
        if page.next_after is None:
            return names
        assert page.next_after == names[-1]


def test_pages_by_name_and_by_offset_hold_each_study_once(lab: Lab) -> None:
    names = [lab.study() for _ in range(5)]
    for name in names[:2]:
        lab.train(name, {"x": 0.5, "kind": "a"}, 0.5)
    for sort, order in itertools.product(StudySort, SortOrder):
        whole = found(lab, sort=sort, order=order)
        assert sorted(whole) == sorted(names)
        assert paged(lab, sort, order) == whole
        parts = [found(lab, sort=sort, order=order, limit=2, offset=offset) for offset in (0, 2, 4)]
        assert [name for part in parts for name in part] == whole


def test_a_page_after_a_study_that_is_gone_is_refused(lab: Lab) -> None:
    with lab.wire.service.reading() as tx, pytest.raises(InvalidRequest) as refused:
        overview.find(tx, StudyQuery(after="no-such-study"))
    assert refused.value.errors[0].field == "after"


def test_a_study_in_the_list_is_the_one_that_is_read_alone(lab: Lab) -> None:
    name = lab.study(strategy={"kind": "coarse_to_fine"})
    lab.train(name, {"x": 0.5, "kind": "a"}, 0.5, 0.25)
    lab.claim()
    [listed] = lab.wire.get(f"/studies?q={lab.objective}")["items"]
    assert listed == lab.wire.get(f"/studies/{name}")
    assert listed["best"]["value"] == 0.25


def test_the_best_of_a_study_to_maximize_is_the_greatest(lab: Lab) -> None:
    metric = {"name": "val_loss", "direction": "maximize"}
    name = lab.study(metric=metric, budget={"max_trials": 9, "max_epochs": 9})
    for value in (0.5, 0.75, 0.75, 0.25):
        lab.train(name, {"x": 0.5, "kind": "a"}, value)
    [listed] = lab.wire.get(f"/studies?q={lab.objective}")["items"]
    assert (listed["best"]["value"], listed["best"]["number"]) == (0.75, 1), "the earlier one of equals"


def test_a_copy_gets_the_next_free_number(lab: Lab) -> None:
    name = lab.study()

    def suggested(of: str) -> str:
        with lab.wire.service.reading() as tx:
            return naming.free_name(tx, of)

    assert suggested(name) == f"{name}-2"
    lab.wire.post(f"/studies/{name}:clone", {"name": f"{name}-2"})
    assert suggested(name) == f"{name}-3"
    assert suggested(f"{name}-2") == f"{name}-3", "a numbered copy goes on counting"
    assert suggested("never-heard-of-200") == "never-heard-of-200-2", "a number of its own stays"
    longest = "n" * 64
    assert suggested(longest) == "n" * 62 + "-2"
