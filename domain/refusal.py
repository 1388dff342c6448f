"""How a rule says no."""

from __future__ import annotations


class Refused(Exception):
    """A rule says no, in words for the person who asked.

    A subclass names the rule and is defined beside it; its name in kebab case becomes the problem's type.
    `field` names the member of the request that is to blame, as a JSON pointer without its leading slash.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Invalid(Refused):
    """What was said can't be right, whatever the state of things (an unknown zone, an end before its start)."""


class Forbidden(Refused):
    """This person may not do this, though somebody else may."""
