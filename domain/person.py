"""A human whom the institution knows, and what they are called."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.aggregate import Aggregate, AggregateCreated
from domain.credential import check_body
from domain.private import Private
from domain.reason import must_say_why
from domain.refusal import Invalid, Refused


class PersonUnnamed(Invalid):
    """A person has neither a given name, nor a family name, nor one for certificates."""


class NothingChanged(Refused):
    """What was said is on record already."""


class NamesMoved(Refused):
    """The names that somebody has read and confirms are not those on record any more."""


class LinkedElsewhere(Refused):
    """The record counts as another one, and changes belong there."""


class NotLinked(Refused):
    """The record stands for itself."""


class SelfLink(Invalid):
    """A record can't count as itself."""


class BothPresent(Refused):
    """Two records were present in one session, so they are two people."""


class Witness(StrEnum):
    """Who vouches for what is said about a person: they themselves, or the registrar for them."""

    PERSON = "person"
    REGISTRAR = "registrar"


@dataclass(frozen=True)
class Names:
    """A person's names as they give them. Nothing is split, joined or guessed.

    `given` and `family` are each optional, since many people have one name only; the certificate
    name is the whole name as it shall be printed; the Latin form is for bodies that read no other
    script.
    """

    given: Private | None = None
    family: Private | None = None
    certificate_name: Private | None = None
    latin_given: Private | None = None
    latin_family: Private | None = None


@dataclass(frozen=True)
class BodyEmail:
    """The e-mail a person is known by at a body, who said so, and the version that set it."""

    email: Private
    source: Witness
    version: int


class Person(Aggregate):
    """A human with a stable id, whatever their names and addresses become.

    A mailbox is a contact and a key at a body, never an identity: two people may share one. To send
    a colleague is no change of name but a substitution, on the enrolment.
    """

    TOPIC = "person"

    def __init__(self, names: Names, email: Private | None) -> None:
        self.names = names
        self.names_version = self.version
        self.confirmed_by: frozenset[Witness] = frozenset()
        self.email = email
        self.email_version = self.version
        self.phone: Private | None = None
        self.body_emails: dict[str, BodyEmail] = {}
        self.linked_to: UUID | None = None

    @classmethod
    def register(
        cls,
        *,
        person: UUID,
        names: Names,
        email: Private | None,
        source: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Person:
        """Make a person known; `source` says how they came to us, as in `import` or `walk_in`.

        :raises PersonUnnamed: no name is given.
        """
        _must_name_somebody(names)
        return cls._create(
            cls.Registered,
            id=person,
            names=names,
            email=email,
            source=source,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def body_email(self, body: str) -> Private | None:
        """Return the e-mail by which the body knows this person, as far as anybody has said."""
        said = self.body_emails.get(body)
        return None if said is None else said.email

    def body_email_version(self, body: str) -> int | None:
        """Return the version that set that e-mail, for what rests on it."""
        said = self.body_emails.get(body)
        return None if said is None else said.version

    def correct_name(
        self,
        *,
        names: Names,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Put right what was wrong from the start: the same human, written wrongly.

        `names` replaces all names; they have to be confirmed again.

        :raises PersonUnnamed: no name is given.
        :raises NothingChanged: they are the very same names.
        :raises LinkedElsewhere: the record counts as another one.
        """
        self._must_take(names, reason)
        self.trigger_event(
            self.NameCorrected,
            names=names,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def change_name(
        self,
        *,
        names: Names,
        reason: str,
        evidence: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that the same human is called otherwise from now on; the old names were right.

        `names` replaces all names; they have to be confirmed again.

        :raises PersonUnnamed: no name is given.
        :raises NothingChanged: they are the very same names.
        :raises LinkedElsewhere: the record counts as another one.
        """
        self._must_take(names, reason)
        self.trigger_event(
            self.NameChanged,
            names=names,
            reason=reason,
            evidence=evidence,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def confirm_names(
        self,
        *,
        confirmed_by: Witness,
        names_version: int,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that the names are right; `names_version` is what the witness has read.

        :raises NamesMoved: the names were set again since.
        :raises NothingChanged: the same witness has confirmed them already.
        :raises LinkedElsewhere: the record counts as another one.
        """
        self._must_stand_for_itself()
        if names_version != self.names_version:
            raise NamesMoved(
                "These are not the names on record any more. Read the present names, and confirm those.",
                field="names_version",
            )
        if confirmed_by in self.confirmed_by:
            raise NothingChanged("These names have already been confirmed.")
        self.trigger_event(
            self.NamesConfirmed,
            confirmed_by=confirmed_by,
            names_version=names_version,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def change_contact(
        self,
        *,
        email: Private | None,
        phone: Private | None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Replace e-mail and phone, both; None says that there is none.

        The e-mail used with a body stays what it was: there the old one is still the key.

        :raises NothingChanged: both are on record.
        :raises LinkedElsewhere: the record counts as another one.
        """
        self._must_stand_for_itself()
        if (email, phone) == (self.email, self.phone):
            raise NothingChanged("This e-mail and this phone number are already on record.")
        self.trigger_event(self.ContactChanged, email=email, phone=phone, by=by, at=at, on_behalf_of=on_behalf_of)

    def state_body_email(
        self,
        *,
        body: str,
        email: Private,
        source: Witness,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record the e-mail that the person has used with a body; the latest statement stands.

        Under another e-mail the body would silently open a second account, so nothing is assumed
        from the contact: somebody has to say it.

        :raises UnknownBody: there is no such body.
        :raises NothingChanged: the same witness has said so already.
        :raises LinkedElsewhere: the record counts as another one.
        """
        self._must_stand_for_itself()
        check_body(body)
        said = self.body_emails.get(body)
        if said is not None and (said.email, said.source) == (email, source):
            raise NothingChanged("This e-mail is already on record for this body.", field="email")
        self.trigger_event(
            self.BodyEmailStated,
            body=body,
            email=email,
            source=source,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def link_to(
        self,
        *,
        survivor: Person,
        present_together: Collection[UUID],
        reason: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Let this record count as the survivor's, because both are one human.

        Nothing is moved or rewritten, this id stays valid, and `unlink` undoes it.
        `present_together` are the registers in which both records were marked as having been there.

        :raises SelfLink: the survivor is this record.
        :raises LinkedElsewhere: one of the two counts as another one already.
        :raises BothPresent: they were there together.
        """
        must_say_why(reason)
        if survivor.id == self.id:
            raise SelfLink("A record can't be merged into itself.", field="survivor")
        self._must_stand_for_itself()
        if survivor.linked_to is not None:
            raise LinkedElsewhere(
                f"The record to keep was itself merged into {survivor.linked_to}. Merge into that one.",
                field="survivor",
            )
        if present_together:
            raise BothPresent(
                "Both were present in the same session, so they are two people. If one of the marks"
                " is wrong, correct it first."
            )
        self.trigger_event(
            self.LinkedTo,
            survivor=survivor.id,
            reason=reason,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def unlink(self, *, reason: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Let this record stand for itself again.

        :raises NotLinked: it does.
        """
        must_say_why(reason)
        if self.linked_to is None:
            raise NotLinked("This record isn't merged into any other, so there is nothing to undo.")
        self.trigger_event(self.Unlinked, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def _must_take(self, names: Names, reason: str) -> None:
        must_say_why(reason)
        _must_name_somebody(names)
        self._must_stand_for_itself()
        if names == self.names:
            raise NothingChanged("These names are already on record.")

    def _must_stand_for_itself(self) -> None:
        if self.linked_to is not None:
            raise LinkedElsewhere(f"This record was merged into {self.linked_to}. Change that one, or undo the merge.")

    class Event(Aggregate.Event):
        """Something happened to a person, or to what is known of them."""

    class Registered(Event, AggregateCreated):
        """Somebody became known."""

        TOPIC = "person.registered"
        names: Names
        email: Private | None
        source: str

    class NameCorrected(Event):
        """The names on record were wrong from the start; these are right."""

        TOPIC = "person.name_corrected"
        names: Names
        reason: str
        note: Private | None

        def apply(self, person: Person) -> None:
            person.names = self.names
            person.names_version = self.originator_version
            person.confirmed_by = frozenset()

    class NameChanged(Event):
        """The names on record were right; from now on these are."""

        TOPIC = "person.name_changed"
        names: Names
        reason: str
        evidence: str | None
        note: Private | None

        def apply(self, person: Person) -> None:
            person.names = self.names
            person.names_version = self.originator_version
            person.confirmed_by = frozenset()

    class NamesConfirmed(Event):
        """A witness has read the names that the event of this version set, and says they are right."""

        TOPIC = "person.names_confirmed"
        confirmed_by: Witness
        names_version: int

        def apply(self, person: Person) -> None:
            person.confirmed_by |= {self.confirmed_by}

    class ContactChanged(Event):
        """This is how to reach the person now; None where there is no such way."""

        TOPIC = "person.contact_changed"
        email: Private | None
        phone: Private | None

        def apply(self, person: Person) -> None:
            if self.email != person.email:
                person.email_version = self.originator_version
            person.email = self.email
            person.phone = self.phone

    class BodyEmailStated(Event):
        """A witness said by which e-mail the body knows the person."""

        TOPIC = "person.body_email_stated"
        body: str
        email: Private
        source: Witness

        def apply(self, person: Person) -> None:
            person.body_emails[self.body] = BodyEmail(self.email, self.source, self.originator_version)

    class LinkedTo(Event):
        """This record and the survivor's are one human."""

        TOPIC = "person.linked_to"
        survivor: UUID
        reason: str

        def apply(self, person: Person) -> None:
            person.linked_to = self.survivor

    class Unlinked(Event):
        """The two records are two humans after all."""

        TOPIC = "person.unlinked"
        reason: str

        def apply(self, person: Person) -> None:
            person.linked_to = None


def _must_name_somebody(names: Names) -> None:
    if names.given is None and names.family is None and names.certificate_name is None:
        raise PersonUnnamed(
            "A person needs a given name, a family name or a name for certificates; one is enough.",
            field="given",
        )
