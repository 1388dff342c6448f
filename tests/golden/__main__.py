"""Adds to the golden file what it lacks; lines that are there stay as they are, in their order."""

from __future__ import annotations

from tests.golden import golden, missing, write


def main() -> None:
    added = missing()
    if added:
        write(golden() + added)
    for line in added:
        print(f"added {line['topic']} version {line['class_version']}")
    print(f"{len(added)} lines added." if added else "Nothing is missing.")


if __name__ == "__main__":
    main()
