"""Study bodies, read once however often their rows are."""

from __future__ import annotations

from functools import lru_cache

from caviar.contract.study import StudySpec


@lru_cache(maxsize=256)
def parsed(text: str) -> StudySpec:
    """The study body that a text holds.

    Args:
        text: `spec_text` of a study's row. An edited body is another text, so what is found is never out of date.
    """
    return StudySpec.model_validate_json(text)
