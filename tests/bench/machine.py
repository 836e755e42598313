#!/usr/bin/env python3
"""Says on what machine, when and with which Push figures are taken: machine.py [--text]

Prints one line of JSON (or the machine alone, as text), which stands first in a file of pushload's lines, so that a table or a chart that is made
from the file later still says where its figures come from.
"""

import datetime
import json
import os
import platform
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def first_value(path, name):
    """The value behind `name` in a file such as /proc/cpuinfo, or ''."""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(name):
                    return line[len(name):].strip(" \t\n:=\"")
    except OSError:
        pass
    return ""


def machine():
    memory_kb = int((first_value("/proc/meminfo", "MemTotal").split() or ["0"])[0])
    parts = (first_value("/proc/cpuinfo", "model name") or platform.machine(),
             "%d cores" % len(os.sched_getaffinity(0)), "%.0f GB" % (memory_kb / 2**20),
             "Linux " + platform.release().split("-")[0], first_value("/etc/os-release", "PRETTY_NAME"))
    return ", ".join(filter(None, parts))


def push_version():
    """The commit that is checked out, or ''."""
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip()


def heading(versions=None):
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"machine": machine(), "date": now.strftime("%Y-%m-%d"),
            "versions": {"Push": push_version(), **(versions or {})}}


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--text"]):
        sys.exit(__doc__)
    print(machine() if sys.argv[1:] else json.dumps(heading()))
