"""Where the file of a store is; that of the views is where a link leads that is named for their versions."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from provider.settings import Settings
from provider.views import place_of_views


def file_of(settings: Settings, store: str) -> Path:
    """Return the database file of `events`, `views`, `vault`, `keys` or `desk`, where it is in a file."""
    return cast(Path, place_of_views(settings)).resolve() if store == "views" else settings.store(store)
