"""The servers and plain clients of tests/integration are used here, too."""

import sys
from pathlib import Path

tests = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(tests / "integration"), str(tests / "bench")]
