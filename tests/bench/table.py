#!/usr/bin/env python3
"""Prints the medians of pushload's JSON lines as a table: table.py FILE..."""

import statistics
import sys

import figures


def has_crowd(report):
    return report["order"]["crowd"] > 0


# Heading, where the value stands, how it is written, and for which reports it means something.
ALWAYS = lambda report: True
COLUMNS = (
    ("deliveries/s", "deliveries_per_s", "{:,.0f}", lambda r: r["preset"] not in ("idle", "storm")),
    ("CPU µs each", "server.cpu_us_per_delivery", "{:.2f}",
     lambda r: r["server"]["processes"] and r["preset"] not in ("idle", "storm") and not has_crowd(r)),
    ("publishes/s", "publishes_per_s", "{:,.0f}", lambda r: r["preset"] in ("publish", "rooms", "custom")),
    ("answer p99 µs", "answer_us.p99", "{:,.0f}", lambda r: r["preset"] == "publish"),
    ("p50 µs", "latency_us.p50", "{:,.0f}", ALWAYS),
    ("p99 µs", "latency_us.p99", "{:,.0f}", ALWAYS),
    ("max µs", "latency_us.max", "{:,.0f}", ALWAYS),
    ("p99 before", "latency_before_us.p99", "{:,.0f}", has_crowd),
    ("crowd/s", "crowd_connects_per_s", "{:,.0f}", lambda r: r["preset"] == "arrive"),
    ("grown B", "server.grown_bytes", "{:,.0f}", lambda r: r["server"]["processes"] and r["preset"] == "slow"),
    ("connects/s", "connects_per_s", "{:,.0f}", lambda r: r["preset"] in ("idle", "storm")),
    ("CPU µs/connect", "server.cpu_us_per_connect", "{:.0f}",
     lambda r: r["server"]["processes"] and r["preset"] in ("idle", "storm")),
    ("B/conn", "server.bytes_per_connection", "{:,.0f}",
     lambda r: r["server"]["processes"] and r["preset"] == "idle"),
    ("after", "server.bytes_per_connection_end", "{:,.0f}",
     lambda r: r["server"]["processes"] and r["preset"] == "idle"),
    ("msgs/read", "deliveries_per_read", "{:.1f}", lambda r: not has_crowd(r)),
    ("tool cores", "tool_cores", "{:.2f}", ALWAYS),
    ("others", "others_cores", "{:.2f}", lambda r: r["server"]["processes"] and not has_crowd(r)),
    ("faults", "faults", "{:.0f}", ALWAYS),
)


def cell(reports, path, form, applies):
    if not applies(reports[0]):
        return "–"
    values = [figures.at(path)(report) for report in reports]
    if path == "faults":
        return form.format(sum(values))
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / abs(middle) * 100 if middle and len(values) > 1 else 0
    # A spread is worth a word where figures are compared.
    shows_spread = spread >= 1 and path.startswith(("deliveries_per_s", "server.cpu", "latency_us.p"))
    return form.format(middle) + (" (%.0f %%)" % spread if shows_spread else "")


def main():
    groups = figures.by_scenario(figures.read(sys.argv[1:])[1])
    rows = [["scenario"] + [heading for heading, *_ in COLUMNS]]
    for preset, servers in groups.items():
        for (label, transport), reports in servers.items():
            rows.append([" ".join(filter(None, (preset, label, transport)))] +
                        [cell(reports, *column) for _, *column in COLUMNS])
    # A column that says nothing in any row is left out.
    kept = [i for i in range(len(rows[0])) if i == 0 or any(row[i] != "–" for row in rows[1:])]
    widths = [max(len(row[i]) for row in rows) for i in kept]
    for number, row in enumerate(rows):
        cells = [row[i].ljust(width) if i == 0 else row[i].rjust(width) for i, width in zip(kept, widths)]
        print("| " + " | ".join(cells) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":"
                                 for i, width in zip(kept, widths)) + "|")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main()
