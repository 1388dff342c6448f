"""What is counted of requests, and the whole of the figures as Prometheus reads them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from prometheus_client import Counter, Histogram, Metric, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily

from provider import figures
from provider.office import Office

LOGGER = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NONE, OTHER = "none", "other"
"""What stands for an address that is no route's, and for a method that somebody made up: neither may be a label."""

REQUESTS = Counter(
    "provider_http_requests",
    "Requests answered, by route, method and status.",
    ("route", "method", "status"),
    registry=figures.REGISTRY,
)
SECONDS = Histogram(
    "provider_http_request_duration_seconds",
    "Time from when a thread takes a request up until its answer is made, by route.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=figures.REGISTRY,
)

_found: dict[tuple[str | None, str, int], tuple[Counter, Histogram]] = {}


def count(rule: str | None, method: str, status: int, seconds: float) -> None:
    """Count an answered request; `rule` is that of its route, None where it was none's."""
    # To find the counters by their labels takes as long as to count.
    key = (rule, method if method in METHODS else OTHER, status)
    found = _found.get(key)
    if found is None:
        route = NONE if rule is None else template(rule)
        found = _found[key] = REQUESTS.labels(route, key[1], str(status)), SECONDS.labels(route)
    found[0].inc()
    found[1].observe(seconds)


def template(rule: str) -> str:
    """Return a route as the API's document writes it: `/v1/courses/{course_id}`."""
    return re.sub(r"<(?:[^:<>]+:)?([^:<>]+)>", r"{\1}", rule)


class Figures:
    """All figures as of now: what was counted, and how far log and views of an office are."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def collect(self) -> Iterator[Metric]:
        yield from figures.collected()
        try:
            # In this order, since the log may go on meanwhile.
            reached = self.office.views.position()
            end = self.office.log.position()
        except Exception:
            # What was counted is needed most when something is wrong.
            LOGGER.exception("the positions of log and views can't be read")
            return
        yield GaugeMetricFamily("provider_log_position", "The position of the last recorded event.", value=end)
        lag = GaugeMetricFamily(
            "provider_views_lag_events", "Events in the log that are not in a view yet.", labels=("projection",)
        )
        for projection in self.office.views.projections:
            # All views move on together, in one transaction. An alarm still has to say which names lag.
            lag.add_metric((projection.name,), end - reached)
        yield lag


def written(office: Office) -> bytes:
    """Return all figures in Prometheus' text format, version 0.0.4."""
    return generate_latest(Figures(office))


__all__ = ["METHODS", "NONE", "OTHER", "count", "template", "written"]
