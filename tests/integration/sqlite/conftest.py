"""Helpers beside these tests are imported by name; `writer.py` is also run as a program."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
