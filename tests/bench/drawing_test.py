#!/usr/bin/env python3
"""Proves that what is drawn and compared is what was measured, and that a reader can open it."""

import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import chart  # noqa: E402
import comparison  # noqa: E402
import documents  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402
import peers  # noqa: E402
import servers  # noqa: E402

SPEC = importlib.util.spec_from_loader("compare", importlib.machinery.SourceFileLoader(
    "compare", os.path.join(HERE, "compare")))
compare = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compare)

SVG = "{http://www.w3.org/2000/svg}"


def report(label="Push", preset="broadcast", transport="ws", cpu=1.0, rate=1000.0, processes=2, faults=0):
    return {"preset": preset, "label": label, "transport": transport, "faults": faults, "deliveries_per_s": rate,
            "server": {"processes": processes, "cpu_us_per_delivery": cpu}}


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


def draw(reports, heading=None, title="Title"):
    return xml.etree.ElementTree.fromstring(chart.draw(heading or {}, reports, title))


def words(tree):
    return [element.text for element in tree.iter(SVG + "text")]


def bars(tree, kind):
    return [float(element.get("width")) for element in tree.iter(SVG + "rect") if element.get("class") == kind]


class Peers(unittest.TestCase):
    def test_a_package_client_that_is_missing_or_fails_is_named_with_its_reason(self):
        for command, words in ((["no-such-client", "pack"], "no-such-client"),
                               (["sh", "-c", "echo first >&2; echo no such package >&2; exit 1"], "no such package")):
            with self.assertRaisesRegex(peers.Unavailable, words):
                peers.call(command, tempfile.gettempdir())

    def test_a_peer_that_cannot_be_had_is_left_out(self):
        def fetch(peer):
            raise peers.Unavailable("no " + peer)

        options = argparse.Namespace(server=compare.NAMES, transport="ws", smoke=False)
        with unittest.mock.patch.object(peers, "is_there", lambda peer: peer == "Nchan"), \
                unittest.mock.patch.object(peers, "fetch", fetch), contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(compare.get_peers(options), ["Push", "Nchan", "floor"])
        for peer in ("Centrifugo", "Bun", "Redis"):
            self.assertIn("goes on without %s: no %s" % (peer, peer), said.getvalue())

    def test_every_peer_is_known_by_its_files_and_where_it_comes_from(self):
        for server in servers.ALL.values():
            if server.peer:
                self.assertTrue(peers.FILES[server.peer])
                self.assertTrue(server.peer in peers.PACKAGES or server.peer in peers.FETCHES)


class Chart(unittest.TestCase):
    def test_it_is_well_formed_whatever_stands_in_names(self):
        nasty = '<&">\'x'
        tree = draw([report(nasty)], {"machine": nasty, "date": nasty, "versions": {nasty: nasty}}, nasty)
        self.assertEqual(tree.tag, SVG + "svg")
        self.assertIn(nasty, words(tree))

    def test_it_says_title_unit_machine_date_and_versions(self):
        heading = {"machine": "a machine", "date": "2001-02-03", "versions": {"Push": "v1"}}
        said = " ".join(words(draw([report()], heading, "What it costs")))
        for word in ("What it costs", "µs", "a machine", "2001-02-03", "Push v1", "less is better", "more is better"):
            self.assertIn(word, said)

    def test_lengths_are_in_the_ratio_of_the_medians(self):
        tree = draw([report(cpu=1, rate=3), report(cpu=9, rate=3), report(cpu=2, rate=3),
                     report("Nchan", cpu=4, rate=6)])
        (push_rate, push_cpu), (peer_rate, peer_cpu) = bars(tree, "push"), bars(tree, "peer")
        self.assertAlmostEqual(push_rate / peer_rate, 0.5, 2)
        self.assertAlmostEqual(push_cpu / peer_cpu, 0.5, 2)

    def test_nothing_is_drawn_outside_of_the_picture(self):
        tree = draw([report(name, rate=10.0 ** i) for i, name in enumerate(("Push", "A long name", "floor"))])
        width = float(tree.get("width"))
        for element in tree.iter(SVG + "rect"):
            self.assertLessEqual(float(element.get("x", 0)) + float(element.get("width")), width)
        for element in tree.iter(SVG + "text"):
            self.assertTrue(0 <= float(element.get("x")) <= width)

    def test_its_heading_fits_with_every_peer(self):
        versions = {name: "12.34.56 (nginx 1.22.1)" if name == "Nchan" else "12.34.56" for name in compare.NAMES}
        tree = draw([report(), report()], {"date": "2001-02-03", "machine": 90 * "m", "versions": versions})
        for element in tree.iter(SVG + "text"):
            if element.get("class") == "faint":
                end = float(element.get("x")) + 6 * len(element.text)
                self.assertLess(end, float(tree.get("width")), element.text)

    def test_it_follows_light_and_dark(self):
        self.assertIn("prefers-color-scheme: dark", draw([report()]).find(SVG + "style").text)

    def test_a_reader_without_eyes_gets_the_figures(self):
        self.assertIn("Push 1,000", draw([report()]).find(SVG + "desc").text)

    def test_small_numbers_keep_two_digits(self):
        self.assertEqual([figures.number(value) for value in (0, 0.0043, 0.052, 0.5, 12.34, 12345.6)],
                         ["0.00", "0.0043", "0.052", "0.50", "12.3", "12,346"])

    def test_transports_are_told_apart_where_there_are_two(self):
        self.assertIn("Push, SSE", words(draw([report(), report(transport="sse")])))
        self.assertIn("Push", words(draw([report()])))

    def test_what_was_not_measured_is_not_drawn(self):
        tree = draw([report(processes=0), report("Nchan", processes=0, rate=0)])
        self.assertEqual((len(bars(tree, "push")), len(bars(tree, "peer"))), (1, 0))

    def test_it_is_made_from_a_file_and_an_empty_one_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            lines, out = os.path.join(folder, "a.jsonl"), os.path.join(folder, "a.svg")
            for content, code in (([machine.heading(), report()], 0), ([machine.heading()], 1)):
                with open(lines, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(entry) + "\n" for entry in content)
                done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "chart.py"), lines, "--out", out],
                                      capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, lines in done.stderr), (code, bool(code)), done.stderr)
            xml.etree.ElementTree.parse(out)


class Comparison(unittest.TestCase):
    def rows(self, rows):
        return {row[1]: row[2:] for row in rows}

    def ratios(self, reports, names):
        return self.rows(comparison.ratio_rows(reports, names))

    def test_medians_stand_under_their_servers(self):
        rows = self.rows(comparison.median_rows(
            [report(cpu=1, rate=300), report("Nchan", cpu=4, rate=100), report("floor", cpu=0.5, rate=400)],
            ["Push", "Nchan", "floor"]))
        self.assertEqual(rows["CPU µs a delivery ↓"], ["1.00", "4.00", "0.50"])
        self.assertEqual(rows["deliveries/s ↑"], ["300", "100", "400"])

    def test_ratios_are_pushs_by_the_others(self):
        rows = self.ratios([report(cpu=1, rate=300), report("Nchan", cpu=4, rate=100), report("floor", cpu=0.5, rate=400)],
                           ["Push", "Nchan", "floor"])
        self.assertEqual(rows["CPU µs a delivery ↓"], ["0.25", "2.00"])
        self.assertEqual(rows["deliveries/s ↑"], ["3.00", "0.75"])

    def test_a_ratio_is_one_of_the_same_round_and_has_its_spread(self):
        # the machine slows down: both double, so that the ratio is the same; a ratio of medians would not be
        reports = [report(cpu=cpu) for cpu in (1, 2, 4)] + [report("Nchan", cpu=cpu) for cpu in (2, 4, 8)]
        self.assertEqual(self.ratios(reports, ["Push", "Nchan"])["CPU µs a delivery ↓"], ["0.50"])
        reports = [report(cpu=cpu) for cpu in (1, 1, 1)] + [report("Nchan", cpu=cpu) for cpu in (4, 1, 2)]
        self.assertEqual(self.ratios(reports, ["Push", "Nchan"])["CPU µs a delivery ↓"], ["0.50 (0.25 to 1.00)"])

    def test_it_says_where_push_is_behind_in_every_round(self):
        rows = self.ratios([report(cpu=2, rate=50), report("Nchan", cpu=1, rate=100)], ["Push", "Nchan"])
        self.assertEqual((rows["CPU µs a delivery ↓"][-1], rows["deliveries/s ↑"][-1]), ("2.00 ✗", "0.50 ✗"))
        rows = self.ratios([report(cpu=2), report(cpu=2), report("Nchan", cpu=1), report("Nchan", cpu=4)],
                           ["Push", "Nchan"])
        self.assertEqual(rows["CPU µs a delivery ↓"][-1], "1.25 (0.50 to 2.00)")

    def test_figures_of_a_faulty_run_are_marked(self):
        rows = self.rows(comparison.median_rows([report(), report("Nchan", faults=3)], ["Push", "Nchan"]))
        self.assertEqual(rows["deliveries/s ↑"], ["1,000", "1,000 !"])

    def test_a_server_that_is_missing_leaves_a_gap(self):
        self.assertEqual(self.rows(comparison.median_rows([report()], ["Push", "Nchan"]))["deliveries/s ↑"], ["1,000", "–"])
        self.assertEqual(self.ratios([report()], ["Push", "Nchan"])["deliveries/s ↑"], ["–"])

    def test_sentences_give_the_spread_and_name_what_push_is_not_ahead_in(self):
        reports = [report(preset="single", cpu=cpu) for cpu in (1, 1)]
        reports += [report("Nchan", "single", cpu=cpu) for cpu in (2, 4)]
        reports += [report("Bun", "single", cpu=cpu) for cpu in (0.8, 2)]
        reports += [report("Redis", "single", cpu=cpu) for cpu in (0.5, 0.5)]
        said = comparison.sentences(reports)
        self.assertIn("0.38 (0.25 to 0.50) times Nchan's", said[0])
        self.assertRegex(said[1], r"^Level.*Bun 0.88 \(0.50 to 1.25\)\.$")
        self.assertRegex(said[2], r"^Ahead of Push.*Redis 2.00\.$")
        self.assertEqual(len(said), 3)

    def test_generated_text_replaces_what_was_generated_and_nothing_else(self):
        text = "by hand\n<!-- figures: table -->\nold\n<!-- end of figures -->\nby hand, too\n"
        filled = documents.fill(text, {"date": "2001-02-03"}, [report(), report("Nchan", rate=500)])
        self.assertRegex(filled, r"(?s)^by hand\n<!-- figures: table -->\n.*2001-02-03.*2\.00.*\n"
                                 r"<!-- end of figures -->\nby hand, too\n$")
        self.assertNotIn("old", filled)
        self.assertEqual(documents.fill(filled, {"date": "2001-02-03"}, [report(), report("Nchan", rate=500)]), filled)

    def test_each_block_can_be_generated_from_any_reports(self):
        for name in documents.BLOCKS:
            for reports in ([report()], [report(), report("Nchan")], [report("Nchan", "single", processes=0)]):
                text = "<!-- figures: %s -->\n<!-- end of figures -->\n" % name
                self.assertTrue(documents.fill(text, {}, reports).endswith("\n<!-- end of figures -->\n"))

    def test_pages_have_the_blocks_that_are_generated(self):
        found = [match[2] for page in documents.PAGES
                 for match in documents.BLOCK.finditer(read(os.path.join(os.path.dirname(os.path.dirname(HERE)), page)))]
        self.assertIn("table", found)
        self.assertLessEqual(set(found), set(documents.BLOCKS))

    def test_only_servers_that_have_the_transport_take_part(self):
        self.assertEqual([name for name in compare.NAMES if not servers.speaks(name, "sse")], ["Bun"])
        self.assertTrue(all(servers.speaks(name, "ws") for name in compare.NAMES))

    def test_rounds_are_whole_before_the_next_begins(self):
        options = argparse.Namespace(scenario=("idle", "single"), runs=None, scenarios=compare.SCENARIOS, build="")
        turns = list(compare.Runs(options, ("Push", "Bun"), "").turns())
        self.assertEqual(turns[:4], [(0, "idle", "Push"), (0, "idle", "Bun"), (0, "single", "Push"), (0, "single", "Bun")])
        self.assertEqual(turns[4:6], [(1, "single", "Push"), (1, "single", "Bun")])

    def test_the_whole_comparison_takes_12_minutes_at_most(self):
        seconds = sum(scenario.seconds * scenario.rounds * len(scenario.names) for scenario in compare.SCENARIOS.values())
        self.assertLessEqual(seconds, 12 * 60)

    def test_every_scenario_has_a_figure_and_every_figure_a_preset(self):
        with open(os.path.join(HERE, "src/options.c"), encoding="utf-8") as file:
            presets = set(re.findall(r'^\t\{"(\w+)", "[^"]*",\n\t\t\{"--', file.read(), re.M))
        shown = {figure.preset for figure in figures.FIGURES}
        self.assertEqual(presets, shown)
        self.assertLessEqual(set(compare.SCENARIOS), shown)

    def test_bad_options_name_option_and_value(self):
        for args in (("--scenario", "nothing"), ("--runs", "0"), ("--server", "Push,Mercure"), ("--transport", "tcp"),
                     ("--redis", "--docs")):
            with self.subTest(args):
                done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "compare"), *args], capture_output=True,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(args[0], done.stderr)
                self.assertIn(args[1].split(",")[-1], done.stderr)

    def test_the_tables_are_ones_that_markdown_understands(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            comparison.print_tables([report(), report("floor")])
        lines = [line for line in out.getvalue().splitlines() if line.startswith("|")]
        self.assertEqual([line.count("|") for line in lines], [5] * 4 + [4] * 4)
        self.assertNotIn("Nchan", lines[0])


if __name__ == "__main__":
    unittest.main()
