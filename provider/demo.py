"""A whole CSPO course, from the draft to the accepted licences, played through the HTTP API of a running server."""

from __future__ import annotations

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

INSTITUTION = "Agile Academy Zürich"
ZONE = "Europe/Zurich"
FOUNDER = ("Ada", "Beispiel-Gründer", "ada.gruender@academy.example")
TEAM = {
    "registrar": ("Regula", "Musterfrau", "regula.musterfrau@academy.example"),
    "second": ("Matteo", "Esempio-Bianchi", "matteo.esempio@academy.example"),
    "lead": ("Livia", "Fiktiv-Baumann", "livia.fiktiv@academy.example"),
    "co_trainer": ("Tomas", "Ukázkový", "tomas.ukazkovy@academy.example"),
    "auditor": ("Agnes", "Prüfstein-Roth", "agnes.pruefstein@academy.example"),
}
ROLES = {
    "registrar": "registrar",
    "second": "registrar",
    "lead": "trainer",
    "co_trainer": "trainer",
    "auditor": "auditor",
}
WALK_IN = ("Inès", "Delamontagne", "ines.delamontagne@example.org")
LATIN = {
    "Тимченко": ("Yaroslava", "Tymchenko"),
    "佐藤": ("Minori", "Sato"),
    "المنصوري": ("Layla", "Al Mansoori"),
}
"""How learners write their names in Latin letters, as they said on the first morning."""
LATIN_LATER = ("Elpida", "Paradeigmataki")
"""How the learner does whom nobody had asked."""
AT_BODY = ("Suryani", "Suryani")
"""How somebody with one name asks to be known to a body that wants two."""
MISSPELT, SPELT = "Brandstätter", "Brandstetter"
LATE_SPELT = "Ezeh-Placeholder"
TURKISH = "Yıldırımoğlu"  # noqa: RUF001
NEW_EMAIL = "piotr.lewandowicz@example.com"

CAPACITY = 14
SESSIONS = (1, 2, 3, 4)
HALF_DAYS = (("09:00", "12:30"), ("13:30", "17:30"))
CONTACT_MINUTES = 210
MANY = frozenset({"rows", "problems"})
"""Those counts of a dry run that are named by a noun; of one, it is another word."""
TIMEOUT = 30
"""Seconds for one answer."""


class Unexpected(Exception):
    """The server answered otherwise than the story goes. Says to which request, and what it answered."""


@dataclass(frozen=True)
class Answer:
    """What the server answered; `said` is the JSON, None where it was something else."""

    status: int
    said: Any = field(repr=False)
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class Api:
    """The API as one person uses it, with their token."""

    def __init__(self, port: int, token: str, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self.address = f"http://127.0.0.1:{port}"
        self.token = token
        # A proxy of the environment is for the world outside.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        """Return the JSON of a view."""
        return self.ask("GET", path, expected=(200,)).said

    def file(self, path: str) -> Answer:
        """Return a file."""
        return self.ask("GET", path, expected=(200,), headers={"Accept": "*/*"})

    def post(self, path: str, said: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """Carry out a command, whatever the version of what it is about, and return the receipt."""
        return self.command(path, said, key=key).said

    def command(
        self,
        path: str,
        said: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        version: int | None = None,
        expected: Sequence[int] = (200, 201),
    ) -> Answer:
        """Carry out a command on a version, or on any; it may be `expected` to be refused."""
        headers = {
            "Content-Type": "application/json",
            "If-Match": "*" if version is None else f'"{version}"',
            "Idempotency-Key": key or uuid4().hex,
        }
        return self.ask("POST", path, json.dumps(said or {}).encode(), headers=headers, expected=expected)

    def refused(self, status: int, path: str, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for what must be refused with this status, and return the problem."""
        problem: dict[str, Any] = self.command(path, said, expected=(status,)).said
        return problem

    def upload(self, path: str, content: bytes) -> Any:
        """Send a CSV file, and return what is said of it."""
        return self.ask("POST", path, content, headers={"Content-Type": "text/csv"}, expected=(201,)).said

    def ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        expected: Sequence[int],
    ) -> Answer:
        """Send one request, and return the answer.

        :raises Unexpected: there is none, or its status is none of those expected.
        """
        request = urllib.request.Request(  # noqa: S310
            self.address + path,
            data=content,
            headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                answer = _read(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = _read(error.code, dict(error.headers), error.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unexpected(f"{method} {path} was not answered: {error}.") from error
        if answer.status not in expected:
            wanted = " or ".join(map(str, expected))
            raise Unexpected(f"{method} {path} was to be answered by {wanted}, and was by {_told(answer)}")
        return answer


def _read(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    said = None
    if "json" in headers.get("Content-Type", ""):
        try:
            said = json.loads(content)
        except ValueError:
            said = None
    return Answer(status, said, headers, content)


def _told(answer: Answer) -> str:
    if isinstance(answer.said, dict) and "detail" in answer.said:
        errors = "".join(f"\n  {each}" for each in answer.said.get("errors", ()))
        return f"{answer.status} {answer.said.get('code')}: {answer.said['detail']}{errors}"
    return f"{answer.status}: {answer.content[:500].decode(errors='replace')}"


@dataclass(frozen=True)
class Section:
    """A part of what the demonstration shows: a table, or lines of text, under a title."""

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    lines: Sequence[str] = ()


def taught_on(today: date) -> tuple[date, date]:
    """Return the last two weekdays in a row before today. What is due two business days later is not overdue yet."""
    second = today - timedelta(days=1)
    while second.weekday() not in (1, 2, 3, 4):
        second -= timedelta(days=1)
    return second - timedelta(days=1), second


class Story:
    """The course, chapter by chapter. Each chapter returns in a sentence what came of it.

    `admin` is the first administrator's token, `now` an aware time. `sections` are what there is to show, so far.
    """

    def __init__(self, port: int, admin: str, now: datetime) -> None:
        self.port = port
        self.now = now
        self.days = taught_on(now.astimezone(ZoneInfo(ZONE)).date())
        self.admin = Api(port, admin)
        self.people: dict[str, str] = {}
        self.team: dict[str, Api] = {}
        self.course = ""
        self.submission = ""
        self.part_version: int | None = None
        self.starts: dict[int, datetime] = {}
        self.sections: list[Section] = []

    @property
    def chapters(self) -> tuple[Callable[[], str], ...]:
        """Return the chapters in their order; the first line of each one's docstring is its title."""
        return (
            self.set_up,
            self.plan,
            self.import_attendees,
            self.import_again,
            self.first_morning,
            self.remaining_sessions,
            self.seal,
            self.amend,
            self.decide,
            self.certify,
            self.draft_submission,
            self.send_submission,
            self.correct_late,
            self.activate,
            self.supplement,
            self.finish,
            self.show,
        )

    # The chapters.

    def set_up(self) -> str:
        """People get their roles and tokens."""
        founded = self.admin.get("/v1/institution")
        registrar = self._join("registrar")
        self.admin.post(
            "/v1/institution/registrations",
            {"body": "SA", "external_id": "REA-DEMO-1", "valid_from": _day(self.days[0], -400)},
        )
        for who in TEAM:
            if who != "registrar":
                self.people[who] = registrar.post("/v1/people", _named(TEAM[who]))["id"]
                self.team[who] = self._token(who)
        for who, role in (("lead", "lead"), ("co_trainer", "candidate")):
            registrar.post("/v1/trainers", {"person": self.people[who]})
            registrar.post(
                f"/v1/trainers/{self.people[who]}/authorisations",
                {
                    "body": "SA",
                    "code": "CSPO",
                    "role": role,
                    "valid_from": _day(self.days[0], -300),
                    "evidence": f"SA trainer directory, {role}",
                },
            )
        denied = self.team["auditor"].refused(403, "/v1/people", _named(WALK_IN))
        return (
            f"{founded['name']} is registered with the Scrum Alliance; two registrars, a lead, a candidate and an "
            f"auditor. The auditor tried to write: {denied['code']}."
        )

    def plan(self) -> str:
        """The course is drafted, scheduled, staffed, opened and listed."""
        registrar, drafted = self.team["registrar"], self._then(-42)
        said = {
            "title": "Certified Scrum Product Owner, Zürich",
            "body": "SA",
            "code": "CSPO",
            "format": "in_person",
            "language": "de",
            "first_day": self.days[0].isoformat(),
            "at": drafted,
        }
        key = uuid4().hex
        made = registrar.post("/v1/courses", said, key=key)
        self.course = made["id"]
        # The answer was lost on the way, so the same is sent again.
        again = registrar.command("/v1/courses", said, key=key)
        if again.said["id"] != made["id"] or again.headers.get("Idempotent-Replayed") != "true":
            raise Unexpected("POST /v1/courses under the same Idempotency-Key made a second course.")
        sessions = [
            {"day": day.isoformat(), "start": start, "end": end, "contact_minutes": CONTACT_MINUTES, "place": "Zürich"}
            for day in self.days
            for start, end in HALF_DAYS
        ]
        self._course("schedule", {"sessions": sessions, "at": drafted})
        self._course("trainers", {"person": self.people["lead"], "role": "lead", "at": drafted})
        self._course("trainers", {"person": self.people["co_trainer"], "role": "co_trainer", "at": drafted})
        self._course("open", {"capacity": {"limit": CAPACITY}, "minimum": 4, "at": self._then(-41)})
        self._course(
            "listing",
            {
                "body": "SA",
                "external_id": "SA-DEMO-77",
                "address": "https://body.example/courses/sa-demo-77",
                "at": self._then(-40),
            },
        )
        shown = registrar.get(self._path())
        self.starts = {each["number"]: datetime.fromisoformat(each["starts"]) for each in shown["sessions"]}
        return (
            f"{len(shown['sessions'])} half-days from {shown['first_day']} to {shown['last_day']}, "
            f"{shown['contact_minutes']} contact minutes by the rules of {shown['policy_version']}, {CAPACITY} seats."
        )

    def import_attendees(self) -> str:
        """The ticket shop's attendee report is looked at, and confirmed."""
        content = sample()
        dry = self._stage(content)
        self._show_dry_run("Dry run of the attendee file", dry)
        done = self._confirm(dry, {}, self._then(-12))
        self._must(done["outcome"] == "imported", "the file was to enrol people")
        again = self._stage(content)
        nothing = self._confirm(again, {}, self._then(-12))
        self._must(nothing["outcome"] == "unchanged", "the same file again was to change nothing")
        return (
            f"{dry['counts']['rows']} rows, {len(done['ids'])} enrolled, {dry['counts']['left_out']} left out, "
            f"{dry['counts']['problems']} remarked on; the same file again: {nothing['outcome']}."
        )

    def import_again(self) -> str:
        """A newer export comes with a refund and a corrected name."""
        dry = self._stage(newer_export(sample()))
        self._show_dry_run("Dry run of the newer export", dry)
        wanted = {"refund": "withdraw", "name": "correction"}
        answers = {
            question["id"]: wanted[question["about"]]
            for row in dry["rows"]
            for question in row["questions"]
            if question["about"] in wanted
        }
        self._must(len(answers) == len(wanted), "the newer export was to ask about a refund and a name")
        done = self._confirm(dry, answers, self._then(-5))
        self._course("confirm", {"at": self._then(-4)})
        return f"One withdrawn, one name corrected ({done['outcome']}); the course will run."

    def first_morning(self) -> str:
        """The first morning: a walk-in, two devices, a batch sent twice, a disagreement."""
        lead, began = self.team["lead"], self.starts[1]
        walk_in = str(uuid4())
        lead.post(
            self._path("walk-ins"),
            {"person": walk_in, "session": 1, **_named(WALK_IN), "at": _iso(began + timedelta(minutes=4))},
        )
        roster = lead.get(self._path("roster"))["items"]
        people = [line["person"] for line in roster]
        half, disputed = len(people) // 2, self._person("Lewandowicz")
        phone, tablet = str(uuid4()), str(uuid4())
        first = [
            self._mark(person, 1, minute=6, device=phone, seq=seq)
            for seq, person in enumerate([*people[:half], disputed] if disputed not in people[:half] else people[:half])
        ]
        second = [
            self._mark(person, 1, minute=8, device=tablet, seq=seq)
            for seq, person in enumerate(each for each in people[half:] if each != disputed)
        ]
        second.append(self._mark(disputed, 1, "absent", minute=3, device=tablet, seq=len(second)))
        outcomes = [self._send("lead", 1, first), self._send("co_trainer", 1, second)]
        # The phone had no answer, and sends its marks once more.
        repeated = self._send("lead", 1, first)
        self._must(set(repeated) == {"duplicate"}, "marks sent again were to be known")
        self._must(outcomes[1].count("conflict") == 1, "the two devices were to disagree on one learner")
        self._hold(1)
        sealing = lead.refused(409, self._register(1, "seal"), {"attestation": "Everybody is marked."})
        lead.post(
            self._register(1, f"conflicts/{disputed}/resolve"),
            {
                "mark": next(mark["mark"] for mark in first if mark["person"] == disputed),
                "reason": "seen_arriving",
                "note": "He was at the coffee machine when the tablet was passed round.",
                "at": _iso(began + timedelta(minutes=40)),
            },
        )
        self.team["registrar"].post(
            f"/v1/enrolments/{self._enrolment(walk_in)}/confirm-walk-in", {"at": _iso(began + timedelta(hours=2))}
        )
        self._take_names(began + timedelta(minutes=50))
        return (
            f"{len(first) + len(second)} marks from two devices, {len(repeated)} of them sent twice and known; "
            f"sealing was refused ({sealing['code']}) until the lead chose between two."
        )

    def remaining_sessions(self) -> str:
        """The other half-days: everybody present, except some."""
        lead = self.team["lead"]
        excepted: dict[int, list[tuple[str, str, dict[str, int]]]] = {
            2: [("Nguyễn", "absent", {})],
            3: [("Eze-Placeholder", "late", {"late_minutes": 45}), ("Suryani", "late", {"late_minutes": 5})],
            4: [("d'Exemplo", "absent", {}), (TURKISH, "left_early", {"left_early_minutes": 10})],
        }
        count = 0
        for session, exceptions in excepted.items():
            said = {
                "except": [
                    self._mark(self._person(name), session, status, minute=50, **more)
                    for name, status, more in exceptions
                ],
                "at": _iso(self.starts[session] + timedelta(minutes=60)),
            }
            results = lead.post(self._register(session, "mark-all-present"), said)["results"]
            self._must(all(each["outcome"] == "applied" for each in results), "all marks were to stand")
            count += len(results)
            self._hold(session)
        self._course("deliver", {"at": self._evening()})
        return f"{count} more marks; all sessions are on record as held, and the course as delivered."

    def seal(self) -> str:
        """The lead seals the registers, and a second person countersigns."""
        for session in SESSIONS:
            self.team["lead"].post(
                self._register(session, "seal"),
                {"attestation": "I led this session and saw who was there.", "at": self._evening()},
            )
        own = self.team["lead"].refused(403, self._register(1, "countersign"), {"sealed_version": 1})
        for session in SESSIONS:
            self.team["registrar"].post(
                self._register(session, "countersign"), {"sealed_version": 1, "at": self._evening(10)}
            )
        return f"{len(SESSIONS)} registers sealed and countersigned; the lead could not countersign ({own['code']})."

    def amend(self) -> str:
        """A sealed register is amended, by two."""
        person = self._person("Nguyễn")
        asked = self.team["lead"].post(
            self._register(2, "amendments"),
            {
                "mark": self._mark(person, 2, minute=30, evidence="signed sheet 2"),
                "reason": "marked_by_mistake",
                "note": "She sat in the back row; her signature is on the sheet.",
                "at": self._evening(20),
            },
        )
        number = asked["ids"][0]
        self.team["registrar"].post(self._register(2, f"amendments/{number}/approve"), {"at": self._evening(30)})
        register = self.team["auditor"].get(self._register(2))
        versions = len(register["sealed_versions"])
        self._must(versions == 2, "the register was to have two sealed versions")
        return (
            f"Session 2 is sealed in version {register['sealed_version']} now; all {versions} versions stay readable."
        )

    def decide(self) -> str:
        """The lead attests participation, and decides on completion."""
        lead = self.team["lead"]
        lead.post(self._path("completion/attest-participation"), {"at": self._evening(40)})
        before = lead.ask("GET", self._path("completion"), expected=(200,))
        late = self._enrolment(self._person("Eze-Placeholder"))
        lead.post(
            self._path("completion/decide-as-proposed"),
            {"except": [late], "position": int(before.headers["X-Position"]), "at": self._evening(50)},
        )
        unexplained = lead.refused(409, f"/v1/enrolments/{late}/completion", {"completed": True})
        lead.post(
            f"/v1/enrolments/{late}/completion",
            {
                "completed": True,
                "reason": "made_up_in_breaks",
                "note": "Went through the missed exercise with me over lunch.",
                "at": self._evening(55),
            },
        )
        items = lead.get(self._path("completion"))["items"]
        completed = sum(bool(each["completed"]) for each in items)
        return (
            f"{completed} completed, {len(items) - completed} did not; one of them otherwise than proposed, which "
            f"needed a reason ({unexplained['code']})."
        )

    def certify(self) -> str:
        """Attendance certificates are issued for the class."""
        done = self.team["registrar"].post(self._path("certificates/issue"))
        numbers = done["ids"]
        return f"{len(numbers)} certificates, {numbers[0]} to {numbers[-1]}, without a gap."

    def draft_submission(self) -> str:
        """The submission is drafted, and its lines are validated."""
        registrar = self.team["registrar"]
        made = registrar.command(self._path("submission"))
        self.submission = made.said["id"]
        self.part_version = made.said["version"]
        checked = self._submission("parts/1/validate")
        self._must(checked["outcome"] == "blocked" and len(checked["ids"]) == 2, "two lines were to be blocked")
        blocked = [line for line in self._shown_submission()["items"] if line["problems"]]
        self.sections.append(
            Section(
                "Lines that the body would not take",
                ("line", "given", "family", "problems"),
                [
                    {**line, "problems": [f"{each['field']}: {each['code']}" for each in line["problems"]]}
                    for line in blocked
                ],
            )
        )
        single, greek = self._line("Suryani"), self._line("Παραδειγματάκη")
        self._submission(
            f"lines/{single}/exclude",
            {"reason": "other", "note": "Has one name. Asked how the body shall know her; goes into a later part."},
        )
        self._correct("Παραδειγματάκη", "latin_form_given", latin=LATIN_LATER)
        self._submission(f"lines/{greek}/remake")
        valid = self._submission("parts/1/validate")
        self._must(valid["outcome"] == "valid", "no line was to have a problem any more")
        return (
            f"{len(blocked)} lines were blocked: one was left out with a reason, one made again with the name in "
            "Latin letters; then all were valid."
        )

    def send_submission(self) -> str:
        """Another person approves the part; it is exported and sent, and the body answers."""
        own = self.team["registrar"].refused(403, f"/v1/submissions/{self.submission}/parts/1/approve")
        self._submission("parts/1/approve", by="second")
        self._submission("parts/1/export")
        self._submission("parts/1/sent", {"reference": "upload 1"})
        rejected = self._line("Lewandowicz")
        lines = self._lines(1, {rejected})
        self._submission("loaded", {"lines": lines})
        done = self._submission(
            "parts/1/accepted-except",
            {
                "exceptions": [{"line": rejected, "outcome": "rejected", "code": "EMAIL_INVALID"}],
                "source": "body_page",
            },
        )
        return (
            f"Its drafter could not approve it ({own['code']}); {len(done['ids']) - 1} lines accepted, one rejected "
            "with EMAIL_INVALID."
        )

    def correct_late(self) -> str:
        """A name turns out to be wrong after it was sent."""
        before = self._number("Eze-Placeholder")
        line = self._line("Eze-Placeholder")
        self._correct("Eze-Placeholder", "typing_error", family=LATE_SPELT)
        shown = self._shown_submission()
        self._must(shown["do_not_activate"], "the view was to say not to activate the line")
        self.sections.append(Section("Do not activate", lines=shown["why"]))
        discrepancies = self._discrepancies()
        done = self.team["registrar"].post(f"/v1/certificates/{before}/supersede", {"reason": "name_corrected"})
        for each in self._discrepancies():
            if each["line"] == line:
                self._resolve(each, "corrected_at_body", "Corrected by hand on the course's page.")
            else:
                self._resolve(each, "stands", "Only the Latin form was added, which the certificate does not bear.")
        self._must(not self._discrepancies(), "no discrepancy was to be left")
        self._must(not self._shown_submission()["do_not_activate"], "the line was to be free for activation again")
        return (
            f"{len(discrepancies)} discrepancies: the certificate {before} was superseded by {done['ids'][0]}, the "
            "line corrected at the body."
        )

    def activate(self) -> str:
        """Lines are selected, paid and activated, and licences are accepted."""
        lines = [each["line"] for each in self._shown_submission()["items"] if each["state"] == "loaded"]
        self._activate(lines, "R-1001")
        seen = {"on": _day(self.days[1], 1), "source": "body_page"}
        first, second = lines[:2]
        self._submission(f"lines/{second}/observe", {"what": "welcome_mail_resent", **seen, "source": "learner"})
        self._submission(f"lines/{first}/observe", {"what": "account_activated", **seen})
        self._submission(f"lines/{first}/observe", {"what": "licence_accepted", "agreement_version": "2026-02", **seen})
        dates = {"valid_from": _day(self.days[1], 1), "valid_until": _day(self.days[1], 731)}
        self._submission(f"lines/{first}/observe", {"what": "credential_dates", **dates, **seen})
        self._submission(f"lines/{first}/observe", {"what": "member_id", "member_id": "000451870", **seen})
        return f"{len(lines)} lines activated; a licence accepted, with the dates of its credential."

    def supplement(self) -> str:
        """Corrected lines go out in a supplementary part."""
        registrar = self.team["registrar"]
        rejected, single = self._person("Lewandowicz"), self._person("Suryani")
        registrar.post(f"/v1/people/{rejected}/body-email", {"body": "SA", "email": NEW_EMAIL, "source": "person"})
        self._correct("Suryani", "latin_form_given", latin=AT_BODY)
        sent_before = self._enrolment(self._person(SPELT))
        twice = registrar.refused(409, f"/v1/submissions/{self.submission}/parts", {"enrolments": [sent_before]})
        enrolments = [self._enrolment(each) for each in (rejected, single)]
        part = registrar.command(
            f"/v1/submissions/{self.submission}/parts", {"enrolments": enrolments}, version=self.part_version
        ).said
        number = part["ids"][0]
        self.part_version = part["version"]
        self._submission(f"parts/{number}/validate")
        self._submission(f"parts/{number}/approve", by="second")
        self._submission(f"parts/{number}/export")
        self._submission(f"parts/{number}/sent", {"reference": "upload 2"})
        lines = self._lines(int(number), set())
        self._submission("loaded", {"lines": lines})
        self._activate(lines, "R-1002")
        self._submission(f"parts/{number}/accepted-except", {"source": "body_page"})
        return f"{len(lines)} more lines accepted; an accepted one could not be sent again ({twice['code']})."

    def finish(self) -> str:
        """The submission is completed, and the course closed."""
        self._submission("complete")
        for each in self._discrepancies():
            self._resolve(each, "stands", "Only the Latin form was added, which the certificate does not bear.")
        self._course("close")
        stage = self.team["auditor"].get(self._path())["stage"]
        self._must(stage == "closed", "the course was to be closed")
        return "Nothing is outstanding."

    def show(self) -> str:
        """The auditor reads what there is now."""
        auditor = self.team["auditor"]
        roster = auditor.get(self._path("roster"))["items"]
        self.sections.append(
            Section(
                "Roster",
                ("family", "given", "source", *(f"session {number}" for number in SESSIONS), "participation"),
                [{**line, **_marks_of(line)} for line in roster],
            )
        )
        completion = auditor.get(self._path("completion"))
        self.sections.append(
            Section(
                f"Completion (up to {completion['tolerance_minutes']} minutes of a half-day may be missed)",
                ("family", "given", "proposed", "unmet", "completed", "deviates", "reason", "missed"),
                [
                    {
                        **each,
                        "reason": (each["decision"] or {}).get("reason"),
                        "missed": [half["missed_minutes"] for half in each["because"]["half_days"]],
                    }
                    for each in completion["items"]
                ],
            )
        )
        shown = self._shown_submission()
        self.sections.append(
            Section(
                f"Submission to {shown['body']}: {shown['stage']}, due on {shown['due_on']}"
                f"{', overdue' if shown['overdue'] else ''}",
                ("part", "line", "given", "family", "email", "state", "outcome", "code", "seen"),
                [{**each, "seen": [seen["what"] for seen in each["observations"]]} for each in shown["items"]],
            )
        )
        for part in shown["parts"]:
            self._show_file(part)
        certificates = auditor.get(self._path("certificates"))
        self.sections.append(Section("Certificates", ("number", "state", "certificate_name", "replaces"), certificates))
        self._show_history()
        return "An auditor reads everything, as of now or of any moment before."

    # What a chapter is made of.

    def _join(self, who: str) -> Api:
        """Let the first of the team in: there is no registrar yet, so the administrator is one for a moment."""
        me = self.admin.get("/v1/access")[0]["person"]
        self.admin.post(f"/v1/access/{me}/grant", {"role": "registrar", "reason": "until_there_is_one"})
        issued = self.admin.post(f"/v1/access/{me}/tokens", {"roles": ["registrar"]})
        first = Api(self.port, issued["token"])
        self.people[who] = first.post("/v1/people", _named(TEAM[who]))["id"]
        self.team[who] = self._token(who)
        self.admin.post(f"/v1/access/{me}/withdraw", {"role": "registrar", "reason": "there_is_one"})
        return self.team[who]

    def _token(self, who: str) -> Api:
        person, role = self.people[who], ROLES[who]
        self.admin.post(f"/v1/access/{person}/grant", {"role": role})
        issued = self.admin.post(f"/v1/access/{person}/tokens", {"roles": [role], "label": "demonstration"})
        return Api(self.port, issued["token"])

    def _course(self, verb: str, said: Mapping[str, Any] | None = None) -> Any:
        return self.team["registrar"].post(self._path(verb), said)

    def _submission(self, verb: str, said: Mapping[str, Any] | None = None, *, by: str = "registrar") -> Any:
        """Carry out a command on the very version of the submission that was seen last."""
        path = f"/v1/submissions/{self.submission}/{verb}"
        done = self.team[by].command(path, said, version=self.part_version).said
        self.part_version = done["version"]
        return done

    def _resolve(self, discrepancy: Mapping[str, Any], resolution: str, note: str) -> None:
        """Say what came of a discrepancy, at the line or at the certificate that it is about."""
        moved = {name: discrepancy[name] for name in ("stream", "version", "aspect")}
        said = {**moved, "resolution": resolution, "reason": "name_corrected", "note": note}
        if discrepancy["number"] is None:
            self._submission("discrepancies/resolve", {"line": discrepancy["line"], **said})
        else:
            self.team["registrar"].post(f"/v1/certificates/{discrepancy['number']}/discrepancies/resolve", said)

    def _activate(self, lines: Sequence[int], receipt: str) -> None:
        self._submission("selected", {"lines": lines})
        amount = {"amount": f"{25 * len(lines)}.00", "currency": "USD", "receipt": receipt}
        self._submission("paid", {"lines": lines, **amount})
        self._submission("activated", {"lines": lines})

    def _stage(self, content: bytes) -> Any:
        return self.team["registrar"].upload(self._path("imports"), content)

    def _confirm(self, dry: Mapping[str, Any], answers: Mapping[str, str], at: str) -> Any:
        said = {"plan": dry["plan"], "answers": answers, "at": at}
        return self.team["registrar"].post(self._path(f"imports/{dry['id']}/confirm"), said)

    def _send(self, who: str, session: int, marks: Sequence[Mapping[str, Any]]) -> list[str]:
        """Send marks from a device that was offline until now, and return what became of each."""
        said = {"sent_at": _iso(datetime.now(self.now.tzinfo)), "marks": marks}
        results = self.team[who].post(self._register(session, "marks"), said)["results"]
        if refused := [each for each in results if each["outcome"] == "rejected"]:
            raise Unexpected(f"POST {self._register(session, 'marks')} rejected a mark: {refused[0]['message']}")
        return [each["outcome"] for each in results]

    def _mark(self, person: str, session: int, status: str = "present", *, minute: int, **more: Any) -> dict[str, Any]:
        marked_at = _iso(self.starts[session] + timedelta(minutes=minute))
        return {"mark": str(uuid4()), "person": person, "status": status, "marked_at": marked_at, **more}

    def _hold(self, session: int) -> None:
        after = self.starts[session] + timedelta(hours=4)
        self.team["lead"].post(self._path(f"sessions/{session}/held"), {"at": _iso(after)})

    def _take_names(self, moment: datetime) -> None:
        """Let the learners read their names, and write them in Latin letters where a body reads no others."""
        for family, latin in LATIN.items():
            self._correct(family, "latin_form_given", latin=latin, at=_iso(moment))
        registrar = self.team["registrar"]
        for line in registrar.get(self._path("roster"))["items"]:
            version = registrar.get(f"/v1/people/{line['person']}")["names_version"]
            registrar.post(
                f"/v1/people/{line['person']}/names-confirmed",
                {"confirmed_by": "person", "names_version": version, "at": _iso(moment + timedelta(minutes=5))},
            )

    def _correct(
        self,
        known_as: str,
        reason: str,
        *,
        family: str | None = None,
        latin: tuple[str, str] | None = None,
        at: str | None = None,
    ) -> None:
        """Correct a family name, or add the Latin form that the person gives; the other names stay as they are."""
        registrar, person = self.team["registrar"], self._person(known_as)
        held = registrar.get(f"/v1/people/{person}")
        names = {name: held[name] for name in ("given", "family", "certificate_name") if held[name] is not None}
        if family is not None:
            names["family"] = family
        if latin is not None:
            names["latin_given"], names["latin_family"] = latin
        when = {} if at is None else {"at": at}
        registrar.post(f"/v1/people/{person}/name-corrections", {**names, "reason": reason, **when})

    def _roster(self) -> Iterable[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = self.team["registrar"].get(self._path("roster"))["items"]
        return items

    def _person(self, family: str) -> str:
        return self._found(family, "family", self._roster(), "person")

    def _enrolment(self, person: str) -> str:
        return self._found(person, "person", self._roster(), "enrolment")

    def _line(self, family: str) -> int:
        """Return the line of somebody in the submission, by what they are called on the roster."""
        lines = self._shown_submission()["items"]
        return int(self._found(self._person(family), "person", lines, "line"))

    def _number(self, family: str) -> str:
        certificates = self.team["registrar"].get(self._path("certificates"))
        return self._found(self._person(family), "person", certificates, "number")

    def _found(self, value: str, name: str, rows: Iterable[Mapping[str, Any]], wanted: str) -> str:
        for row in rows:
            if row[name] == value:
                return str(row[wanted])
        raise Unexpected(f"Nobody with the {name} {value!r} was found where the story needs them.")

    def _lines(self, part: int, without: set[int]) -> list[int]:
        lines = next(each["lines"] for each in self._shown_submission()["parts"] if each["part"] == part)
        return [line for line in lines if line not in without]

    def _shown_submission(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.team["auditor"].get(self._path("submission"))
        return shown

    def _discrepancies(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.team["auditor"].get(f"/v1/discrepancies?course={self.course}&state=open")
        return found

    def _show_dry_run(self, title: str, dry: Mapping[str, Any]) -> None:
        counts = [
            f"{number} {name.removesuffix('s') if number == 1 and name in MANY else name.replace('_', ' ')}"
            for name, number in dry["counts"].items()
            if number
        ]
        problems = [
            f"Row {each['row']}{', ' + each['column'] if each['column'] else ''}: {each['message']}"
            for each in dry["problems"]
        ]
        questions = [
            f"Row {row['row']} asks: {question['text']} ({' / '.join(each['value'] for each in question['options'])})"
            for row in dry["rows"]
            for question in row["questions"]
        ]
        self.sections.append(Section(title, lines=[", ".join(counts), *problems, *questions]))

    def _show_file(self, part: Mapping[str, Any]) -> None:
        file = self.team["auditor"].file(f"/v1/submissions/{self.submission}/parts/{part['part']}/file")
        digest = hashlib.sha256(file.content).hexdigest()
        self._must(digest == part["sha256"], "the file was to be the one that was exported")
        self.sections.append(
            Section(
                f"The submission file, part {part['part']}",
                lines=[*file.content.decode(part["encoding"]).splitlines(), f"SHA-256 {digest}"],
            )
        )

    def _show_history(self) -> None:
        person = self._person(LATE_SPELT)
        told = self.team["auditor"].get(f"/v1/history?subject={person}&order=oldest&limit=200")
        self.sections.append(
            Section(
                "A stretch of the history: all that concerns one learner (times in UTC)",
                lines=[
                    f"{each['position']:>5}  {each['at'][:16].replace('T', ' ')}  {each['sentence']}" for each in told
                ],
            )
        )

    def _path(self, rest: str = "") -> str:
        return f"/v1/courses/{self.course}{'/' + rest if rest else ''}"

    def _register(self, session: int, rest: str = "") -> str:
        return self._path(f"sessions/{session}/register{'/' + rest if rest else ''}")

    def _then(self, days: int) -> str:
        """Return the time so many days before or after the course began."""
        return _iso((self.starts.get(1) or _morning(self.days[0])) + timedelta(days=days))

    def _evening(self, minutes: int = 0) -> str:
        """Return a time on the evening of the last day."""
        return _iso(self.starts[SESSIONS[-1]] + timedelta(hours=4, minutes=10 + minutes))

    def _must(self, true: bool, what: str) -> None:
        if not true:
            raise Unexpected(f"All requests were answered, but {what}.")


def sample() -> bytes:
    """Return the attendee report that comes with the program."""
    return (files("provider") / "samples" / "eventbrite-cspo.csv").read_bytes()


def newer_export(content: bytes) -> bytes:
    """Return the report as the shop exports it later: one ticket was refunded, and one name put right."""
    lines = content.decode("utf-8-sig").splitlines(keepends=True)
    refunded = [line.replace("Attending", "Refunded") if ",Owen," in line else line for line in lines]
    return "".join(refunded).replace(MISSPELT, SPELT).encode("utf-8-sig")


def _named(said: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("given", "family", "email"), said, strict=True))


def _marks_of(line: Mapping[str, Any]) -> dict[str, str]:
    """Return how somebody attended each session, with the minutes missed."""
    said = {}
    for number in SESSIONS:
        mark = line["marks"].get(str(number))
        missed = 0 if mark is None else mark["late"] + mark["left"]
        said[f"session {number}"] = "" if mark is None else f"{mark['status']}{f' {missed} min' if missed else ''}"
    return said


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _day(day: date, days: int) -> str:
    return (day + timedelta(days=days)).isoformat()


def _morning(day: date) -> datetime:
    return datetime.fromisoformat(f"{day.isoformat()}T09:00").replace(tzinfo=ZoneInfo(ZONE))
