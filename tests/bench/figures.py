"""What is worth comparing in each scenario, and how pushload's lines are read and summed up.

The table of `compare` and the chart are both made from FIGURES: a figure more is a row more, here.
"""

import collections
import json
import statistics

# `value` takes a report and returns a number; `more`: whether more is better.
Figure = collections.namedtuple("Figure", "preset title unit value more")

TRANSPORTS = {"ws": "WebSocket", "sse": "SSE", "tls-ws": "WebSocket and TLS", "tls-sse": "SSE and TLS", "h2-sse": "SSE by HTTP/2",
              "h2c-sse": "SSE by HTTP/2 without TLS", "redis": "Redis"}


def at(path):
    """Where a value stands in a report: "server.cores"."""
    def value(report):
        for name in path.split("."):
            report = report[name]
        return report
    return value


CPU = at("server.cpu_us_per_delivery")

FIGURES = (
    Figure("idle", "Memory of an idle client", "bytes", at("server.bytes_per_connection"), False),
    Figure("idle", "Memory of an idle client after a message to all", "bytes",
           at("server.bytes_per_connection_end"), False),
    Figure("broadcast", "Broadcast to 1,000", "deliveries/s", at("deliveries_per_s"), True),
    Figure("broadcast", "Broadcast to 1,000", "CPU µs a delivery", CPU, False),
    Figure("single", "Broadcast to 1,000, one at a time", "CPU µs a delivery", CPU, False),
    Figure("burst", "Broadcast to 1,000, ten at a time", "CPU µs a delivery", CPU, False),
    Figure("paced", "50,000 deliveries a second", "CPU µs a delivery", CPU, False),
    Figure("rooms", "10,000 rooms of one", "deliveries/s", at("deliveries_per_s"), True),
    Figure("rooms", "10,000 rooms of one", "CPU µs a delivery", CPU, False),
    Figure("publish", "64 publishers", "publishes/s", at("publishes_per_s"), True),
    Figure("publish", "64 publishers", "p99 of an answer, µs", at("answer_us.p99"), False),
    Figure("latency", "500 messages a second in 100 rooms", "p50, µs", at("latency_us.p50"), False),
    Figure("latency", "500 messages a second in 100 rooms", "p99, µs", at("latency_us.p99"), False),
    Figure("storm", "10,000 connect", "connections/s", at("connects_per_s"), True),
    Figure("storm", "10,000 connect", "CPU µs a connection", at("server.cpu_us_per_connect"), False),
    Figure("leave", "Others, when a crowd leaves", "p99, µs", at("latency_us.p99"), False),
    Figure("arrive", "Others, while a crowd arrives", "p99, µs", at("latency_us.p99"), False),
    Figure("slow", "Memory grown while a client stalls", "bytes", at("server.grown_bytes"), False),
)


def is_measured(figure, report):
    """Whether there is anything behind it: a server's processes may be unknown, and nothing may have arrived."""
    if "CPU" in figure.unit or figure.unit == "bytes":
        return bool(report["server"]["processes"])
    return figure.value(report) > 0


def read(names):
    """Returns the heading (machine.py's, {} if there is none) and the reports of these files."""
    heading, reports = {}, []
    for name in names:
        with open(name, encoding="utf-8") as file:
            for line in filter(str.strip, file):
                entry = json.loads(line)
                if "preset" in entry:
                    reports.append(entry)
                else:
                    heading = entry
    return heading, reports


def by_scenario(reports):
    """{preset: {(label, transport): [report...]}}, each in the order of first appearance."""
    groups = {}
    for report in reports:
        servers = groups.setdefault(report["preset"], {})
        servers.setdefault((report["label"], report["transport"]), []).append(report)
    return groups


def median(figure, reports):
    """Returns (median, least, most), or None where the figure means nothing."""
    values = [figure.value(report) for report in reports if is_measured(figure, report)]
    return (statistics.median(values), min(values), max(values)) if values else None


def ratio(figure, ours, theirs):
    """Push's figure by the other's in the same round: (median, lowest, highest) over the rounds, None without any."""
    found = [figure.value(mine) / figure.value(other) for mine, other in zip(ours, theirs)
             if is_measured(figure, mine) and is_measured(figure, other) and figure.value(other) > 0]
    return (statistics.median(found), min(found), max(found)) if found else None


def standing(figure, spread):
    """-1 where Push is behind in every round, 1 where it is ahead in every round, else 0: level."""
    _, low, high = spread
    if not figure.more:
        low, high = 1 / high if high > 0 else 1, 1 / low if low > 0 else 1
    return 1 if low > 1 else -1 if high < 1 else 0


def with_spread(spread):
    """0.45 (0.38 to 0.52), or one number where they are all the same."""
    middle, low, high = map(number, spread)
    return middle if low == high else "%s (%s to %s)" % (middle, low, high)


def number(value):
    """Three digits that count, and no more; two of what is small."""
    if 0 < abs(value) < 0.1:
        return "{:#.2g}".format(value)
    if abs(value) >= 100:
        return "{:,.0f}".format(value)
    return "{:.1f}".format(value) if abs(value) >= 10 else "{:.2f}".format(value)
