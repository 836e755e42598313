"""Writes the picture, the tables and the sentences of a comparison into the documentation.

What is generated stands between <!-- figures: NAME --> and <!-- end of figures -->, with NAME one of BLOCKS; what stands
around it is written by hand and has to hold with any figures.
"""

import os
import re
import textwrap

import comparison
import figures
import peers

PICTURE = "tests/bench/compare.svg"
PAGES = ("tests/bench/README.md", "docs/compare.md", "README.md")
FILES = (PICTURE,) + PAGES
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.S)


def origin(heading, reports):
    rounds = [len(runs) for groups in figures.by_scenario(reports).values() for runs in groups.values()]
    versions = ", ".join(" ".join(filter(None, item)) for item in heading.get("versions", {}).items())
    return wrapped("Measured on %s: %s. %s. %s rounds." % (
        heading.get("date", "?"), heading.get("machine", "?"), versions,
        " to ".join(str(count) for count in dict.fromkeys((min(rounds), max(rounds))))))


def wrapped(text, indent=""):
    return textwrap.fill(text, 136, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def bullets(heading, reports):
    del heading
    return "\n".join(wrapped("- " + sentence, "  ") for sentence in comparison.sentences(reports))


def full_table(heading, reports):
    return "%s\n\n%s\n\n%s" % (origin(heading, reports), comparison.ratio_table(reports), wrapped(comparison.LEGEND))


def paragraph(heading, reports):
    del heading
    return wrapped(comparison.summary(reports))


BLOCKS = {"table": full_table, "sentences": bullets, "summary": paragraph, "origin": origin}


def fill(text, heading, reports):
    """The text with all its blocks made anew."""
    return BLOCK.sub(lambda found: found[1] + BLOCKS[found[2]](heading, reports) + "\n" + found[3], text)


def write(heading, reports, picture):
    with open(os.path.join(peers.ROOT, PICTURE), "w", encoding="utf-8") as file:
        file.write(picture)
    for page in PAGES:
        with open(os.path.join(peers.ROOT, page), encoding="utf-8") as file:
            text = file.read()
        with open(os.path.join(peers.ROOT, page), "w", encoding="utf-8") as file:
            file.write(fill(text, heading, reports))
