#!/usr/bin/env python3
"""Draws pushload's JSON lines as a bar chart: chart.py FILE... [--out CHART.svg] [--title TEXT]

One panel for each figure (figures.py), one bar for each server: the median, with a line from the least to the most
where there are several runs.  Each panel has its own scale from zero, since units differ.  The SVG follows the
reader's light or dark setting.  Without --out it goes to stdout.
"""

import argparse
import sys
import xml.sax.saxutils

import figures

WIDTH, MARGIN, COLUMNS = 880, 24, 2
PANEL_WIDTH = (WIDTH - MARGIN * (COLUMNS + 1)) // COLUMNS
BAR_HEIGHT, BAR_STEP = 14, 20
TITLE_HEIGHT, PANEL_HEAD, PANEL_GAP = 79, 40, 22
NUMBER_WIDTH, LETTER_WIDTH = 70, 6.6  # at 12 px

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 18px; font-weight: 600; } .head { font-size: 13px; font-weight: 600; }
  .faint { fill: #59636e; font-size: 11px; } .end { text-anchor: end; }
  .paper { fill: #ffffff; } .axis { stroke: #d1d9e0; } .range { stroke: #1f2328; stroke-opacity: .55; }
  .push { fill: #0969da; } .peer { fill: #a3acb6; } .floor { fill: none; stroke: #818b98; stroke-dasharray: 3 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .faint { fill: #9198a1; }
    .paper { fill: #0d1117; } .axis { stroke: #3d444d; } .range { stroke: #f0f6fc; stroke-opacity: .6; }
    .push { fill: #4493f8; } .peer { fill: #656c76; } .floor { fill: none; stroke: #9198a1; }
  }"""


def text(x, y, words, kind=""):
    return '<text x="%g" y="%g"%s>%s</text>' % (x, y, ' class="%s"' % kind if kind else "",
                                               xml.sax.saxutils.escape(words))


def name_of(server, has_transports):
    label, transport = server
    name = label or "server"
    return "%s, %s" % (name, figures.TRANSPORTS[transport]) if has_transports and transport != "redis" else name


def panels_of(reports):
    """[(figure, [(name, label, (median, least, most))...])...] of what can be drawn."""
    has_transports = len({report["transport"] for report in reports} - {"redis"}) > 1
    groups = figures.by_scenario(reports)
    panels = []
    for figure in figures.FIGURES:
        bars = [(name_of(server, has_transports), server[0], figures.median(figure, found))
                for server, found in groups.get(figure.preset, {}).items()]
        bars = [bar for bar in bars if bar[2]]
        if bars:
            panels.append((figure, bars))
    return panels


def draw_bar(x, y, length, bar, scale):
    name, label, (middle, least, most) = bar
    kind = label if label == "floor" else "push" if label == "Push" else "peer"
    width, center = max(middle * scale, 1), y + BAR_HEIGHT / 2
    parts = [text(x - 8, y + 11, name, "end"),
             '<rect x="%g" y="%g" width="%g" height="%d" rx="2" class="%s"/>' % (x, y, width, BAR_HEIGHT, kind)]
    if most > least:
        parts.append('<path d="M%g %gH%gM%g %gv6M%g %gv6" class="range"/>' % (
            x + max(least, 0) * scale, center, x + most * scale, x + max(least, 0) * scale, center - 3,
            x + most * scale, center - 3))
    parts.append(text(x + length + 8, y + 11, figures.number(middle)))
    return parts


def draw_panel(x, y, figure, bars, names_width):
    length = PANEL_WIDTH - names_width - NUMBER_WIDTH
    scale = length / (max(max(bar[2][2] for bar in bars), 0) or 1)
    left = x + names_width
    parts = [text(x, y + 13, figure.title, "head"),
             text(x, y + 29, "%s, %s is better" % (figure.unit, "more" if figure.more else "less"), "faint"),
             '<path d="M%g %gv%g" class="axis"/>' % (left, y + PANEL_HEAD - 4, BAR_STEP * len(bars) + 2)]
    for i, bar in enumerate(bars):
        parts += draw_bar(left, y + PANEL_HEAD + i * BAR_STEP, length, bar, scale)
    return parts


def draw(heading, reports, title):
    panels = panels_of(reports)
    names_width = 16 + LETTER_WIDTH * max((len(bar[0]) for _, bars in panels for bar in bars), default=0)
    parts, y = [], MARGIN + TITLE_HEIGHT
    for row in range(0, len(panels), COLUMNS):
        for column, (figure, bars) in enumerate(panels[row:row + COLUMNS]):
            parts += draw_panel(MARGIN + column * (PANEL_WIDTH + MARGIN), y, figure, bars, names_width)
        y += PANEL_HEAD + PANEL_GAP + BAR_STEP * max(len(bars) for _, bars in panels[row:row + COLUMNS])
    versions = ", ".join(" ".join(filter(None, item)) for item in heading.get("versions", {}).items())
    rounds = sorted({len(found) for servers in figures.by_scenario(reports).values() for found in servers.values()})
    subtitle, spread = ", ".join(filter(None, (heading.get("date"), versions))), ""
    if rounds and rounds[-1] > 1:
        spread = "Medians of %s rounds; the thin line runs from the lowest to the highest" % (
            " to ".join(map(str, dict.fromkeys((rounds[0], rounds[-1])))))
    summary = "; ".join("%s, %s: %s" % (figure.title, figure.unit, ", ".join(
        "%s %s" % (bar[0], figures.number(bar[2][0])) for bar in bars)) for figure, bars in panels)
    head = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %g" width="%d" height="%g" role="img">' % (
                WIDTH, y, WIDTH, y),
            "<title>%s</title>" % xml.sax.saxutils.escape(title),
            "<desc>%s</desc>" % xml.sax.saxutils.escape(summary), "<style>%s\n</style>" % STYLE,
            '<rect width="%d" height="%g" rx="6" class="paper"/>' % (WIDTH, y),
            text(MARGIN, MARGIN + 16, title, "title"), text(MARGIN, MARGIN + 35, subtitle, "faint"),
            text(MARGIN, MARGIN + 50, heading.get("machine", ""), "faint"),
            *([text(MARGIN, MARGIN + 65, spread, "faint")] if spread else [])]
    return "\n".join(head + parts + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE", help="pushload's JSON lines, as run and compare write them")
    parser.add_argument("--out", metavar="CHART.svg", help="where the chart goes (stdout)")
    parser.add_argument("--title", default="What a push server costs, and how fast it is", help="(%(default)s)")
    options = parser.parse_args()
    try:
        heading, reports = figures.read(options.files)
    except (OSError, ValueError) as error:
        sys.exit("chart: %s: %s" % (", ".join(options.files), error))
    if not panels_of(reports):
        sys.exit("chart: %s: nothing in it that can be drawn" % ", ".join(options.files))
    chart = draw(heading, reports, options.title)
    if not options.out:
        sys.stdout.write(chart)
        return
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(chart)


if __name__ == "__main__":
    main()
