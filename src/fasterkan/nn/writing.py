"""New values for the tensors of a layer, also through a parametrisation: all of them are written, or none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .computed import Computed, computed_tensors

Commit = Callable[[], None]
_ROUNDING = 32
"""Allowed difference between a written and a read tensor, in units of the dtype's epsilon times the largest number."""
_FAILURES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""The exceptions of a parametrisation that has no inverse, or none for these values."""


@torch.inference_mode(False)
@torch.no_grad()
def write(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Replace the values of parameters and buffers of one module, in place where the shapes are equal.

    Raises:
        RuntimeError: a tensor is computed, and does not take these values; nothing is then changed.
    """
    for commit in [planned(module, name, value) for name, value in values.items()]:
        commit()


@torch.inference_mode(False)
@torch.no_grad()
def draw(module: nn.Module, name: str, fill: Callable[[Tensor], object]) -> None:
    """Let `fill` draw the values of a parameter, in place; a parametrised tensor is drawn as a plain one and written.

    Raises:
        RuntimeError: as `write`.
    """
    if not parametrize.is_parametrized(module, name) and not getattr(module, name).is_inference():
        fill(getattr(module, name))
        return
    drawn = torch.empty_like(getattr(module, name))
    fill(drawn)
    write(module, {name: drawn})


def planned(module: nn.Module, name: str, value: Tensor) -> Commit:
    """Return the function that writes a tensor; everything that can fail is tried before it is returned.

    Raises:
        RuntimeError: the tensor is computed, and does not take this value.
    """
    found = computed_tensors(module, (name,)).get(name)
    if found is not None and found.kind == "parametrisation":
        return _through(module, found, value)
    if found is not None and not (found.kind == "shard" and type(value) is type(getattr(module, name))):
        raise found.refusal(type_name(module))
    return lambda: _replace(module, name, value)


@torch.no_grad()
def check_writable(caller: str, where: str, module: nn.Module, names: Iterable[str], *, shards: bool = False) -> None:
    """Raise RuntimeError if some of the tensors `names` of a module cannot take arbitrary values.

    A parametrised tensor is tried with weights that have no structure; the tensors of a basis, which may have to be
    positive or in order, with larger values. Nothing is changed.

    Args:
        caller: the public method, for the message.
        where: name of the module, for the message.
        module: the owner of the tensors.
        names: their names.
        shards: whether sharded tensors are allowed.
    """
    for name, found in check_not_lost(caller, where, module, names, shards=shards).items():
        now = getattr(module, name).detach()
        size = now.abs().amax() if now.numel() else now.new_ones(())
        free = torch.cos(torch.arange(now.numel(), device=now.device, dtype=now.dtype)).view_as(now) * size
        _through(module, found, free if name in ("weight", "base_weight", "bias") else 1.25 * now, caller, where)


def check_not_lost(
    caller: str, where: str, module: nn.Module, names: Iterable[str], *, shards: bool = False
) -> dict[str, Computed]:
    """Raise RuntimeError if new values of a tensor would be lost; return the parametrised tensors among `names`.

    Arguments are those of `check_writable`.
    """
    names = tuple(names)
    parametrised = {}
    for name, found in computed_tensors(module, names).items():
        if name not in names or (shards and found.kind == "shard"):
            continue
        if found.kind != "parametrisation":
            raise found.refusal(caller, where)
        parametrised[name] = found
    return parametrised


def type_name(module: nn.Module) -> str:
    """Return the name of a module's class, without the subclass that a parametrisation makes."""
    return parametrize.type_before_parametrizations(module).__name__


@torch.no_grad()
def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    """Overwrite a parameter or buffer, or replace it if its shape changes or if it can never be trained."""
    old = getattr(module, name)
    if old.shape == value.shape and not old.is_inference():
        old.copy_(value)
        return
    made = value.detach().to(old.device, old.dtype, copy=True)
    setattr(module, name, nn.Parameter(made, requires_grad=old.requires_grad) if _is_parameter(module, name) else made)


def _is_parameter(module: nn.Module, name: str) -> bool:
    return any(own == name for own, _ in module.named_parameters(recurse=False))


def _through(module: nn.Module, found: Computed, value: Tensor, caller: str | None = None, where: str = "") -> Commit:
    """Write through the parametrisation of a copy, and compare what is read; the copy's tensors are taken over."""
    lists = module.parametrizations
    assert isinstance(lists, nn.ModuleDict)
    real = lists[found.name]
    now = _read(real)
    wanted = value.detach().to(now.device, now.dtype, copy=True)
    if now.shape == wanted.shape and torch.equal(now, wanted):
        return lambda: None
    caller = type_name(module) if caller is None else caller
    try:
        trial = copy.deepcopy(real)
        assert isinstance(trial, parametrize.ParametrizationList)
        trial.right_inverse(wanted.clone())
        read = _read(trial)
    except _FAILURES as error:
        why = f", which does not take other values ({type(error).__name__}: {error})"
        raise found.refusal(caller, where, why) from error
    largest = wanted.abs().amax() if wanted.numel() else 0
    allowed = _ROUNDING * torch.finfo(wanted.dtype).eps * largest
    if read.shape != wanted.shape or not bool(((read - wanted).abs() <= allowed).all()):
        raise found.refusal(caller, where, ", which does not keep other values")
    return lambda: _adopt(real, trial)


def _read(parts: nn.Module) -> Tensor:
    """The value of a parametrised tensor in evaluation mode; in training, some change with each use."""
    modes = [(module, module.training) for module in parts.modules()]
    parts.eval()
    try:
        value: Tensor = parts().detach().clone()
        return value
    finally:
        for module, training in modes:
            module.training = training


def _adopt(real: nn.Module, trial: nn.Module) -> None:
    """Give the modules of a parametrisation the tensors of its copy; parameters stay the same if shapes are equal."""
    for mine, theirs in zip(real.modules(), trial.modules(), strict=True):
        own = {**dict(mine.named_parameters(recurse=False)), **dict(mine.named_buffers(recurse=False))}
        for name, tensor in [*theirs.named_parameters(recurse=False), *theirs.named_buffers(recurse=False)]:
            if name in own:
                _replace(mine, name, tensor)
            else:
                setattr(mine, name, tensor)  # a buffer that was None
