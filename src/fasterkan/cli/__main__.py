"""`python -m fasterkan.cli` is `fasterkan`."""

from __future__ import annotations

from .program import main

main()
