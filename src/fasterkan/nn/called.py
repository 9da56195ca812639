"""The sign for the fused code of `torch.nn` that a layer must be called, because its weight is not a matrix."""

from __future__ import annotations

from typing import Any

from torch import nn


class MustBeCalled(nn.Module):
    """A module without tensors that is never called, but has a forward hook.

    In evaluation, `nn.TransformerEncoderLayer` does not call `linear1` and `linear2`: its fast path reads their weights
    as matrices. It leaves this path if one of its modules has a hook. The hook of a module that is never called costs
    no time, and the module adds nothing to a state dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_forward_hook(_nothing)

    def reset_parameters(self) -> None:
        """Change nothing: some loops call this method of every module."""


def _nothing(module: nn.Module, args: Any, output: Any) -> None:
    """Change nothing."""
