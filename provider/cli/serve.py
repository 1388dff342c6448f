"""Serving the API."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from provider.cli import console


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen, in place of PROVIDER_BIND.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port, in place of PROVIDER_PORT.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes, in place of PROVIDER_WORKERS.")
@click.option("--threads", type=click.IntRange(1, 64), help="How many threads in each, in place of PROVIDER_THREADS.")
def command(host: str | None, port: int | None, workers: int | None, threads: int | None) -> None:
    """Serve the API with gunicorn, until Ctrl-C or SIGTERM.

    Requests under way are finished first. Logs are lines of JSON on stderr. It speaks plain HTTP: let a proxy do TLS,
    as docs/operations.md shows.
    """
    given = {"bind": host, "port": port, "workers": workers, "threads": threads}
    settings = console.settings(**given)
    address = f"[{settings.host}]" if ":" in settings.host else settings.host
    must_be_free(settings.host, settings.port)
    _open_once(**given)
    console.note(f"Serving on http://{address}:{settings.port}; the API is described at /docs. Ctrl-C ends it.")
    sys.stderr.flush()
    os.execve(  # noqa: S606
        sys.executable,
        [
            *(sys.executable, "-m", "gunicorn"),
            *("--config", "python:provider.server"),
            *("--bind", f"{address}:{settings.port}"),
            *("--workers", str(settings.workers)),
            *("--threads", str(settings.threads)),
            *("--log-level", settings.log_level.lower()),
            "wsgi:app",
        ],
        console.environment(**given),
    )


def _open_once(**given: object) -> None:
    """Bring tables and views up to date before there are workers, so that what is wrong is said once and clearly."""
    from provider.beforehand import look, risky

    settings = console.settings(**given)
    look(settings)
    for risk in risky(settings):
        console.note(f"Beware: {risk}")
    with console.bootstrapped(settings) as office:
        if not office.founded:
            called = sys.argv[0] if Path(sys.argv[0]).name == "provider" else "provider"
            where = office.settings.data if office.settings.database_url is None else "the database"
            console.note(
                f"There is no institution in {where} yet, so nobody can sign in. Found one in another "
                "terminal; the server need not start again:\n\n"
                f'  {called} init --name "Agile Academy" --zone Europe/Zurich \\\n'
                "    --given Ada --family Example --email ada@academy.example\n"
            )


def must_be_free(host: str, port: int) -> None:
    """Refuse a port on which somebody else listens.

    :raises OSError: which says where, and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror}; choose another port with --port or PROVIDER_PORT", f"{host}:{port}"
        ) from error
