"""Figures for Prometheus. Labels are few and fixed: no system names, no ids, nothing that came with a call."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from governance.intake import Taken


class Metrics:
    """The counters of this process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "governance_http_requests", "Requests to the API.", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "governance_http_seconds",
            "Time to answer, in seconds.",
            ["route"],
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 1, 5, 30),
            registry=self.registry,
        )
        self._items = Counter(
            "governance_received_items", "Spans and log events received.", ["kind", "outcome"], registry=self.registry
        )
        self._calls = Counter("governance_recorded_calls", "Calls committed.", ["outcome"], registry=self.registry)
        for outcome in ("new", "repeated", "conflict"):
            self._calls.labels(outcome)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the route's template, never the address with its ids."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def received(self, signal: str, taken: Taken) -> None:
        self._items.labels(signal, "taken").inc(taken.items)
        self._items.labels(signal, "rejected").inc(taken.rejected)
        self._calls.labels("new").inc(taken.new)
        self._calls.labels("repeated").inc(taken.repeated)
        self._calls.labels("conflict").inc(taken.conflicts)
