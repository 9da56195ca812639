"""What follows a layer: a norm of its outputs and an activation, as in KAL-Net, KANvolver and Wav-KAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base_branch import BASES
from .computed import check_not_computed

_NORMS = ("layernorm", "batchnorm")


class After(nn.Module):
    """y = activation(norm(x)) over the last dimension O of a layer's outputs.

    Args:
        name: "layernorm" or "batchnorm", alone or followed by an activation: "layernorm_silu" (KAL-Net), "batchnorm"
            (Wav-KAN), "batchnorm_relu" (KANvolver).
        out_features: O.
        device, dtype: of the norm's tensors. The tensors have the same names as in torch: `weight`, `bias` [O] and, for
            "batchnorm", `running_mean`, `running_var` [O], `num_batches_tracked`.

    Shapes: x [..., O] -> y [..., O]. "batchnorm" takes all leading dimensions as one batch. In training, the output of
        a row depends on the other rows, and at least two rows are needed. `model.eval()` uses the running statistics.

    Raises:
        TypeError, ValueError: the name is not known.
    """

    def __init__(
        self,
        name: str,
        out_features: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        kind, activation = split_after(name)
        self.activation = BASES[activation]
        norm = nn.LayerNorm if kind == "layernorm" else nn.BatchNorm1d
        self.norm = norm(out_features, device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Reset the norm: gain 1, bias 0, and no running statistics."""
        check_not_computed("reset_parameters", self.norm)
        self.norm.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Return y [..., O]."""
        if isinstance(self.norm, nn.LayerNorm):
            return self.activation(self.norm(x)).to(x.dtype)  # under autocast the norm returns float32
        if not x.numel():
            return self.activation(x)
        rows = x.reshape(-1, x.shape[-1])  # [N, O]
        if self.training and len(rows) == 1:
            raise ValueError(
                f'after="{self.name}": one row has no batch statistics; train on two or more rows, or call '
                "model.eval() first"
            )
        return self.activation(self.norm(rows)).reshape(x.shape).to(x.dtype)

    def extra_repr(self) -> str:
        return repr(self.name)


def split_after(name: str) -> tuple[str, str]:
    """Return (norm, activation) of a name such as "layernorm_silu"; the activation of "batchnorm" is "identity".

    Raises:
        TypeError, ValueError: the name is not known.
    """
    expected = 'after must be None, or "layernorm" or "batchnorm", alone or with an activation: "layernorm_silu"'
    if not isinstance(name, str):
        raise TypeError(f"{expected}; got {name!r}")
    kind, _, activation = name.partition("_")
    activation = activation or "identity"
    if kind not in _NORMS or activation not in BASES or name.endswith("_"):
        raise ValueError(f"{expected} (activations: {', '.join(BASES)}); got {name!r}")
    return kind, activation


def build_after(
    name: str | None,
    out_features: int,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> After | None:
    """Return the module for a layer of `out_features` outputs, or None for None; raises as `split_after` does."""
    return None if name is None else After(name, out_features, device, dtype)
