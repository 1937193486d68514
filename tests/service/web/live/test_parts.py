"""What is told of a change is what a page needs to have it, and no more."""

from __future__ import annotations

import pytest

from service.web.live.parts import Block, Change, split


def _row(key: str, text: str) -> str:
    return f'<!--part {key}-->\n<tr id="{key}"><td>{text}</td></tr>\n<!--/part {key}-->\n'


def _table(*rows: tuple[str, str], title: str = "Trials", foot: str = "end") -> str:
    inside = "".join(_row(key, text) for key, text in rows)
    return f"<h2>{title}</h2><table><tbody>\n{inside}</tbody></table><p>{foot}</p>"


def _change(old: str, new: str) -> Change:
    return split(new).since(split(old))


def _applied(block: Block, change: Change) -> tuple[str, tuple[tuple[str, ...], ...], dict[str, str]]:
    """What a page has after a change."""
    runs = dict(enumerate(block.runs)) if "skeleton" not in change else {}
    runs |= change.get("runs", {})
    parts = {
        key: text for key, text in {**block.parts, **change.get("parts", {})}.items() if key in sum(runs.values(), ())
    }
    return change.get("skeleton", block.skeleton), tuple(runs[at] for at in sorted(runs)), parts


def test_a_block_is_taken_apart() -> None:
    block = split(_table(("a", "1"), ("b", "2")))
    assert block.runs == (("a", "b"),)
    assert block.parts["a"].strip() == '<tr id="a"><td>1</td></tr>'
    assert block.skeleton == "<h2>Trials</h2><table><tbody>\n<!--run 0-->\n</tbody></table><p>end</p>"


def test_parts_with_something_between_them_are_two_runs() -> None:
    block = split(_row("a", "1") + "<hr>" + _row("b", "2"))
    assert block.runs == (("a",), ("b",))
    assert block.skeleton == "<!--run 0-->\n<hr><!--run 1-->\n"


def test_a_block_without_marks_is_all_skeleton() -> None:
    assert _change("<p>1</p>", "<p>2</p>") == {"skeleton": "<p>2</p>"}
    assert _change("<p>1</p>", "<p>1</p>") == {}


def test_of_a_changed_row_only_the_row_is_told() -> None:
    change = _change(_table(("a", "1"), ("b", "2")), _table(("a", "1"), ("b", "3")))
    assert list(change) == ["parts"]
    assert list(change["parts"]) == ["b"]


def test_of_rows_that_change_places_only_the_order_is_told() -> None:
    assert _change(_table(("a", "1"), ("b", "2")), _table(("b", "2"), ("a", "1"))) == {"runs": {0: ("b", "a")}}


def test_a_new_row_and_one_that_goes() -> None:
    change = _change(_table(("a", "1"), ("b", "2")), _table(("c", "3"), ("a", "1")))
    assert change["runs"] == {0: ("c", "a")}
    assert list(change["parts"]) == ["c"]
    assert change["gone"] == ["b"]
    assert "skeleton" not in change


def test_the_first_row_brings_the_skeleton_with_it() -> None:
    change = _change(_table(), _table(("a", "1")))
    assert "<!--run 0-->" in change["skeleton"]
    assert change["runs"] == {0: ("a",)}
    assert list(change["parts"]) == ["a"]


def test_times_that_count_on_by_themselves_are_no_change() -> None:
    row = '<time datetime="2026-11-21" data-ago>{}</time> <span data-since="2026-11-21">{}</span> {}'
    old = _table(("a", row.format("3 s ago", "1 min", "x")), foot=row.format("3 s ago", "1 min", "y"))
    assert _change(old, _table(("a", row.format("9 s ago", "2 min", "x")), foot=row.format("4 s", "2 min", "y"))) == {}
    assert list(_change(old, _table(("a", row.format("9 s ago", "2 min", "z")), foot=row.format("", "", "y")))) == [
        "parts"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (_table(("a", "1")), _table()),
        (_table(("a", "1"), ("b", "2")), _table(("b", "5"), ("c", "3"), title="More")),
        (_table(("a", "1"), ("b", "2"), ("c", "3")), _table(("c", "3"), ("d", "4"), ("a", "2"))),
        (_row("a", "1") + "<hr>" + _row("b", "2"), _row("b", "2") + "<hr>" + _row("a", "1")),
    ],
)
def test_changes_lead_from_the_old_state_to_the_new_one(old: str, new: str) -> None:
    before, after = split(old), split(new)
    assert _applied(before, after.since(before)) == (after.skeleton, after.runs, dict(after.parts))
    assert _applied(split(""), after.whole()) == (after.skeleton, after.runs, dict(after.parts))


@pytest.mark.parametrize(
    "html",
    [
        "<!--part a--><p></p>",
        "<!--/part a-->",
        "<!--part a--><!--part b--><!--/part b--><!--/part a-->",
        "<!--part a--><!--/part b-->",
        _row("a", "1") + _row("a", "2"),
    ],
)
def test_marks_that_do_not_pair_are_refused(html: str) -> None:
    with pytest.raises(ValueError, match="expected marks in pairs"):
        split(html)
