"""The columns of data frames, by the methods that the libraries give them; no library is imported."""

from __future__ import annotations

from typing import Any


def columns_of(values: Any) -> list[tuple[str, Any]] | None:
    """Return name and content of each column of a table of pandas, polars or pyarrow; None for anything else.

    A table is read column by column. As one array it would lose the types of its columns: polars, for example, makes
    numbers of dates as soon as another column holds numbers.
    """
    if hasattr(values, "iloc") and getattr(values, "ndim", 0) == 2:  # pandas, and what follows it
        return [(str(name), column) for name, column in values.items()]
    if hasattr(values, "iter_columns"):  # polars
        return [(column.name, column) for column in values.iter_columns()]
    if hasattr(values, "itercolumns") and hasattr(values, "column_names"):  # pyarrow
        return list(zip(values.column_names, values.itercolumns(), strict=True))
    return None
