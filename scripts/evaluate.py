#!/usr/bin/env python3
"""Scores a trained translator: `nmt evaluate` for a checkout that is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nmt.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
