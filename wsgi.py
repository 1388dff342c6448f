"""What gunicorn serves: the back office that the environment names, behind as many proxies as it says."""

from __future__ import annotations

import atexit
import logging
import os

from flask import g, has_request_context
from werkzeug.middleware.proxy_fix import ProxyFix

from api.app import create_app
from provider.bootstrap import bootstrap_when_it_can, destroy_what_expired
from provider.settings import Settings


def with_request_id(record: logging.LogRecord) -> bool:
    """Let a line that is logged in the course of a request say of which."""
    if not hasattr(record, "request_id") and has_request_context():
        record.request_id = g.get("request_id")
    return True


for handler in logging.getLogger().handlers:
    handler.addFilter(with_request_id)

settings = Settings.read(os.environ)
# gunicorn imports this in each worker, after the fork.
office = bootstrap_when_it_can(settings)
destroy_what_expired(office)
# Whoever closes a database last brings its journal home.
atexit.register(office.close)
app = create_app(office)
if settings.proxies:
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies
    )
