"""Servers that tests of a file share: starting one takes longer than most tests."""

import pytest

from server import Server


@pytest.fixture(scope="module")
def server():
    """A server with the defaults."""
    with Server() as running:
        yield running
