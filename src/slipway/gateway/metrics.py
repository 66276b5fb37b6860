"""What the gateway counts. Plain numbers owned by the event loop; prometheus-client is imported when first scraped.

Model names become labels only once they are known to exist, so that no client can grow the table.
"""

import os
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.deployment import Phase
from slipway.gateway.exchange import Exchange

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

_PROMPT = re.compile(rb'"prompt_tokens":\s*(\d+)')
_COMPLETION = re.compile(rb'"completion_tokens":\s*(\d+)')


class Times:
    """A histogram of seconds."""

    __slots__ = ("counts", "total_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        seen, rows = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            seen += count
            rows.append((bound, float(seen)))
        return rows


class Series:
    """The numbers of one route and model."""

    __slots__ = ("completion_tokens", "duration", "first_byte", "prompt_tokens", "sent_bytes", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.duration = Times()
        self.first_byte = Times()
        self.sent_bytes = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def count_tokens(self, body: bytes) -> None:
        """Add the usage an engine reported at the end of its answer, if it did.

        Text of the answer cannot be taken for it: a quotation mark inside a JSON string is escaped.
        """
        at = body.rfind(b'"usage":')
        if at < 0:
            return
        prompt, completion = _PROMPT.search(body, at), _COMPLETION.search(body, at)
        self.prompt_tokens += int(prompt[1]) if prompt else 0
        self.completion_tokens += int(completion[1]) if completion else 0


class Metrics:
    """All counts of one gateway. ``phases`` tells the phase of each deployment at the moment of a scrape."""

    def __init__(self, phases: Callable[[], Iterable[Phase]]) -> None:
        self._phases = phases
        self._series: dict[tuple[str, str], Series] = {}
        self._registry: CollectorRegistry | None = None
        self.in_flight = 0

    def series(self, route: str, model: str) -> Series:
        found = self._series.get((route, model))
        if found is None:
            found = self._series[route, model] = Series()
        return found

    def record(self, exchange: Exchange) -> None:
        """Count an exchange that is over. A client that left before an answer counts as 499."""
        series = self.series(exchange.route, exchange.model)
        series.statuses[exchange.status or 499] += 1
        series.duration.add(time.perf_counter() - exchange.started_at)
        series.sent_bytes += exchange.sent_bytes
        if exchange.begun_at:
            series.first_byte.add(exchange.begun_at - exchange.started_at)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        from prometheus_client import CollectorRegistry, generate_latest  # lazy: 20 ms and 1.5 MB, for a scrape only

        if self._registry is None:
            self._registry = CollectorRegistry()
            self._registry.register(self)
        return generate_latest(self._registry)

    def collect(self) -> "Iterator[Metric]":
        """prometheus-client's own interface of a collector."""
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()

    def _counters(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily

        requests = CounterMetricFamily(
            "slipway_requests", "Requests answered; 499: the client left", labels=("route", "model", "status")
        )
        sent = CounterMetricFamily("slipway_sent_bytes", "Response bytes sent", labels=("route", "model"))
        tokens = CounterMetricFamily("slipway_tokens", "Tokens, as engines reported them", labels=("model", "kind"))
        spent: Counter[tuple[str, str]] = Counter()
        for (route, model), series in self._series.items():
            sent.add_metric((route, model), series.sent_bytes)
            spent[model, "prompt"] += series.prompt_tokens
            spent[model, "completion"] += series.completion_tokens
            for status, count in series.statuses.items():
                requests.add_metric((route, model, str(status)), count)
        for labels, count in spent.items():
            if labels[0]:
                tokens.add_metric(labels, count)
        yield from (requests, sent, tokens)

    def _histograms(self) -> "Iterator[Metric]":
        from prometheus_client.core import HistogramMetricFamily

        whole = HistogramMetricFamily("slipway_request_seconds", "To the last byte sent", labels=("route", "model"))
        first = HistogramMetricFamily("slipway_first_byte_seconds", "To the first byte sent", labels=("route", "model"))
        for labels, series in self._series.items():
            whole.add_metric(labels, buckets=series.duration.cumulative(), sum_value=series.duration.total_s)
            first.add_metric(labels, buckets=series.first_byte.cumulative(), sum_value=series.first_byte.total_s)
        yield from (whole, first)

    def _gauges(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        phases = Counter(self._phases())
        deployments = GaugeMetricFamily("slipway_deployments", "Deployments by phase", labels=("phase",))
        for phase in Phase:
            deployments.add_metric((str(phase),), phases[phase])
        yield deployments
        yield GaugeMetricFamily("slipway_requests_in_flight", "Requests not yet answered in full", value=self.in_flight)
        yield GaugeMetricFamily(
            "slipway_resident_memory_bytes", "Resident memory of the server", value=resident_bytes()
        )


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell through /proc."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
