"""The report of a diagnosis: one entry per layer, and findings with advice."""

from __future__ import annotations

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Finding:
    """One problem that was found.

    Attributes:
        kind: "nonfinite", "uncalibrated", "unreached", "outside", "dead", "collinear", "saturated", "output",
            "gradient", "grid" or "width".
        layer: name of the layer. "" is the model itself, or the whole network.
        message: the measurement.
        advice: what to do, with the argument to change.
    """

    kind: str
    layer: str
    message: str
    advice: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"[{self.kind}] {where}{self.message}. {self.advice}."


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The measurements of one KANLinear; None if a number could not be measured.

    Attributes:
        name: name of the layer in the model.
        in_features: I.
        out_features: O.
        num_basis: K.
        rows: number of rows of z: one for each row of the data and each call of the layer. Rows with NaN or infinity
            are left out.
        outside: share of z beyond the first or last centre of the grid (or beyond the basis' grid_range).
        dead: share of the I * K functions that no data reaches, or whose weights are all 0.
        independent: number of the K functions that are numerically independent over the data, mean over features.
        condition: condition number of the Gram matrix of phi over the data, geometric mean over features.
        saturated: share of z at which all functions, or all slopes, are almost 0.
        output_rms: root mean square of the outputs.
        weight_grad: norm of the gradient of the loss with respect to the weight.
        input_grad: norm of the gradient with respect to the layer's input, over all rows.
        output_grad: norm of the gradient with respect to the layer's output, over all rows.
        grid_gap: smallest distance of neighbouring centres, divided by their mean distance. It is negative if centres
            have crossed.
        width: h = 1 / inv_denominator, divided by the mean distance of centres. With several h, the ratio farthest from
            1.
    """

    name: str
    in_features: int
    out_features: int
    num_basis: int
    rows: int = 0
    outside: float | None = None
    dead: float | None = None
    independent: float | None = None
    condition: float | None = None
    saturated: float | None = None
    output_rms: float | None = None
    weight_grad: float | None = None
    input_grad: float | None = None
    output_grad: float | None = None
    grid_gap: float | None = None
    width: float | None = None


_COLUMNS = (
    ("outside", "outside", "percent"),
    ("dead", "dead", "percent"),
    ("independent", "indep.", "plain"),
    ("condition", "condition", "power"),
    ("saturated", "saturated", "percent"),
    ("output_rms", "output", "digits"),
    ("weight_grad", "dweight", "power"),
    ("input_grad", "dinput", "power"),
)


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """The report of `fk.diagnose`; `str(report)` is a table with the findings below it.

    Attributes:
        layers: one entry for each KANLinear, in the order in which data reaches them. Unreached layers come last.
        findings: the problems, the most serious one first. Empty for a healthy network.
        rows: number of rows of data that were sent through the network.
        loss: the loss whose gradients were measured. None if the network could not be run to the end.
        gradient_ratio: size of the gradient at the last layer's output, divided by that at the first layer's output.
        first_nonfinite: the place of the first NaN or infinity: "the data", or the name of a layer. None if there is
            none.
    """

    layers: tuple[LayerReport, ...]
    findings: tuple[Finding, ...]
    rows: int
    loss: float | None
    gradient_ratio: float | None
    first_nonfinite: str | None

    @property
    def healthy(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __getitem__(self, name: str) -> LayerReport:
        """Return the entry of the layer with this name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"{name!r}; layers: {', '.join(repr(layer.name) for layer in self.layers)}")

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as values for JSON; a number that is not finite becomes None."""
        found: dict[str, Any] = _finite(dataclasses.asdict(self))
        return found

    def __str__(self) -> str:
        names = [layer.name or "(model)" for layer in self.layers]
        left = max(len("layer"), *map(len, names))
        lines = ["  ".join(["layer".ljust(left), "widths".rjust(12), *(head.rjust(9) for _, head, _ in _COLUMNS)])]
        for name, layer in zip(names, self.layers, strict=True):
            widths = f"{layer.in_features}>{layer.out_features} K{layer.num_basis}"
            cells = [_cell(getattr(layer, field), style).rjust(9) for field, _, style in _COLUMNS]
            lines.append("  ".join([name.ljust(left), widths.rjust(12), *cells]))
        loss = "not reached" if self.loss is None else f"{self.loss:.4g}"
        ratio = "unknown" if self.gradient_ratio is None else f"{self.gradient_ratio:.3g}"
        lines.append(f"{self.rows:,} rows; loss {loss}; gradient of the last output / of the first {ratio}")
        lines += [str(finding) for finding in self.findings] or ["nothing found"]
        return "\n".join(lines)


def _cell(value: float | None, style: str) -> str:
    if value is None or not math.isfinite(value):
        return "-" if value is None else str(value)
    return {"percent": f"{100 * value:.1f} %", "plain": f"{value:.1f}", "power": f"{value:.1e}"}.get(
        style, f"{value:.3g}"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
