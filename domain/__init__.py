"""The rules of running certification courses, in plain Python."""
