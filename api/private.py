"""Private values, as an answer shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api.here import office
from domain.private import Private

ERASED = "(erased)"
"""What stands where a value was, once its owner's key is destroyed."""


def opener(handles: Iterable[str | None]) -> Callable[[str | None], str | None]:
    """Open these values in one go, and return the function that shows what stands behind each handle.

    A handle that is None (nothing was ever said) shows as None.
    """
    opened = office().vault.open([Private(each) for each in handles if each is not None])

    shown: dict[str | None, str | None] = {
        handle: ERASED if value is None else value for handle, value in opened.items()
    }
    shown[None] = None
    return shown.__getitem__
