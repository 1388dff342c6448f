"""The members of requests: text that is fit to keep, times, ids."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import ValidationError, fields, validate

BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make text look like other text; right-to-left text itself needs none of them."""

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""A day as it is written in RFC 3339. Python's own reading would also take the day of a week, such as 2026-W01-1."""


BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that are drawn as nothing."""


def fit(text: str, *, lines: bool = False) -> None:
    """Refuse text with control characters, bidirectional overrides or halves of characters.

    :raises ValidationError: in words for the person who typed it.
    """
    for sign in text:
        if sign in BIDI_OVERRIDES:
            raise ValidationError("Must not hold characters that override the direction of text.")
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and not (lines and sign in "\n\t"):
            raise ValidationError("Must not hold control characters.")
        if "\U000e0000" <= sign <= "\U000e007f":
            raise ValidationError("Must not hold invisible tag characters.")


def seen(text: str) -> bool:
    """Tell whether there is anything to be seen in a text."""
    return any(unicodedata.category(sign)[0] not in "CZ" and sign not in BLANKS for sign in text)


class Line(fields.String):
    """One line of text, 1 to 200 characters (or `longest`), without surrounding space."""

    def __init__(self, *, longest: int = 200, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=longest), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        fit(text)
        if not seen(text):
            raise ValidationError("Must not be empty.")
        return text.strip()


class Email(Line):
    """An e-mail address, as far as anybody can tell without sending to it: one @ between two parts without spaces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=254, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        address: str = super()._deserialize(value, attr, data, **kwargs)
        name, sign, domain = address.partition("@")
        if not (name and sign and domain) or "@" in domain or any(each.isspace() for each in address):
            raise ValidationError("Must be an e-mail address, such as ada@example.org.")
        return address


class Words(fields.String):
    """Free text of several lines, 1 to 4,000 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=4_000), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        text = text.replace("\r\n", "\n")
        fit(text, lines=True)
        if not text.strip():
            raise ValidationError("Must not be empty.")
        return text


class Code(fields.String):
    """A short code, such as a reason: letters, digits, dot, dash and underscore, up to 60 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            validate=validate.Regexp(
                r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}\Z",
                error="Must be a code of letters, digits, dots, dashes and underscores, without spaces. "
                "Words belong into the note.",
            ),
            **kwargs,
        )


class Moment(fields.AwareDateTime):
    """A time as RFC 3339 with its offset, between 2000 and 2100; kept in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or len(value) > 40 or not DAY.match(value):
            raise self.make_error("invalid", input=value, obj_type="datetime")
        moment: datetime = super()._deserialize(value, attr, data, **kwargs)
        if not 2000 <= moment.year < 2100:
            raise ValidationError("Must lie between the years 2000 and 2100.")
        return moment.astimezone(UTC)


class Day(fields.Date):
    """A day as YYYY-MM-DD, between 2000 and 2100."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not DAY.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type="date")
        day = super()._deserialize(value, attr, data, **kwargs)
        if not 2000 <= day.year < 2100:
            raise ValidationError("Must lie between the years 2000 and 2100.")
        return day


class Whole(fields.Integer):
    """A whole number, from `low` to `high`; never a fraction, a text or a truth value."""

    def __init__(self, *, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=low, max=high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, (bool, str)):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Yes(fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Uid(fields.UUID):
    """An id, as a UUID in its usual form."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or len(value) != 36:
            raise self.make_error("invalid_uuid")
        return super()._deserialize(value, attr, data, **kwargs)


class Body(ma.Schema):
    """What a command is told, beside when it happened and for whom. Unknown members are refused."""

    at = Moment(metadata={"description": "When it happened, where that is not now. Never in the future."})
    on_behalf_of = Uid(
        metadata={
            "description": "For whom a registrar or an administrator does it: a person, such as the trainer whose "
            "paper sheet they enter. It gives nobody's authority to them."
        }
    )


class WithReason(Body):
    """What a command is told that needs a reason: its code in clear, and a note that is kept private."""

    reason = Code(required=True, metadata={"description": "Why, as a code."})
    note = Words(metadata={"description": "Why, in words. Kept in the vault, never in the log."})


class Answer(ma.Schema):
    """What a view answers. It may grow members; a client ignores those that it does not know."""

    class Meta:
        unknown = ma.INCLUDE


class ReceiptAnswer(Answer):
    """What a command did."""

    id = fields.UUID(required=True, metadata={"description": "The thing that the command was about."})
    version = fields.Integer(required=True, metadata={"description": "Its version now, to be sent as If-Match."})
    position = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The last event recorded; null where none was needed."}
    )
    outcome = fields.String(required=True, allow_none=True, metadata={"description": "What came of it, as a code."})
    ids = fields.List(fields.String(), required=True, metadata={"description": "What was made or touched beside it."})
