"""The parts of a layer of O x I edges: its tensors, its description, and the edges and columns that it uses."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .._check import whole_number
from ..bases import RSWAF, Basis
from .after import After, build_after
from .base_branch import Base, BaseInput, check_base_input, named_base
from .called import MustBeCalled
from .draw import normal_, xavier_uniform_
from .feature_norm import FeatureScaling
from .init import base_weight_std, draw_weights
from .layer import KANLayer
from .layer_spec import LayerSpec
from .norm import Norm, build_norm, described, start_of
from .writing import check_not_lost, check_writable, draw, write

L = TypeVar("L", bound="EdgeLayer")


class EdgeLayer(KANLayer):
    """The tensors of a `KANLinear`; see there for the arguments and the formula."""

    bias: Tensor | None
    mask: Tensor | None
    kept_inputs: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        basis: Basis | None = None,
        *,
        norm: Norm = "layer",
        base: Base = None,
        base_input: BaseInput | None = None,
        bias: bool = True,
        after: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = whole_number("KANLinear", "in_features", in_features, 1)
        self.out_features = whole_number("KANLinear", "out_features", out_features, 1)
        basis = RSWAF() if basis is None else basis
        if not isinstance(basis, Basis):
            raise TypeError(f"KANLinear: basis must be a Basis such as fk.RSWAF(num_grids=8), got {basis!r}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"KANLinear: dtype must be a floating-point dtype, got {dtype}")
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        shape = (self.out_features, self.in_features)
        with torch.inference_mode(False):  # else the tensors could never be trained
            self.weight = nn.Parameter(torch.empty(*shape, basis.num_basis, **factory))
            base_weight = None if base is None else nn.Parameter(torch.empty(*shape, **factory))
            self.register_parameter("base_weight", base_weight)
            self.register_parameter("bias", nn.Parameter(torch.empty(self.out_features, **factory)) if bias else None)
            self._start_basis(basis, **factory)
            self.norm = build_norm(norm, self.in_features, basis, **factory)
            self._start_base(base, base_input, **factory)
            self.after: After | None = build_after(after, self.out_features, **factory)
        self.register_buffer("mask", None)
        self.register_buffer("kept_inputs", None, persistent=False)
        self.input_width = self.in_features
        self.input_names: tuple[str, ...] | None = None
        self.output_names: tuple[str, ...] | None = None
        self.path: str = "auto"
        self.xavier_gain: float | None = None
        self.must_be_called = MustBeCalled()
        self.reset_parameters(generator)

    @classmethod
    def from_spec(
        cls: type[L],
        spec: LayerSpec,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> L:
        """Return a new layer that `spec` describes, with new random weights.

        If the norm or the base branch in `spec` is a module, it is copied.
        """
        options = {name: copy.deepcopy(getattr(spec, name)) for name in ("norm", "base", "base_input", "bias", "after")}
        factory: dict[str, Any] = {"device": device, "dtype": dtype, "generator": generator}
        layer = cls(spec.in_features, spec.out_features, spec.basis, **options, **factory)
        if spec.xavier_gain is not None:
            layer.xavier_gain = spec.xavier_gain
            layer.reset_parameters(generator)
        if spec.kept_inputs is not None:
            layer.take_inputs(spec.kept_inputs, spec.in_features if spec.input_width is None else spec.input_width)
        if spec.mask:
            with torch.inference_mode(False):
                layer.mask = torch.ones(spec.out_features, spec.in_features, dtype=torch.bool, device=device)
        layer.input_names, layer.output_names = spec.input_names, spec.output_names
        return layer

    @property
    def spec(self) -> LayerSpec:
        """The present description of this layer; `from_spec` makes a layer of the same kind with new weights."""
        return LayerSpec(
            in_features=self.in_features,
            out_features=self.out_features,
            basis=self.basis,
            norm=described(self.norm),
            base=named_base(self.base),
            base_input=self.base_input,
            bias=self.bias is not None,
            after=None if self.after is None else self.after.name,
            mask=self.mask is not None,
            kept_inputs=None if self.kept_inputs is None else tuple(self.kept_inputs.tolist()),
            input_width=None if self.input_width == self.in_features else self.input_width,
            input_names=self.input_names,
            output_names=self.output_names,
            xavier_gain=self.xavier_gain,
        )

    def widths(self) -> tuple[int, int]:
        return self.in_features, self.out_features

    def weight_shape(self, num_basis: int) -> tuple[int, ...]:
        return self.out_features, self.in_features, num_basis

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W and V so that y has variance 1, set b to 0, and reset the basis' tensors to their initial values.

        Raises:
            RuntimeError: a tensor is computed and does not take new values; nothing is then changed.
        """
        check_writable("reset_parameters", "", self, self.tensor_names(), shards=True)
        write(self, self.basis.init(self.in_features, self.out_features, self.weight.device, self.weight.dtype))
        share = 1.0 if self.base is None else 0.5**0.5
        if self.xavier_gain is None:
            options: dict[str, Any] = {"share": share, "generator": generator}
            z = start_of(self.norm, self.basis)
            draw(self, "weight", lambda w: draw_weights(w, self.basis, self.in_features, z, **options))
        else:
            gain = self.xavier_gain
            draw(self, "weight", lambda w: xavier_uniform_(w.flatten(1), gain, generator))
        if self.base is not None and self.base_weight is not None:
            std = share * base_weight_std(self.base, self.in_features)
            draw(self, "base_weight", lambda w: normal_(w, std, generator))
        if self.bias is not None:
            draw(self, "bias", nn.init.zeros_)
        self.set_mask(self.mask)

    def set_mask(self, mask: Tensor | None) -> None:
        """Switch edges off: their weights become 0 and stay 0 in training.

        With None, all edges can learn again. The mask is saved with the layer. A mask costs one product of the size of
        the weights in each forward; None costs nothing.

        Args:
            mask: booleans [O, I], True for the edges that are kept; or None.

        Raises:
            TypeError, ValueError: the mask is not a boolean tensor, or has another shape.
            RuntimeError: a weight is computed and does not take the zeros; nothing is then changed.
        """
        if mask is None:
            self.mask = None
            return
        shape = (self.out_features, self.in_features)
        if not isinstance(mask, Tensor):
            raise TypeError(f"KANLinear.set_mask: mask must be a tensor of booleans, got {type(mask).__name__}")
        if mask.dtype != torch.bool:
            raise TypeError(f"KANLinear.set_mask: mask must be a tensor of booleans, got {mask.dtype}")
        if mask.shape != shape:
            raise ValueError(f"KANLinear.set_mask: mask is {tuple(mask.shape)}, expected [O, I] = {shape}")
        check_not_lost("set_mask", "", self, self.tensor_names())
        with torch.inference_mode(False), torch.no_grad():
            found = mask.to(self.weight.device, copy=True)
            masked = {"weight": self.weight * found.unsqueeze(-1)}
            if self.base_weight is not None:
                masked["base_weight"] = self.base_weight * found
            write(self, masked)
            self.mask = found

    def take_inputs(self, columns: Tensor | Sequence[int], width: int) -> None:
        """Let the layer use only some columns of x; x then has `width` columns.

        Names stay with their edges: the name of the i-th of the present columns becomes that of `columns[i]`, and
        columns that had no name get x1, x2, ... by their number.

        Args:
            columns: the numbers of the columns in increasing order; there must be in_features of them.
            width: number of columns of x.

        Raises:
            ValueError: the numbers do not increase, lie outside 0 ... width - 1, or are too many or too few.
        """
        found = columns.tolist() if isinstance(columns, Tensor) else [int(c) for c in columns]
        if found != sorted({c for c in found if 0 <= c < width}) or len(found) != self.in_features:
            raise ValueError(
                f"take_inputs: columns must be {self.in_features} increasing numbers within 0 ... {width - 1}, got "
                f"{found[:10]}"
            )
        if self.input_names is not None:
            before = range(self.in_features) if self.kept_inputs is None else self.kept_inputs.tolist()
            names = list(self.input_names) if width == self.input_width else [f"x{i + 1}" for i in range(width)]
            for new, old in zip(found, [self.input_names[i] for i in before], strict=True):
                names[new] = old
            self.input_names = tuple(names)
        device = "cpu" if self.weight.is_meta else self.weight.device  # the columns of a meta layer are known
        every = width == self.in_features
        with torch.inference_mode(False):
            self.kept_inputs = None if every else torch.tensor(found, dtype=torch.int64, device=device)
        self.input_width = width

    def set_names(self, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> None:
        """Name the columns of x and the outputs; None leaves them without names.

        Raises:
            TypeError, ValueError: a name is not a string, or the number of names is wrong.
        """
        names = check_names("KANLinear", "inputs", inputs, self.input_width)
        self.output_names = check_names("KANLinear", "outputs", outputs, self.out_features)
        self.input_names = names

    def selected(self, x: Tensor) -> Tensor:
        """Return the columns of x that have edges, [..., I]."""
        return x if self.kept_inputs is None else x[..., self.kept_inputs]

    def check_input(self, x: Tensor) -> None:
        """Raise TypeError or ValueError unless the layer can take x."""
        if type(x) is Tensor and x.dim() and x.shape[-1] == self.input_width and x.dtype == self.weight.dtype:
            return
        self._check_tensor(x)
        if x.dim() == 0 or x.shape[-1] != self.input_width:
            got = f"{x.shape[-1]} features" if x.dim() else "no dimension"
            name = "in_features" if self.kept_inputs is None else "input_width"
            raise ValueError(f"KANLinear: x has {got}, {name} is {self.input_width} (x is {tuple(x.shape)})")
        self._check_dtype(x)

    def __repr__(self) -> str:
        shown = object.__new__(type(self))
        parts = {name: part for name, part in self.named_children() if not isinstance(part, MustBeCalled)}
        shown.__dict__.update(self.__dict__, _modules=parts)
        return nn.Module.__repr__(shown)

    def extra_repr(self) -> str:
        base = "" if self.base is None else f", base={getattr(self.base, '__name__', self.base)}"
        usual = check_base_input("", None, self.base, feature_norm=isinstance(self.norm, FeatureScaling))
        if self.base is not None and self.base_input != usual:
            base += f", base_input={self.base_input!r}"
        kept = "" if self.kept_inputs is None else f", {self.in_features} of {self.input_width} inputs kept"
        widths = f"{self.in_features}, {self.out_features}"
        return f"{widths}, basis={self.basis}{base}, bias={self.bias is not None}{kept}"


def check_names(owner: str, what: str, names: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    """Return the names as a tuple, or None for None.

    Raises:
        TypeError, ValueError: a name is not a string, or there are not `count` names.
    """
    if names is None:
        return None
    found = tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in found):
        raise TypeError(f"{owner}.set_names: {what} must be a list of strings, got {names!r}")
    if len(found) != count:
        raise ValueError(f"{owner}.set_names: there are {count} {what}, got {len(found)} names: {list(found)[:10]}")
    return found
