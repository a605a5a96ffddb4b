"""What the payment service counts beside the core. Labels never carry ids."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from prometheus_client import CollectorRegistry, Gauge

from payment.cases import CaseKind


class CaseMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "groundswell_payment_open_cases",
            "Cases that wait for a person; every replica tells the same number",
            ["kind"],
            registry=registry,
        )

        self._differences = Gauge(
            "groundswell_payment_match_differences",
            "Of the last day that was matched with the provider",
            registry=registry,
        )
        self._day = Gauge(
            "groundswell_payment_match_day_timestamp_seconds",
            "When the last day began that was matched with the provider; it lags by two days at most",
            registry=registry,
        )

    def show_match(self, day: date, differences: int) -> None:
        self._day.set(datetime.combine(day, time(), UTC).timestamp())
        self._differences.set(differences)

    def show(self, found: Mapping[CaseKind, int]) -> None:
        for kind, cases in found.items():
            self._open.labels(kind.value).set(cases)
