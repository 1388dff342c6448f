"""The floor to compare with: bare Flask routes, one with a durable insert and one that returns given bytes."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from flask import Flask, Response, request

FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
LOCAL = threading.local()

app = Flask("floor")


def prepare(folder: Path) -> None:
    """Make the table before any worker starts: to switch to WAL ignores the busy timeout."""
    made = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("CREATE TABLE IF NOT EXISTS marks (id INTEGER PRIMARY KEY, body BLOB)")
    made.close()


def connection() -> sqlite3.Connection:
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = sqlite3.connect(FOLDER / "floor.sqlite", isolation_level=None, timeout=10)
        LOCAL.connection.execute("PRAGMA synchronous=FULL")
    return LOCAL.connection


@app.post("/mark")
def mark() -> Response:
    connection().execute("INSERT INTO marks (body) VALUES (?)", (request.get_data(),))
    return Response(b'{"ok":true}', mimetype="application/json")


@app.post("/mark-postgres")
def mark_postgres() -> Response:
    import psycopg

    if not hasattr(LOCAL, "postgres"):
        LOCAL.postgres = psycopg.connect(os.environ["BENCH_POSTGRES"], autocommit=True)
    LOCAL.postgres.execute("INSERT INTO floor (body) VALUES (%s)", (request.get_data(),))
    return Response(b'{"ok":true}', mimetype="application/json")


BYTES = (FOLDER / "roster.json").read_bytes() if (FOLDER / "roster.json").exists() else b"{}"


@app.get("/roster")
def roster() -> Response:
    return Response(BYTES, mimetype="application/json")


@app.get("/livez")
def livez() -> Response:
    return Response(b"ok")
