"""What a PostgreSQL server must keep to, as far as can be asked of it, and what stands in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import psycopg


class Needed(NamedTuple):
    """A setting: which values it may have, which to give it, and what would happen otherwise."""

    may_be: frozenset[str]
    give: str
    otherwise: str


NEEDED = {
    "synchronous_commit": Needed(
        frozenset({"on", "remote_apply", "remote_write"}),
        "on",
        "an answer would be sent before its event is on the disk",
    ),
    "default_transaction_isolation": Needed(
        frozenset({"read committed"}),
        "read committed",
        "who waited for another would not see what that one has changed",
    ),
    "statement_timeout": Needed(frozenset({"0"}), "0", "views could not be made, which takes long"),
    "transaction_timeout": Needed(frozenset({"0"}), "0", "views could not be made, which takes long"),
    "idle_session_timeout": Needed(frozenset({"0"}), "0", "locks and notices would be lost with their connections"),
}
"""What whoever may log in can have set otherwise for a user or a database; the server's own default is right."""

DURABLE = {
    "fsync": "a power cut would lose what was acknowledged, or the whole database",
    "full_page_writes": "a power cut could tear pages of the database",
}
"""What is on unless somebody turned it off for the whole server, and what it means if they did."""


def fault(connection: psycopg.Connection[Any], url: str) -> str | None:
    """Return what forbids to work with a server, in a sentence that says what to do; None if nothing does."""
    found = connection.execute(
        "SELECT name, setting, source, current_user FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
        (list(NEEDED),),
    ).fetchall()
    database = connection.info.dbname
    for name, value, source, user in found:
        needed = NEEDED[name]
        if value not in needed.may_be:
            # What is said for a role in a database goes before all that is said for either, or for the server.
            mend = f'Say: ALTER ROLE "{user}" IN DATABASE "{database}" SET {name} = \'{needed.give}\'.'
            if source == "client":
                mend = "Take it out of the options in the address, or in PGOPTIONS."
            return (
                f"For the user “{user}” of the database “{database}”, {name} is “{value}”: {needed.otherwise}. {mend}"
            )
    if _is_shared_by_transactions(connection, url):
        return (
            "A pooler stands before the database that gives each transaction another connection. Locks and notices "
            "would be lost. Let it pool by session, or name the server itself."
        )
    return None


def risks(connection: psycopg.Connection[Any]) -> list[str]:
    """Return what somebody took upon themselves who set up the server, a sentence each."""
    found = connection.execute(
        "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off' ORDER BY name", (list(DURABLE),)
    ).fetchall()
    return [f"The database server runs with {name} = off: {DURABLE[name]}." for (name,) in found]


def _is_shared_by_transactions(connection: psycopg.Connection[Any], url: str) -> bool:
    """Say whether somebody else's transaction takes this connection's server away from it.

    A pooler gives out first what was given back last, so the process that just answered here is the one that a
    transaction gets which begins now.
    """
    import psycopg

    mine = connection.execute("SELECT pg_backend_pid()").fetchone()
    with psycopg.connect(url) as other:
        theirs = other.execute("SELECT pg_backend_pid()").fetchone()
        again = connection.execute("SELECT pg_backend_pid()").fetchone()
    return again != mine or theirs == mine
