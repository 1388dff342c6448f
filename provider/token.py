"""API tokens: a prefix that secret scanners know, 190 random bits, and a checksum that finds typing errors."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "prv_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_SIGNS = 32
CHECK_SIGNS = 6
FORM = re.compile(f"{PREFIX}[0-9A-Za-z]{{{RANDOM_SIGNS + CHECK_SIGNS}}}")


def new_token() -> str:
    """Return a new token; it is shown once and never stored."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_SIGNS))
    return PREFIX + body + _check(body)


def digest(token: str) -> str:
    """Return what is stored of a token: its SHA-256. It has entropy enough to need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def has_the_form(text: str) -> bool:
    """Say whether the text is as long as a token and made of its signs."""
    return FORM.fullmatch(text) is not None


def looks_like_a_token(text: str) -> bool:
    """Say whether the text has a token's form and checksum, without asking the database."""
    return has_the_form(text) and text.endswith(_check(text[len(PREFIX) : -CHECK_SIGNS]))


def _check(body: str) -> str:
    number = zlib.crc32(body.encode())
    signs = ""
    for _ in range(CHECK_SIGNS):
        number, rest = divmod(number, len(ALPHABET))
        signs = ALPHABET[rest] + signs
    return signs
