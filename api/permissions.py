"""Which role may do what."""

from __future__ import annotations

from domain.access import Role

READS = frozenset(
    {
        "access:read",
        "certificates:read",
        "completion:read",
        "courses:read",
        "credentials:read",
        "discrepancies:read",
        "enrolments:read",
        "history:read",
        "imports:read",
        "institution:read",
        "people:read",
        "registers:read",
        "roster:read",
        "submissions:read",
        "trainers:read",
    }
)
"""Every way of looking; an auditor has all of them and nothing else."""

TRAINER_READS = READS - {"access:read", "history:read", "imports:read", "people:read", "discrepancies:read"}
"""A trainer looks at their own courses only; what belongs to no course stays closed."""

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.REGISTRAR: READS
    | {
        "certificates:write",
        "courses:write",
        "discrepancies:write",
        "enrolments:write",
        "imports:write",
        "marks:write",
        "people:write",
        "registers:amend",
        "registers:countersign",
        "sessions:write",
        "submissions:write",
        "trainers:write",
        "walk_ins:write",
    },
    Role.TRAINER: TRAINER_READS
    | {
        "completion:decide",
        "marks:write",
        "registers:amend",
        "registers:seal",
        "sessions:write",
        "walk_ins:write",
    },
    Role.AUDITOR: READS,
    Role.ADMIN: frozenset({"access:read", "access:write", "institution:read", "institution:write", "credentials:read"}),
}
"""What each role may do. Authority in the matter itself (who is the lead on that date) is the domain's to judge."""

OF_A_ROLE: dict[str, tuple[Role, ...]] = {
    permission: tuple(role for role in Role if permission in PERMISSIONS[role])
    for permission in sorted(frozenset().union(*PERMISSIONS.values()))
}
"""The roles that hold each permission, for the API's documentation and for the words of a refusal."""


def allowed(roles: frozenset[Role]) -> frozenset[str]:
    """Return what these roles may do together."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))
