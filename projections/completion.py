"""The completion view: the registers of a course, who was there, and who has completed it."""

from __future__ import annotations

from projections.projection import Projection

completion = Projection("completion", version=1, tables=())
