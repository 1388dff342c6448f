"""The versions of the keys' tables."""
