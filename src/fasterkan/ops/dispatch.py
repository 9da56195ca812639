"""The choice of a path: the first path that can compute the call, or the path that was requested."""

from __future__ import annotations

from .paths import Call, Path


def choose(paths: tuple[Path[Call], ...], requested: str, call: Call) -> tuple[Path[Call], str]:
    """Return (path, reason) for a call; this is a pure function.

    Args:
        paths: all paths, the best first; the last one can compute every call.
        requested: "auto", or the name of a path.
        call: the call to compute.

    Raises:
        ValueError: the requested path is unknown.
        RuntimeError: the requested path cannot compute this call; no other path is used instead.
    """
    if requested == "auto":
        *better, last = paths
        refusal: str | None = None
        for path in better:
            refusal = path.avoids(call) or path.refuses(call)
            if refusal is None:
                return path, path.why
        return last, refusal or last.why
    found = next((path for path in paths if path.name == requested), None)
    if found is None:
        known = ", ".join(repr(name) for name in ("auto", *(path.name for path in paths)))
        raise ValueError(f"path must be one of {known}, got {requested!r}")
    if (refusal := found.refuses(call)) is not None:
        able = [path.name for path in paths if (path.avoids(call) or path.refuses(call)) is None]
        raise RuntimeError(
            f'path="{requested}" is impossible here: {refusal}; use path="auto" or '
            + " or ".join(f'"{name}"' for name in able)
        )
    return found, "requested"
