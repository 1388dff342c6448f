"""Idempotency keys as the API makes them, with a secret that lasts for a run of the tests."""

from __future__ import annotations

import os
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from provider.keys import Key
from provider.log import IdempotencyKey

SECRET = Key(uuid4(), uuid4(), AESGCM(os.urandom(32)), os.urandom(32))


def key_of(principal: UUID, key: str, *request: bytes) -> IdempotencyKey:
    """Return what the API makes of an Idempotency-Key and the request that it came with."""
    return IdempotencyKey.of(principal, key, *request, secret=SECRET)
