"""The helpers of the integration tests and of the benchmark are at hand here, too."""

import sys
from pathlib import Path

for folder in ("bench", "integration"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes long; a test of its own with that label runs it")
