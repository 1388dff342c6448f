"""What a request has at hand: the office that this process serves, and a connection to its views."""

from __future__ import annotations

from flask import current_app, g, request

from projections.projection import Reading
from provider.keys import Key
from provider.office import Office


def office() -> Office:
    """Return the back office that this process serves."""
    here: Office = current_app.extensions["office"]
    return here


def reading() -> Reading:
    """Return this request's connection to the views; all of its queries see one state."""
    held: Reading | None = g.get("reading")
    if held is None or not held.begun:
        # A command of this request may have used it in between.
        held = g.reading = office().views.lend()
    return held


def read_no_more() -> None:
    """Let go of this request's connection to the views, should it have one; what is read later sees a later state.

    Commands do so by themselves.
    """
    g.pop("reading", None)
    office().views.let_go()


def header(name: str) -> str | None:
    """Return a header of the request, by the name that it has in the environment, such as `HTTP_IF_MATCH`.

    The library's own way makes an error of each one that is absent, which takes longer than to look.
    """
    said: str | None = request.environ.get(name)
    return said


def own_key() -> Key:
    """Return the institution's key.

    It seals cursors: nobody can make one up, so a list may trust the kinds of its parts. And it makes the fingerprints
    of requests, from which nobody else can tell what was in them.
    """
    here = office()
    return here.keys.of_many([here.institution], create=True)[here.institution]


__all__ = ["header", "office", "own_key", "read_no_more", "reading"]
