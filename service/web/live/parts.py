"""The parts of a rendered block, and what has changed from one rendering to the next.

Templates mark parts by the macro `part`: `<!--part KEY-->…<!--/part KEY-->` around one element that has KEY as its id.
Parts that follow each other directly form a run, such as the rows of a table; a run may change its order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MARK = re.compile(r"<!--(/?)part ([\w.:-]+)-->")
# Times that the page counts on by itself.
_COUNTED = re.compile(r"(<[^<>]*\sdata-(?:ago|since)\b[^<>]*>)[^<]*")

Change = dict[str, Any]
"""What makes a block of a page equal to its newest state: `skeleton`, `runs`, `parts` and `gone`, each if needed."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rendered block.

    Attributes:
        skeleton: What stands around the parts, `<!--run N-->` in place of each run.
        runs: Keys of the parts of each run, in order.
        parts: Rendered parts by key.
    """

    skeleton: str
    runs: tuple[tuple[str, ...], ...]
    parts: Mapping[str, str]

    def whole(self) -> Change:
        """Everything, for a page whose state is not known."""
        return {"skeleton": self.skeleton, "runs": dict(enumerate(self.runs)), "parts": dict(self.parts)}

    def since(self, old: Block) -> Change:
        """What differs from an older rendering; empty if nothing does."""
        is_rebuilt = still(self.skeleton) != still(old.skeleton)
        runs = {at: run for at, run in enumerate(self.runs) if is_rebuilt or run != old.runs[at]}
        parts = {key: text for key, text in self.parts.items() if not _is_same(text, old.parts.get(key))}
        gone = [key for key in old.parts if key not in self.parts]
        found: Change = {"skeleton": self.skeleton if is_rebuilt else None, "runs": runs, "parts": parts, "gone": gone}
        return {name: value for name, value in found.items() if value}


def split(html: str) -> Block:
    """Take a rendered block apart.

    Raises:
        ValueError: Marks do not pair, or a key occurs twice.
    """
    pieces = _MARK.split(html)
    skeleton, runs, parts = [pieces[0]], [], {}
    current: list[str] = []
    for at in range(1, len(pieces), 6):
        begin, key, text = pieces[at : at + 3]
        if begin or pieces[at + 3 : at + 5] != ["/", key] or key in parts:
            raise ValueError(f"received the mark of part {key!r}, expected marks in pairs, each key once, none nested")
        if current and skeleton[-1].isspace() | (not skeleton[-1]):
            skeleton.pop()
        else:
            current = []
            runs.append(current)
            skeleton.append(f"<!--run {len(runs) - 1}-->")
        current.append(key)
        parts[key] = text
        skeleton.append(pieces[at + 5])
    return Block("".join(skeleton), tuple(map(tuple, runs)), parts)


def still(html: str) -> str:
    """A rendering without the times that count on by themselves, for comparisons."""
    return _COUNTED.sub(r"\1", html)


def _is_same(new: str, old: str | None) -> bool:
    return old is not None and (new == old or still(new) == still(old))
