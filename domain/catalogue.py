"""The credentials that the software knows from the start, each value with where it comes from.

A version begins on the day from which its text is known. What no official text confirms is named in
`unconfirmed` and is a default for the institution to override; None there means: not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from domain.credential import FORMATS, RULES, CredentialPolicy, Source

_OTHERS = " (not the body's own text)"

# Scrum Alliance
_HOW_TO_PAY = "How to Pay for Students, support.scrumalliance.org/hc/en-us/articles/34849459463195"
_BECOMING_CSPO = (
    "Becoming a Certified Scrum Product Owner, scrumalliance.org/get-certified/practitioners/"
    "cspo-certification/becoming-a-certified-scrum-product-owner"
)
_WORK_EXPERIENCE = "Work experience, support.scrumalliance.org/hc/en-us/articles/360037548712"
_EARN_ADVANCED = "Earn the A-CSM or A-CSPO, support.scrumalliance.org/hc/en-us/articles/115001680252"
_CSM_TEST = "CSM test, support.scrumalliance.org/hc/en-us/articles/208753776"
_SUBMIT_FOUNDATIONAL = (
    "CSPO or CSM course submission by CST, open since 15 May 2020, "
    "scrumalliance.smapply.io/prog/cspo_or_csm_course_submission_by_cst"
)
_SUBMIT_ADVANCED = (
    "A-CSM, A-CSPO, CSP-SM and CSP-PO course submission by CST, scrumalliance.smapply.io/prog/"
    "a-csm_a-cspo_csp-sm_and_csp-po_course_submission_by_cst"
)
_COURSE_REQUIREMENTS = (
    "Course Requirements for Scrum Alliance Trainers, updated 10 October 2024, "
    "support.scrumalliance.org/hc/en-us/articles/30703735676955"
)
_TRAINER_UPDATES = (
    "Trainer ethics and compliance updates, in force since 1 January 2025, "
    "support.scrumalliance.org/hc/en-us/articles/29984223383451"
)
_LICENCE_TERMS = (
    "Certification and licence terms and conditions, licence year 2025, "
    "www.scrumalliance.org/certification-and-license-terms-and-conditions"
)
_LICENCE_TERMS_2026 = (
    "Credential holder and member terms, licence year 2026, of 31 December 2025, "
    "www.scrumalliance.org/certification-and-license-terms-and-conditions"
)
_CSPO_MARK_RULES = (
    "Rules of certification mark 1659206 of Scrum Alliance, Inc., "
    "www.ipaustralia.gov.au/tools-resources/certification-rules/1659206"
)
_RENEWAL_TABLE = "Renewal requirements, certification.scrumalliance.org/renewal-requirements"
_RENEW = "Renew a certification, support.scrumalliance.org/hc/en-us/articles/360015777971"
_PRESENT_AND_ENGAGED = "Terms of service, winnowmanagement.com/terms-of-service" + _OTHERS
_FULLY_PARTICIPATING = "CSM exam information, www.brettpalmer.com/csm-exam-information" + _OTHERS
_FOURTEEN_HOURS_ONLINE = "Certified Scrum Master, zoctech.com/certified-scrum-master" + _OTHERS
_FIFTEEN_HOURS = "Frequently asked questions, rocketninesolutions.com/faqs" + _OTHERS
_OLDER_TEST = "CSM test with 35 questions, agile.conscires.com, scrumstudyguide.co" + _OTHERS
_CSP_EXPERIENCE = "Frequently asked questions, cspfastpass.com" + _OTHERS

# Scrum.org
_PROFESSIONAL_SCRUM = (
    "How do I get Professional Scrum certification, www.scrum.org/support/how-do-i-get-professional-scrum-certification"
)
_PSPO_EXAM = "PSPO I, www.thescrummaster.co.uk" + _OTHERS
_PSPO_SECOND_TRY = "PSPO I assessment: hints and tips, agility.im/pspo-i-assessment-hints-and-tips" + _OTHERS
_PSPO_NO_EXPIRY = "PSPO I, scrum-exams.info, shaunmarcellus.com" + _OTHERS
_PSPO_ATTENDEES = "Terms and conditions, bourksoftware.com/terms-conditions" + _OTHERS

# Project Management Institute
_ACP_REQUIREMENTS = "Certification process, knowledgemap.pm/ru/certifications/pba/certification-process" + _OTHERS
_ACP_OUTLINE = "PMI-ACP Examination Content Outline of November 2024, a copy at postjobfree.com" + _OTHERS
_ACP_UNTIL_2024 = "PMI-ACP requirements of 2018, globalknowledge.com, rmcls.com" + _OTHERS
_ACP_EXAM = "PMI-ACP exam, projectmanagementacademy.net" + _OTHERS
_ACP_PDUS = "PMI-ACP PDU requirements, blog.masterofproject.com/pmi-acp-pdu-requirements" + _OTHERS
_PDU_AUDIT = "Documents for a PDU audit, edward-designer.com/web/pdu-audit-documents" + _OTHERS

# Scaled Agile
_ROSTER = "How do I upload a roster, support.scaledagile.com/en/articles/9767927"
_MARK_ATTENDED = "Mark attended, support.scaledagile.com/en/articles/9767666"
_POPM_STUDY_GUIDE = "Exam study guide: POPM (5.1), support.scaledagile.com/en/articles/9791220"
_SAFE_FAQ = "Certification FAQs, www.scaledagile.com/certification-faqs"
_POPM_LATER = "SAFe POPM, olusholaoluyomi.com/cert-safe-popm" + _OTHERS
_SAFE_RETAKES = "SAFe exam requirements, www.enablers.co" + _OTHERS

# SCRUMstudy, Scrum Inc.
_SCRUMSTUDY = "Maintaining certification, webinar.scrumstudy.com/Certification/maintaining-certification"
_SCRUMSTUDY_RENEWAL = "SMC recertification, certnomics.com/course/smc-recertification" + _OTHERS
_SCRUM_INC = "Renewal, scrumincjapan.zendesk.com, article 21531059097623"

_UNDATED = date(2020, 1, 1)
"""The first day of rows without a date of their own; it is early enough for courses still open."""


def _sources(**references: str | tuple[str, ...]) -> tuple[Source, ...]:
    return tuple(
        Source(name, reference)
        for name, given in references.items()
        for reference in ((given,) if isinstance(given, str) else given)
    )


@dataclass(frozen=True)
class _Level:
    """What renewing a Scrum Alliance credential takes, by its level."""

    units: int
    add_on: int
    fee: str


_FOUNDATIONAL = _Level(20, 10, "USD 100")
_ADVANCED = _Level(30, 15, "USD 175")
_PROFESSIONAL = _Level(40, 20, "USD 250")


def _scrum_alliance(
    *,
    code: str,
    name: str,
    level: _Level,
    contact_minutes: int | None,
    scheduled_minutes: int | None,
    components: bool,
    exam: str | None,
    prerequisite: str | None,
    sources: tuple[Source, ...],
    unconfirmed: tuple[str, ...],
) -> tuple[CredentialPolicy, ...]:
    """Return the versions of a Scrum Alliance credential since the course requirements of 2024.

    `sources` and `unconfirmed` are those of the row; what all rows share is added here.
    """
    since_october_2024 = CredentialPolicy(
        body="SA",
        code=code,
        name=name,
        version="2024-10",
        valid_from=date(2024, 10, 10),
        valid_until=None,
        contact_minutes=contact_minutes,
        scheduled_minutes=scheduled_minutes,
        formats=FORMATS if components else ("in_person", "live_online"),
        max_span_months=3,
        exam=exam,
        attendance_rule="all_sessions_and_components" if components else "all_sessions",
        participation_required=True,
        prerequisite=prerequisite,
        validity_months=24,
        renewal_units=level.units,
        renewal_unit="SEU",
        renewal_add_on_units=level.add_on,
        renewal_fee=level.fee,
        student_fee=None,
        licence_required=True,
        submission_profile="sa_load",
        sources=sources
        + _sources(
            valid_from=_COURSE_REQUIREMENTS,
            formats=_COURSE_REQUIREMENTS,
            max_span_months=_COURSE_REQUIREMENTS,
            validity_months=_RENEW,
            renewal_units=_RENEWAL_TABLE,
            renewal_unit=(_RENEWAL_TABLE, _RENEW),
            renewal_add_on_units=_RENEWAL_TABLE,
            renewal_fee=_RENEWAL_TABLE,
            licence_required=_LICENCE_TERMS,
            submission_profile=_HOW_TO_PAY,
        ),
        # That students are loaded is official; the columns of the file are a guess.
        unconfirmed=(*unconfirmed, "student_fee", "submission_profile"),
    )
    # The text of the changes of 2025 could not be read; it speaks of "required student contact
    # time" and of nothing else that a policy holds.
    since_2025 = _next(
        since_october_2024,
        version="2025-01",
        valid_from=date(2025, 1, 1),
        sources=_sources(valid_from=_TRAINER_UPDATES, contact_minutes=_TRAINER_UPDATES),
        unconfirmed=("contact_minutes", "scheduled_minutes"),
    )
    # The terms of 2026 speak of membership fees, so that the table of renewals may have changed.
    since_2026 = _next(
        since_2025,
        version="2026-01",
        valid_from=date(2026, 1, 1),
        sources=_sources(valid_from=_LICENCE_TERMS_2026, licence_required=_LICENCE_TERMS_2026),
        unconfirmed=("renewal_units", "renewal_add_on_units", "renewal_fee"),
    )
    return _in_turn(since_october_2024, since_2025, since_2026)


def _next(
    policy: CredentialPolicy,
    *,
    version: str,
    valid_from: date,
    sources: tuple[Source, ...],
    unconfirmed: tuple[str, ...],
) -> CredentialPolicy:
    """Return the policy under newer texts, which come before the older ones."""
    older = tuple(each for each in policy.sources if each.field != "valid_from")
    return replace(
        policy,
        version=version,
        valid_from=valid_from,
        sources=sources + older,
        unconfirmed=tuple(dict.fromkeys((*policy.unconfirmed, *unconfirmed))),
    )


def _in_turn(*versions: CredentialPolicy) -> tuple[CredentialPolicy, ...]:
    """Let each version end on the day before the next begins."""
    ends = [following.valid_from - timedelta(days=1) for following in versions[1:]]
    return tuple(replace(version, valid_until=until) for version, until in zip(versions, [*ends, None], strict=True))


def _from_2020(versions: tuple[CredentialPolicy, ...]) -> tuple[CredentialPolicy, ...]:
    """Put the version before the requirements of 2024 in front: 16 hours, and little else dated."""
    first = versions[0]
    dated = ("valid_from", "formats", "max_span_months")
    before = replace(
        first,
        version="2020-05",
        valid_from=date(2020, 5, 15),
        max_span_months=None,
        sources=_sources(valid_from=_SUBMIT_FOUNDATIONAL)
        + tuple(each for each in first.sources if each.field not in dated),
        unconfirmed=(*first.unconfirmed, "formats", "max_span_months"),
    )
    if before.exam is not None:
        before = replace(
            before,
            sources=(*before.sources, Source("exam", _OLDER_TEST)),
            unconfirmed=(*before.unconfirmed, "exam"),
        )
    return _in_turn(before, *versions)


# Two days from 9 to 17 are 16 hours on the calendar and, without lunch, 14 of contact. The official
# text says 16 hours "of course instruction" and leaves open which it means.
_HOURS = {
    "contact_minutes": (_SUBMIT_FOUNDATIONAL, _FOURTEEN_HOURS_ONLINE, _FIFTEEN_HOURS),
    "scheduled_minutes": (_SUBMIT_FOUNDATIONAL,),
}

_CSM = _from_2020(
    _scrum_alliance(
        code="CSM",
        name="Certified ScrumMaster",
        level=_FOUNDATIONAL,
        contact_minutes=840,
        scheduled_minutes=960,
        components=False,
        exam="50 questions in 60 minutes, 37 right to pass; two attempts are free within 90 days "
        "of the welcome e-mail, then USD 25 each",
        prerequisite=None,
        sources=_sources(
            name=_CSM_TEST,
            exam=_CSM_TEST,
            attendance_rule=(_PRESENT_AND_ENGAGED, _FULLY_PARTICIPATING),
            participation_required=(_PRESENT_AND_ENGAGED, _FULLY_PARTICIPATING),
            **_HOURS,
        ),
        unconfirmed=(
            "contact_minutes",
            "scheduled_minutes",
            "attendance_rule",
            "participation_required",
            "prerequisite",
        ),
    )
)

_CSPO = _from_2020(
    _scrum_alliance(
        code="CSPO",
        name="Certified Scrum Product Owner",
        level=_FOUNDATIONAL,
        contact_minutes=840,
        scheduled_minutes=960,
        components=False,
        exam=None,
        prerequisite=None,
        sources=_sources(
            name=(_BECOMING_CSPO, _CSPO_MARK_RULES),
            exam=_BECOMING_CSPO,
            # The body asks for participation and completion; how much may be missed it doesn't say.
            attendance_rule=(_CSPO_MARK_RULES, _PRESENT_AND_ENGAGED, _FULLY_PARTICIPATING),
            participation_required=(_CSPO_MARK_RULES, _PRESENT_AND_ENGAGED),
            validity_months=_BECOMING_CSPO,
            licence_required=_BECOMING_CSPO,
            **_HOURS,
        ),
        unconfirmed=("contact_minutes", "scheduled_minutes", "attendance_rule", "prerequisite"),
    )
)

_CSD = _scrum_alliance(
    code="CSD",
    name="Certified Scrum Developer",
    level=_FOUNDATIONAL,
    contact_minutes=None,
    scheduled_minutes=None,
    components=False,
    exam="an assessment",
    prerequisite=None,
    sources=_sources(name=_RENEWAL_TABLE),
    unconfirmed=(
        "contact_minutes",
        "scheduled_minutes",
        "exam",
        "attendance_rule",
        "participation_required",
        "prerequisite",
    ),
)


def _advanced(code: str, name: str, *, after: str) -> tuple[CredentialPolicy, ...]:
    return _scrum_alliance(
        code=code,
        name=name,
        level=_ADVANCED,
        contact_minutes=960,
        scheduled_minutes=960,
        components=True,
        exam=None,
        prerequisite=f"{after}, active or expired, and 12 months of experience in the role within "
        "the last 5 years, before or after the course",
        sources=_sources(
            name=_EARN_ADVANCED,
            contact_minutes=_EARN_ADVANCED,
            scheduled_minutes=_EARN_ADVANCED,
            attendance_rule=_EARN_ADVANCED,
            prerequisite=(_EARN_ADVANCED, _WORK_EXPERIENCE),
        ),
        # "A minimum 16-hour course" leaves open whether breaks count.
        unconfirmed=("contact_minutes", "exam", "participation_required"),
    )


def _professional(code: str, name: str, *, after: str) -> tuple[CredentialPolicy, ...]:
    return _scrum_alliance(
        code=code,
        name=name,
        level=_PROFESSIONAL,
        contact_minutes=None,
        scheduled_minutes=None,
        components=True,
        exam=None,
        prerequisite=f"{after}, and 24 months of experience in the role",
        sources=_sources(name=_SUBMIT_ADVANCED, prerequisite=(_CSP_EXPERIENCE, _WORK_EXPERIENCE)),
        unconfirmed=(
            "contact_minutes",
            "scheduled_minutes",
            "exam",
            "attendance_rule",
            "participation_required",
            "prerequisite",
        ),
    )


_PSPO_I = CredentialPolicy(
    body="SCRUMORG",
    code="PSPO-I",
    name="Professional Scrum Product Owner I",
    version="2020-01",
    valid_from=_UNDATED,
    valid_until=None,
    contact_minutes=None,
    # The class is optional; where it is held it takes two days.
    scheduled_minutes=960,
    formats=("in_person", "live_online"),
    max_span_months=None,
    exam="80 questions in 60 minutes, 85 % to pass; a second attempt is free if the first is within "
    "14 days of the class",
    attendance_rule="institution",
    participation_required=False,
    prerequisite=None,
    validity_months=None,
    renewal_units=None,
    renewal_unit=None,
    renewal_fee=None,
    student_fee=None,
    licence_required=False,
    submission_profile="scrumorg",
    sources=_sources(
        name=_PROFESSIONAL_SCRUM,
        exam=(_PROFESSIONAL_SCRUM, _PSPO_EXAM, _PSPO_SECOND_TRY),
        attendance_rule=_PROFESSIONAL_SCRUM,
        participation_required=_PROFESSIONAL_SCRUM,
        prerequisite=_PROFESSIONAL_SCRUM,
        validity_months=_PSPO_NO_EXPIRY,
        renewal_units=_PSPO_NO_EXPIRY,
        renewal_unit=_PSPO_NO_EXPIRY,
        renewal_add_on_units=_PSPO_NO_EXPIRY,
        renewal_fee=_PSPO_NO_EXPIRY,
        submission_profile=_PSPO_ATTENDEES,
    ),
    # Of the exam only the 85 % are official.
    unconfirmed=(
        "valid_from",
        "contact_minutes",
        "scheduled_minutes",
        "formats",
        "max_span_months",
        "exam",
        "validity_months",
        "renewal_units",
        "renewal_unit",
        "renewal_add_on_units",
        "renewal_fee",
        "student_fee",
        "licence_required",
        "submission_profile",
    ),
)

_PMI_ACP_SINCE_2024 = CredentialPolicy(
    body="PMI",
    code="PMI-ACP",
    name="PMI Agile Certified Practitioner",
    version="2024-11",
    valid_from=date(2024, 11, 1),
    valid_until=None,
    contact_minutes=28 * 60,
    scheduled_minutes=None,
    formats=FORMATS,
    max_span_months=None,
    exam="120 questions in 180 minutes",
    attendance_rule="contact_hours",
    participation_required=False,
    prerequisite="24 months of agile experience within the last 5 years, or the PMP",
    validity_months=36,
    renewal_units=30,
    renewal_unit="PDU",
    renewal_fee="USD 60 for members, USD 150 for others",
    student_fee=None,
    licence_required=False,
    submission_profile="none",
    sources=_sources(
        name=_ACP_OUTLINE,
        valid_from=_ACP_OUTLINE,
        contact_minutes=(_ACP_REQUIREMENTS, _ACP_OUTLINE),
        exam=_ACP_EXAM,
        attendance_rule=_PDU_AUDIT,
        prerequisite=_ACP_REQUIREMENTS,
        validity_months=_ACP_PDUS,
        renewal_units=_ACP_PDUS,
        renewal_unit=_ACP_PDUS,
        renewal_fee=_ACP_PDUS,
        submission_profile=_PDU_AUDIT,
    ),
    # None of it was read at the body's own site.
    unconfirmed=RULES,
)

_PMI_ACP = _in_turn(
    replace(
        _PMI_ACP_SINCE_2024,
        version="2018-01",
        valid_from=date(2018, 1, 1),
        contact_minutes=21 * 60,
        prerequisite="2,000 hours on project teams and 1,500 hours on agile teams",
        sources=_sources(
            valid_from=_ACP_UNTIL_2024,
            contact_minutes=_ACP_UNTIL_2024,
            prerequisite=_ACP_UNTIL_2024,
        )
        + tuple(
            each
            for each in _PMI_ACP_SINCE_2024.sources
            if each.field not in ("valid_from", "contact_minutes", "prerequisite")
        ),
        unconfirmed=(*RULES, "valid_until"),
    ),
    _PMI_ACP_SINCE_2024,
)

_RETAKES = "within 30 days of being marked attended; each retake or later attempt USD 50, after no wait, 10 and 30 days"

_POPM_5_1 = CredentialPolicy(
    body="SAFE",
    code="POPM",
    name="SAFe Product Owner/Product Manager",
    version="2021-02",
    valid_from=date(2021, 2, 1),
    valid_until=None,
    contact_minutes=None,
    scheduled_minutes=960,
    formats=("in_person", "live_online"),
    max_span_months=None,
    exam=f"45 questions in 90 minutes, 33 right (73 %) to pass; {_RETAKES}",
    attendance_rule="marked_by_trainer",
    participation_required=False,
    prerequisite=None,
    validity_months=12,
    renewal_units=10,
    renewal_unit="hour",
    renewal_fee="USD 100",
    student_fee=None,
    licence_required=False,
    submission_profile="safe_roster",
    sources=_sources(
        name=_POPM_STUDY_GUIDE,
        formats=_ROSTER,
        exam=(_POPM_STUDY_GUIDE, _MARK_ATTENDED, _SAFE_RETAKES),
        attendance_rule=_MARK_ATTENDED,
        validity_months=_SAFE_FAQ,
        renewal_units=_SAFE_FAQ,
        renewal_unit=_SAFE_FAQ,
        renewal_fee=_POPM_LATER,
        submission_profile=_ROSTER,
    ),
    unconfirmed=(
        "valid_from",
        "contact_minutes",
        "scheduled_minutes",
        "formats",
        "max_span_months",
        "participation_required",
        "prerequisite",
        "renewal_add_on_units",
        "renewal_fee",
        "student_fee",
        "licence_required",
    ),
)

# The day on which the pass mark rose is not known, only that a later exam has it.
_POPM = _in_turn(
    replace(_POPM_5_1, unconfirmed=(*_POPM_5_1.unconfirmed, "valid_until")),
    replace(
        _POPM_5_1,
        version="2023-03",
        valid_from=date(2023, 3, 15),
        exam=f"45 questions in 90 minutes, 77 % to pass; {_RETAKES}",
        sources=_sources(exam=(_POPM_LATER, _MARK_ATTENDED, _SAFE_RETAKES))
        + tuple(each for each in _POPM_5_1.sources if each.field != "exam"),
        unconfirmed=(*_POPM_5_1.unconfirmed, "exam"),
    ),
)

_UNKNOWN = CredentialPolicy(
    body="OTHER",
    code="CPO",
    name="Certified Product Owner",
    version="2020-01",
    valid_from=_UNDATED,
    valid_until=None,
    contact_minutes=None,
    scheduled_minutes=None,
    formats=FORMATS,
    max_span_months=None,
    exam=None,
    attendance_rule="institution",
    participation_required=False,
    prerequisite=None,
    validity_months=None,
    renewal_units=None,
    renewal_unit=None,
    renewal_fee=None,
    student_fee=None,
    licence_required=False,
    submission_profile="custom",
    sources=(),
    unconfirmed=RULES,
)
"""A row of which nothing is settled; the institution says what holds."""


def _known(policy: CredentialPolicy, *confirmed: str) -> CredentialPolicy:
    """Take the named fields off the list of unconfirmed ones."""
    return replace(policy, unconfirmed=tuple(name for name in policy.unconfirmed if name not in confirmed))


_SPOC = _known(
    replace(
        _UNKNOWN,
        body="SCRUMSTUDY",
        code="SPOC",
        name="Scrum Product Owner Certified",
        exam="an exam",
        validity_months=36,
        renewal_units=40,
        renewal_unit="RCU",
        submission_profile="voucher",
        sources=_sources(
            exam=_SCRUMSTUDY_RENEWAL,
            validity_months=(_SCRUMSTUDY, _SCRUMSTUDY_RENEWAL),
            renewal_units=(_SCRUMSTUDY, _SCRUMSTUDY_RENEWAL),
            renewal_unit=(_SCRUMSTUDY, _SCRUMSTUDY_RENEWAL),
        ),
    ),
    "validity_months",
    "renewal_units",
    "renewal_unit",
)

_RPO = _known(
    replace(
        _UNKNOWN,
        body="SCRUMINC",
        code="RPO",
        name="Registered Product Owner",
        exam="every year; after a late renewal the new term counts from the old expiry",
        prerequisite="the class",
        validity_months=12,
        renewal_units=1,
        renewal_unit="exam",
        sources=_sources(
            exam=_SCRUM_INC,
            validity_months=_SCRUM_INC,
            renewal_units=_SCRUM_INC,
            renewal_unit=_SCRUM_INC,
        ),
    ),
    "exam",
    "validity_months",
    "renewal_units",
    "renewal_unit",
)

CATALOGUE: tuple[CredentialPolicy, ...] = (
    *_CSM,
    *_CSPO,
    *_CSD,
    *_advanced("A-CSM", "Advanced Certified ScrumMaster", after="CSM"),
    *_advanced("A-CSPO", "Advanced Certified Scrum Product Owner", after="CSPO"),
    *_professional("CSP-SM", "Certified Scrum Professional - ScrumMaster", after="A-CSM"),
    *_professional("CSP-PO", "Certified Scrum Professional - Product Owner", after="A-CSPO"),
    _PSPO_I,
    *_PMI_ACP,
    *_POPM,
    _SPOC,
    _RPO,
    _UNKNOWN,
)
"""Every version of every credential known, oldest first; an institution's overrides come before."""
