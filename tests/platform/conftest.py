"""The helpers of the integration tests are at hand here, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes long; a test of its own with that label runs it")
