"""KANLinear: a layer with a learnable function on every edge; `nn.Linear` has a number there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import LINEAR_PATHS, LinearCall, choose, linear_call
from .calibration import Calibratable
from .edge_layer import EdgeLayer
from .grid_care import GridCare


class KANLinear(EdgeLayer, Calibratable, GridCare):
    """y_o = sum_i f_oi(x_i) + b_o with f_oi(x) = sum_k W[o, i, k] phi_k(norm(x)_i) + V[o, i] base(x).

    The phi_k are the same for all edges, or the same for all edges of a feature, or each edge has its own
    (`Basis.per_edge`).

    Args:
        in_features: I, at least 1.
        out_features: O, at least 1.
        basis: the functions phi_k; default RSWAF().
        norm: "layer", "rms" (wide networks), "feature" (interpretable networks), None (x already lies in the basis'
            grid_range), a description such as `LayerNorm(affine=False)`, or a module from [..., I] to [..., I].
            "batch_range" is the norm of KAL-Net; read the warning in `BatchRange`.
        base: activation of the base branch: None (no branch), "silu" (or "gelu", "relu", "tanh", "identity"), or a
            callable.
        base_input: input of the base branch: "x", the layer's input; "scaled", (x - m) / d with the mean m and the
            deviation d of the data that first sets norm="feature"; or "z" = norm(x). Default: "scaled" with
            norm="feature", "x" with other norms. With norm=None, as after `fold`, "scaled" has the loaded constants, at
            first m = 0 and d = 1.
        bias: add b [O].
        after: what follows the layer: None, "layernorm_silu", "batchnorm" or another name of `nn.After`.
        device, dtype: of all tensors, as in `nn.Linear`.
        generator: draws the weights; default torch's global one.

    Shapes: x [..., I] -> y [..., O], with any leading shape, also an empty one; x may be a nested tensor. Under
        autocast y has the dtype of autocast.

    Attributes:
        weight: W [O, I, K]; base_weight: V [O, I] or None; bias: b [O] or None; the basis' tensors by their names
            (`grid`, `inv_denominator`, ...), which are parameters if the basis learns them, else buffers.
        spec: the description of the layer (`LayerSpec`); `KANLinear.from_spec` makes a new layer from it.
        mask: None, or booleans [O, I], True for the edges that are kept (`set_mask`).
        kept_inputs: None, or the numbers [I] of the columns of x that have edges; x then has `input_width` columns
            (`take_inputs`).
        input_names, output_names: names of the columns of x and of the outputs, or None.
        path: "auto", or the name of a path of `fasterkan.ops`.
        xavier_gain: if set, `reset_parameters` draws W from the Xavier-uniform distribution with this gain, as in
            FasterKAN.

    Initialisation: outputs have variance 1. With the norms' gain "auto", gradients keep their size (`nn.init`).

    Raises:
        TypeError, ValueError: the widths, norm or base cannot be used; on call, x has another width or dtype.

    Source: Liu et al., KAN (arXiv 2404.19756); the layout is that of A. Delis, FasterKAN (2024).

    Example:
        >>> layer = KANLinear(64, 128)
        >>> layer(torch.randn(32, 64)).shape
        torch.Size([32, 128])
    """

    def forward(self, x: Tensor) -> Tensor:
        if getattr(x, "is_nested", False):
            return self._of_nested(x)
        self.check_input(x)
        x = self.selected(x)
        if self.training:
            self._follow_data(x)
        call, seen = self._call(x)
        y = choose(LINEAR_PATHS, self.path, call)[0].run(call)
        if self.base is not None and self.base_weight is not None:
            base_weight = self.base_weight if self.mask is None else self.base_weight * self.mask
            y = y + F.linear(self.base(seen), base_weight)
        return y if self.after is None else self.after(y)

    def _of_nested(self, x: Tensor) -> Tensor:
        """The outputs for a nested tensor, which `nn.TransformerEncoder` makes of a padded batch."""
        parts = x.unbind()  # each [..., I]
        y = self(torch.cat([part.reshape(-1, part.shape[-1]) for part in parts]))  # [N, O]
        each = y.split([part[..., 0].numel() for part in parts])
        made = [rows.reshape(*part.shape[:-1], -1) for rows, part in zip(each, parts, strict=True)]
        return torch.nested.as_nested_tensor(made, layout=x.layout)

    def which_path(self, x: Tensor) -> tuple[str, str]:
        """Return the name of the path that would compute this layer for x, and the reason; nothing is computed.

        Raises:
            RuntimeError: the path in `path` cannot compute this call.
        """
        self.check_input(x)
        path, reason = choose(LINEAR_PATHS, self.path, self._call(self.selected(x))[0])
        return path.name, reason

    def _call(self, x: Tensor) -> tuple[LinearCall, Tensor]:
        """The operation on the selected columns, and the input of the base branch."""
        x, norm, seen = self.split_input(x)
        weight = self.weight if self.mask is None else self.weight * self.mask.unsqueeze(-1)  # off: no gradient
        return linear_call(x, weight, self.bias, self.basis, self.basis_tensors(), norm), seen
