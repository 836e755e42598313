"""The package of this folder, and the real servers of tests/integration."""

import os
import sys
from pathlib import Path

package = Path(__file__).resolve().parent.parent
root = package.parent.parent
os.environ.setdefault("TEST_SOURCE_DIR", str(root))
os.environ.setdefault("TEST_BUILD_DIR", str(root / "build/release"))
sys.path[:0] = [str(package), str(root / "tests/integration"), str(root / "tests/bench")]
