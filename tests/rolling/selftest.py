"""
Proves that the proof would notice: updates that are done wrongly are not proven, and it says what was noticed.

usage: selftest.py BUILD
"""

import subprocess
import sys
import unittest
from pathlib import Path

RUN = Path(__file__).resolve().parent / "run"
BUILD = sys.argv.pop(1)
SKIPPED = 77
QUICK = ("--clients", "100", "--rate", "200", "--drain", "3", "--grace", "1")
ENDED, EXITED = "no connection failed, or ended without being asked before", "every process ended by itself"
REFUSED = "haproxy was refused no connection"

# They mostly wait, so side by side.
RUNS = {how: subprocess.Popen([RUN, "--build", BUILD, *QUICK, "--break", how], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) for how in ("kill", "unaware", "short")}
TEXTS = {how: run.communicate(timeout=100)[0] for how, run in RUNS.items()}


class Noticed(unittest.TestCase):
    def noticed(self, how, *promises):
        text = TEXTS[how]
        self.assertEqual(RUNS[how].returncode, 1, text)
        self.assertIn("NOT PROVEN", text)
        failed = [line for line in text.splitlines() if line.lstrip().startswith("FAILED")]
        for promise in promises:
            self.assertTrue(any(promise in line for line in failed), f"{promise}:\n{text}")
        # and nothing is held against who has not done it
        for line in failed:
            self.assertNotIn("none twice", line, text)
            # whose new connection is refused is without one for a while, and what comes meanwhile is rightly missed
            if REFUSED not in promises:
                self.assertNotIn("every client got each message", line, text)

    def test_a_process_that_is_killed_instead_of_drained(self):
        self.noticed("kill", ENDED, EXITED, "reconnects are spread")

    def test_a_balancer_that_does_not_know_of_the_drain(self):
        self.noticed("unaware", REFUSED)
        self.assertRegex(TEXTS["unaware"], r"FAILED +every publish")

    def test_a_grace_period_that_is_shorter_than_the_drain(self):
        self.noticed("short", ENDED, EXITED)


class CannotRun(unittest.TestCase):
    def test_options_that_contradict_each_other_are_named(self):
        for options in (["--notice", "4", "--prestop", "2"], ["--clients", "4"], ["--break", "nothing"],
                        ["--grace", "9", "--drain", "10"]):
            done = subprocess.run([RUN, *options], capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(options[0], done.stderr)


if __name__ == "__main__":
    if any(run.returncode == SKIPPED for run in RUNS.values()):
        print(TEXTS["kill"])
        sys.exit(SKIPPED)
    unittest.main()
