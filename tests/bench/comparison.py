"""Puts Push's figures beside the others': tables and sentences, all with the spread of the rounds.

Only ratios of the same round are formed: two servers that ran within a minute on the same machine.  A sentence that holds
in one round and not in another says so by its spread, and where Push is behind or level is listed, not left out.
"""

import figures


def others(reports):
    """The labels beside Push's, in the order of their first run."""
    return [name for name in dict.fromkeys(report["label"] for report in reports) if name != "Push"]


def cell(figure, reports):
    found = figures.median(figure, reports)
    if not found:
        return "–"
    return figures.number(found[0]) + (" !" if any(report["faults"] for report in reports) else "")


def ratio_cell(figure, name, ours, theirs):
    spread = figures.ratio(figure, ours, theirs)
    if not spread:
        return "–"
    # The floor is there to be approached, not to be beaten.
    is_behind = name != "floor" and figures.standing(figure, spread) < 0
    return figures.with_spread(spread) + (" ✗" if is_behind else "")


def rows_of(reports, cell_of):
    """A row for each figure that is there: its title, its unit, and cell_of(figure, {label: reports}) behind."""
    groups = figures.by_scenario(reports)
    for figure in figures.FIGURES:
        found = {label: runs for (label, _), runs in groups.get(figure.preset, {}).items()}
        if any(figures.median(figure, runs) for runs in found.values()):
            yield [figure.title, "%s %s" % (figure.unit, "↑" if figure.more else "↓"), *cell_of(figure, found)]


def median_rows(reports, names):
    return rows_of(reports, lambda figure, found: [cell(figure, found.get(name, [])) for name in names])


def ratio_rows(reports, names):
    return rows_of(reports, lambda figure, found: [
        ratio_cell(figure, name, found.get("Push", []), found.get(name, [])) for name in names if name != "Push"])


def table(rows):
    """As Markdown, aligned; the first two columns are words."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) if at < 2 else text.rjust(width)
                               for at, (text, width) in enumerate(zip(row, widths))) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) if at < 2 else "-" * (width + 1) + ":"
                                   for at, width in enumerate(widths)) + "|")
    return "\n".join(lines)


def print_tables(reports):
    names = [*(["Push"] if any(report["label"] == "Push" for report in reports) else []), *others(reports)]
    print(table([["scenario", "figure", *names], *median_rows(reports, names)]))
    print("\nMedians. ↓ less is better, ↑ more is better; ! not every message arrived, or not in order.")
    if names[0] == "Push" and len(names) > 1:
        print("\n%s\n\n%s" % (ratio_table(reports), LEGEND))


LEGEND = ("Push's figure by the other's of the same round: the median, in brackets the lowest and the highest round. "
          "↓ less is better, ↑ more is better; ✗ Push is behind in every round.")


def ratio_table(reports):
    names = others(reports)
    return table([["scenario", "figure", *("Push : " + name for name in names)], *ratio_rows(reports, names)])


# How a sentence names the CPU time of a server.
OWNER = {"Bun": "Bun's (µWebSockets)", "Redis": "Redis'", "floor": "that of a bare `send()` per client"}


def runs_of(reports, preset):
    return {label: runs for (label, _), runs in figures.by_scenario(reports).get(preset, {}).items()}


def figure_of(preset, unit):
    return next(figure for figure in figures.FIGURES if figure.preset == preset and figure.unit == unit)


def cost_sentence(reports, preset, words):
    """What a delivery costs, as a part of the others' cost, or None."""
    figure, found = figure_of(preset, "CPU µs a delivery"), runs_of(reports, preset)
    spreads = ((name, figures.ratio(figure, found.get("Push", []), found.get(name, []))) for name in others(reports))
    parts = ["%s times %s" % (figures.with_spread(spread), OWNER.get(name, name + "'s")) for name, spread in spreads if spread]
    return "%s: Push's CPU time is %s." % (words, listed(parts)) if parts else None


def value_sentence(reports, figure, words, form):
    """The medians of all, or None."""
    found = runs_of(reports, figure.preset)
    values = [(name, figures.median(figure, found.get(name, []))) for name in ["Push", *others(reports)]]
    parts = ["%s %s" % (name, form(value)) for name, value in values if value]
    return "%s: %s." % (words, ", ".join(parts)) if parts else None


def milliseconds(value):
    return " to ".join(dict.fromkeys(figures.number(each / 1000) for each in value[1:])) + " ms"


def listed(parts):
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


def not_ahead(reports, wanted, words):
    parts = []
    for figure in figures.FIGURES:
        found = runs_of(reports, figure.preset)
        spreads = ((name, figures.ratio(figure, found.get("Push", []), found.get(name, []))) for name in others(reports)
                   if name != "floor")
        names = ["%s %s" % (name, figures.with_spread(spread)) for name, spread in spreads
                 if spread and figures.standing(figure, spread) == wanted]
        if names:
            parts.append("%s, %s: %s" % (figure.title, figure.unit, ", ".join(names)))
    return "%s: %s." % (words, "; ".join(parts)) if parts else None


def single_sentence(reports):
    return cost_sentence(reports, "single", "One message at a time to 1,000 clients")


def memory_sentence(reports):
    return value_sentence(reports, figure_of("idle", "bytes"), "Memory of an idle client in the server's process, in bytes",
                          lambda value: figures.number(value[0]))


def leave_sentence(reports):
    counts = {report["order"]["crowd"] for report in reports if report["preset"] == "leave"}
    words = "When %s clients leave at once, 99 of 100 messages reach the others within" % " or ".join(map("{:,.0f}".format, counts))
    return value_sentence(reports, figure_of("leave", "p99, µs"), words, milliseconds)


def behind_sentence(reports):
    return not_ahead(reports, -1, "Ahead of Push in every round")


def sentences(reports):
    """What holds, in words; those without a figure are left out."""
    return [sentence for sentence in (
        single_sentence(reports),
        cost_sentence(reports, "burst", "Ten messages that wait for each of 1,000 clients"),
        cost_sentence(reports, "rooms", "Messages to 10,000 channels of one client each"),
        memory_sentence(reports),
        leave_sentence(reports),
        not_ahead(reports, 0, "Level with Push, or ahead in some rounds"),
        behind_sentence(reports),
    ) if sentence]


def summary(reports):
    """The same as one short paragraph."""
    return " ".join(filter(None, (part(reports) for part in (
        single_sentence, memory_sentence, leave_sentence, behind_sentence))))
