"""Servers that tests of a file share: starting one takes longer than most tests.

The benchmark's ports.py and peers.py are at hand, too.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from server import Server  # noqa: E402


@pytest.fixture(scope="module")
def server():
    """A server with the defaults."""
    with Server() as running:
        yield running
