"""Prometheus metrics from the desk's views: counts and bytes only, no names of cameras, officers or clips."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.core.bay import Advice
from agent.core.clip import Custody
from agent.core.custody import JsonValue
from agent.ports import JsonObject

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
EMPTY = "empty"
"""The label of a bay that has no advice."""


def metrics_text(station: JsonObject, bays: list[JsonObject], health: JsonObject) -> bytes:
    """Write the metrics. A number that a view does not hold is left out rather than shown as zero."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Views(station, bays, health))
    return generate_latest(registry)


class _Views(Collector):
    """Reads the metrics out of one set of views."""

    def __init__(self, station: JsonObject, bays: list[JsonObject], health: JsonObject) -> None:
        self._station, self._bays, self._health = station, bays, health

    def collect(self) -> Iterable[Metric]:
        station, totals, spool = self._station, _part(self._station, "totals"), _part(self._station, "spool")
        info = GaugeMetricFamily("dock_info", "The agent's version; always 1", labels=["version"])
        info.add_metric([str(station.get("version", "unknown"))], 1)
        yield info
        yield from _gauge("dock_healthy", "1 when nothing asks for a person", self._health.get("ok"))
        problems = self._health.get("problems")
        yield from _gauge("dock_problems", "Things a person should look at", _length(problems))
        yield from _gauge("dock_trial", "1 when a store on this machine may confirm", station.get("trial"))
        draining = station.get("drain") is not None
        yield from _gauge("dock_draining", "1 when a person lets it come to rest for a restart", draining)
        yield from _gauge("dock_wiping_enabled", "1 when cameras may be cleared", station.get("wiping"))
        yield from _gauge("dock_uploads_running", "Uploads that run now", station.get("uploading"))
        limit = _limit_bytes_s(station)
        yield from _gauge("dock_upload_limit_bytes_per_second", "What all stores together may be sent now", limit)
        yield from self._of_bays()
        yield from _of_clips(_part(totals, "clips"))
        yield from _gauge("dock_clips_wiped", "Clips whose camera copy was destroyed", totals.get("wiped"))
        yield from _gauge("dock_spool_objects", "Objects in the spool", totals.get("spool_objects"))
        yield from _gauge("dock_spool_bytes", "Bytes in the spool", totals.get("spool_bytes"))
        yield from _gauge("dock_spool_free_bytes", "Free bytes on the spool's disk", spool.get("free_bytes"))
        yield from _gauge("dock_spool_reserve_bytes", "Bytes that stay free", spool.get("reserve_bytes"))
        yield from _of_stores(station.get("stores"))

    def _of_bays(self) -> Iterable[Metric]:
        counts = dict.fromkeys([*map(str, Advice), EMPTY], 0)
        for bay in self._bays:
            advice = str(bay.get("advice") or EMPTY)
            counts[advice] = counts.get(advice, 0) + 1
        family = GaugeMetricFamily("dock_bays", "Bays by what they say", labels=["advice"])
        for advice, count in counts.items():
            family.add_metric([advice], count)
        yield family
        yield from _gauge("dock_bays_seized", "Bays with a seized camera", _count(self._bays, "seized"))
        yield from _gauge("dock_bays_with_problem", "Bays that report a problem", _count(self._bays, "problem"))


def _of_clips(states: Mapping[str, JsonValue]) -> Iterable[Metric]:
    clips = GaugeMetricFamily("dock_clips", "Clips by custody", labels=["state"])
    size = GaugeMetricFamily("dock_clip_bytes", "Bytes of clips by custody", labels=["state"])
    for state in Custody:
        shown = _part(states, state)
        clips.add_metric([state], _number(shown.get("clips")) or 0)
        size.add_metric([state], _number(shown.get("bytes")) or 0)
    yield clips
    yield size


def _of_stores(stores: JsonValue) -> Iterable[Metric]:
    up = GaugeMetricFamily("dock_store_up", "1 when the last try with a store went well", labels=["store"])
    failures = GaugeMetricFamily("dock_store_failures", "Failed tries in a row", labels=["store"])
    limits = GaugeMetricFamily("dock_store_upload_limit_bytes_per_second", "A store's own limit now", labels=["store"])
    meaning = "What is sent at the most to leave the line to others"
    yielding = GaugeMetricFamily("dock_store_upload_yield_bytes_per_second", meaning, labels=["store"])
    for store in stores if isinstance(stores, list) else []:
        if isinstance(store, dict):
            name = str(store.get("name"))
            up.add_metric([name], _number(store.get("ok")) or 0)
            failures.add_metric([name], _number(store.get("failures")) or 0)
            slowed = _limit_bytes_s(store, "yielding")
            if slowed is not None:
                yielding.add_metric([name], slowed)
            limit = _limit_bytes_s(store)
            if limit is not None:
                limits.add_metric([name], limit)
    yield up
    yield failures
    yield limits
    yield yielding


def _limit_bytes_s(view: Mapping[str, JsonValue], key: str = "bandwidth") -> float | None:
    """A limit in a view; None where there is none."""
    bits_s = _number(_part(view, key).get("limit_bits_s"))
    return None if bits_s is None else bits_s / 8


def _gauge(name: str, meaning: str, value: JsonValue) -> Iterable[Metric]:
    number = _number(value)
    if number is not None:
        yield GaugeMetricFamily(name, meaning, value=number)


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, bool | int | float) else None


def _part(value: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _length(value: JsonValue) -> int | None:
    return len(value) if isinstance(value, list) else None


def _count(bays: list[JsonObject], key: str) -> int:
    return sum(1 for bay in bays if bay.get(key))
