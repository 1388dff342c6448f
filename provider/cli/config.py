"""What is set, and where it comes from."""

from __future__ import annotations

import click

from provider.cli import console


@click.command("config")
@console.as_json
def command(as_json: bool) -> None:
    """Show every setting that is in force, and where it comes from.

    A setting is an environment variable. PROVIDER_X_FILE names a file that holds PROVIDER_X; what comes from a file is
    taken for a secret and not shown. A PROVIDER_ variable that is none is an error.
    """
    console.listing(
        [setting._asdict() for setting in console.settings().describe()],
        ["variable", "value", "source"],
        as_json=as_json,
    )
