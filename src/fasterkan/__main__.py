"""`python -m fasterkan` is the command `fasterkan`."""

from __future__ import annotations

from .cli import main

main()
