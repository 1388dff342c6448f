"""Faults that are made on purpose, and the proof that no promise was broken: `python -m tests.faults --help`."""
