"""What can be set from outside: the `PROVIDER_*` variables, read once and checked all together."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from provider.schema import Place, Schema

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


class SettingsError(Exception):
    """Something is wrong with the environment; `problems` has a line for each thing that is.

    Each line says which variable, what is wrong with it and what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Setting(NamedTuple):
    """A line of `provider config`: the variable, its value as it may be shown, and its source."""

    variable: str
    value: str
    source: str


def _directory(text: str) -> Path:
    if "\0" in text:
        raise ValueError("holds a NUL character; give the path of a directory")
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"names {path}, which is not a directory; give a directory")
    return path


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if _HOST_NAME.fullmatch(text) and not text.replace(".", "").isdigit():
            return text
    raise ValueError(
        f"is {text!r}, which is no host; give an address or a name such as 127.0.0.1, and the port in PROVIDER_PORT"
    )


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"is {text!r}; give a whole number from {low} to {high}")

    return read


def _base_url(text: str) -> str:
    advice = "give the address that people type, such as https://training.example.org"
    try:
        url = urlsplit(text)
        # Asking for the port is what makes the library check it.
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound or any(sign.isspace() or not sign.isprintable() for sign in text):
        raise ValueError(f"is no web address; {advice}")
    if url.username is not None or url.query or url.fragment:
        raise ValueError(f"holds a user, a query or a fragment; {advice}")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    advice = "give an address such as postgresql://user:password@host:5432/database"
    # What is wrong is not quoted: there is a password in it.
    if text.count("@") > 1:
        raise ValueError("has more than one @; write a sign such as @ : / ? # in a password as %40 %3A %2F %3F %23")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        url = urlsplit(text)
        sound = url.scheme in ("postgresql", "postgres") and url.path not in ("", "/") and url.port != 0
        # Where the password ends is told by the last @ here, and by the first sign that may follow it there.
        sound = sound and "@" not in url.path + url.query and not url.fragment
        conninfo_to_dict(text)
    except (ValueError, ProgrammingError):
        sound = False
    if not sound or any(sign.isspace() or not sign.isprintable() for sign in text):
        raise ValueError(f"is no address of a PostgreSQL database; {advice}")
    # Whatever is set for a role or a database, names of all languages come through.
    said = [each for each in url.query.split("&") if each and not each.startswith("client_encoding=")]
    address = text.partition("://")[2].partition("?")[0]
    return f"postgresql://{address}?{'&'.join([*said, 'client_encoding=utf8'])}"


def _log_level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if text.upper() not in levels:
        raise ValueError(f"is {text!r}; give one of {', '.join(levels)}")
    return text.upper()


class _Variable(NamedTuple):
    name: str
    read: Callable[[str], Any]
    default: str | None = None


_VARIABLES = {
    "data": _Variable("PROVIDER_DATA", _directory, "./data"),
    "keys_dir": _Variable("PROVIDER_KEYS_DIR", _directory),
    "database_url": _Variable("PROVIDER_DATABASE_URL", _database_url),
    "keys_url": _Variable("PROVIDER_KEYS_URL", _database_url),
    "host": _Variable("PROVIDER_BIND", _host, "127.0.0.1"),
    "port": _Variable("PROVIDER_PORT", _whole(1, 65535), "8000"),
    "workers": _Variable("PROVIDER_WORKERS", _whole(1, 64), "4"),
    "threads": _Variable("PROVIDER_THREADS", _whole(1, 64), "4"),
    "base_url": _Variable("PROVIDER_BASE_URL", _base_url),
    "proxies": _Variable("PROVIDER_PROXIES", _whole(0, 8), "0"),
    "log_level": _Variable("PROVIDER_LOG_LEVEL", _log_level, "INFO"),
}


_SECRET = frozenset({"database_url", "keys_url"})
"""What is never shown: it holds a password, mostly."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is set from outside. Nothing else of the project reads the environment.

    `keys_dir` is a directory of its own, so that it can be backed up apart, for 30 days at most.
    With `database_url` all stores but the keys are schemas of that PostgreSQL database, and with
    `keys_url` the keys are in another. `base_url` has no slash at its end. `proxies` says how many
    proxies stand in front, each trusted to add one `X-Forwarded-*` value. `sources` says where a
    variable that was given came from: `environment`, or the path of a file.
    """

    data: Path
    keys_dir: Path
    database_url: str | None = field(default=None, repr=False)
    keys_url: str | None = field(default=None, repr=False)
    host: str
    port: int
    workers: int
    threads: int
    base_url: str
    proxies: int
    log_level: str
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check all of it; `PROVIDER_X_FILE` names a file that holds `PROVIDER_X`.

        Raises SettingsError, which names everything that is wrong at once.
        """
        problems = _unknown(environ)
        given, sources = _given(environ, problems)
        values: dict[str, Any] = {}
        for member, variable in _VARIABLES.items():
            text = given.get(variable.name, variable.default)
            if text is not None:
                try:
                    values[member] = variable.read(text)
                except ValueError as error:
                    problems.append(f"{variable.name} {error}.")
        if "data" in values:
            values.setdefault("keys_dir", values["data"] / "keys")
            if values["keys_dir"].resolve() == values["data"].resolve():
                problems.append(
                    "PROVIDER_KEYS_DIR is the data directory itself; give a directory of its own, "
                    "so that keys are not backed up together with what they open."
                )
        if values.get("keys_url") is not None and values.get("keys_url") == values.get("database_url"):
            problems.append(
                "PROVIDER_KEYS_URL is the database of everything else; give one of its own, "
                "so that keys are not backed up together with what they open."
            )
        if problems:
            raise SettingsError(problems)
        host = f"[{values['host']}]" if ":" in values["host"] else values["host"]
        values.setdefault("base_url", f"http://{host}:{values['port']}")
        return cls(**values, sources=sources)

    def place(self, name: str) -> Place:
        """Return where a store is: `events`, `views`, `vault`, `keys` or `desk`."""
        url = self.keys_url if name == "keys" else self.database_url
        return self.store(name) if url is None else Schema(url, name)

    def store(self, name: str) -> Path:
        """Return the database file of a store, where it is in a file."""
        return (self.keys_dir if name == "keys" else self.data) / f"{name}.sqlite"

    def describe(self) -> list[Setting]:
        """Return what is in force. A value that was given in a file is a secret, and masked."""
        lines = []
        for member, variable in _VARIABLES.items():
            source = self.sources.get(variable.name, "default")
            given = getattr(self, member)
            secret = source not in ("default", "environment") or (given is not None and member in _SECRET)
            value = "********" if secret else "" if given is None else str(given)
            lines.append(Setting(variable.name, value, source))
        return lines


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = [variable.name for variable in _VARIABLES.values()]
    problems = []
    for name in sorted(name for name in environ if name.startswith("PROVIDER_")):
        if name not in known and name.removesuffix("_FILE") not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "remove it."
            problems.append(f"{name} is not a setting; {advice}")
    return problems


def _given(environ: Mapping[str, str], problems: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    texts: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in (variable.name for variable in _VARIABLES.values()):
        text, file = environ.get(name), environ.get(f"{name}_FILE")
        if text is not None and file is not None:
            problems.append(f"{name} and {name}_FILE are both given; give one of them.")
            continue
        if file is not None:
            try:
                text = Path(file).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                problems.append(
                    f"{name}_FILE names {file!r}, which can't be read ({reason}); "
                    "give a text file that this user may read."
                )
                continue
        if text is None:
            continue
        # A file ends with a newline that nobody means.
        text = text.strip()
        if not text:
            problems.append(f"{name} is empty; give a value, or remove it for the default.")
            continue
        texts[name] = text
        sources[name] = file or "environment"
    return texts, sources
