"""A personal value, as an event may hold it."""

from __future__ import annotations


class Private(str):
    """A handle on a personal value: the salted commitment, as 43 characters of base64url.

    The value itself lies in the vault under its owner's key, and stops being readable when that key is destroyed.
    Aggregates keep handles and never compare the values behind them. Copying a name copies its commitment.
    """

    __slots__ = ()
