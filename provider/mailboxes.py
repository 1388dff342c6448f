"""Who on record uses which e-mail address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from domain.private import Private
from projections import directory
from projections.projection import Reading
from provider.attendee_file import fold_email

PAGE = 1_000
"""People whose addresses are opened at once."""


class Mailboxes:
    """Everybody's addresses, opened once and compared here, and nowhere in the domain.

    A record that counts as another one's stands for the other. Each person on record costs some 10 µs where their
    address was opened before, and some 50 µs where not.
    """

    def __init__(
        self, read: Reading, opened: Callable[[Iterable[Private | None]], Mapping[Private, str | None]]
    ) -> None:
        linked: dict[str, str] = {}
        uses: list[tuple[str, str]] = []
        after: int | None = None
        while page := directory.addresses(read, after=after, limit=PAGE):
            handles = [[Private(each) for each in (row.email, *row.body_emails.values()) if each] for row in page]
            values = opened(each for some in handles for each in some)
            for row, some in zip(page, handles, strict=True):
                if row.linked_to is not None:
                    linked[row.person] = row.linked_to
                uses += [(fold_email(value), row.person) for each in some if (value := values[each]) is not None]
            after = page[-1].registered
        self._users: defaultdict[str, set[str]] = defaultdict(set)
        for email, person in uses:
            while person in linked:
                person = linked[person]
            self._users[email].add(person)

    def users(self, email: str) -> frozenset[str]:
        """Return everybody who has this address as contact, or uses it with any body."""
        return frozenset(self._users.get(fold_email(email), ()))
