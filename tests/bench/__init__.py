"""Figures of speed, each beside its floor in the same run: `make bench`."""
