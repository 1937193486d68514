"""What can go wrong between an engine and its cluster."""

from __future__ import annotations

from caviar.contract.errors import CaviarError


class EngineUnavailable(CaviarError):
    """The engine is not installed, or its cluster cannot be reached."""

    code, status, title = "engine_unavailable", 503, "Engine unavailable"
