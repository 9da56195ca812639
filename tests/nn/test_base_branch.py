"""Names and callables of the base branch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fasterkan as fk
from fasterkan.nn.base_branch import base_name, resolve_base


@pytest.mark.parametrize(
    ("base", "name"),
    [(None, None), ("silu", "silu"), (F.silu, "silu"), (nn.SiLU(), "silu"), (nn.GELU(), "gelu"), (torch.tanh, "tanh")],
    ids=["none", "name", "function", "silu-module", "gelu-module", "builtin"],
)
def test_names_find_the_same_function_again(base: object, name: str | None) -> None:
    assert base_name(base) == name
    x = torch.randn(9)
    if name is not None:
        assert torch.equal(resolve_base(name)(x), resolve_base(base)(x))


@pytest.mark.parametrize(
    "base", [lambda x: x, nn.GELU(approximate="tanh"), nn.PReLU()], ids=["lambda", "gelu", "prelu"]
)
def test_functions_without_a_name_cannot_be_saved(base: object) -> None:
    with pytest.raises(ValueError, match="has no name: only None and silu, gelu, relu, tanh, identity can be saved"):
        base_name(base)


def test_a_module_with_parameters_is_learned_too() -> None:
    layer = fk.KANLinear(3, 2, base=nn.PReLU())
    layer(torch.randn(5, 3)).sum().backward()
    assert layer.base.weight.grad is not None
