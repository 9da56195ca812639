"""Tensors that something computes or holds elsewhere: parametrisations, hooks, shards, parameters of two modules."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize

from .._torch import hooked_tensors

M = TypeVar("M", bound=nn.Module)
_REMOVE = {"WeightNorm": "remove_weight_norm", "SpectralNorm": "remove_spectral_norm"}


@dataclasses.dataclass(frozen=True)
class Computed:
    """A tensor that is not a plain parameter or buffer of its module, and what to do before it can be replaced."""

    name: str
    kind: Literal["parametrisation", "hook", "attribute", "shard"]
    state: str
    """For a message: "<name> <state>"."""
    remedy: str

    def refusal(self, caller: str, where: str = "", why: str = "") -> RuntimeError:
        """Return the error that refuses a change of this tensor, of the module with the name `where`."""
        name = f"{where}.{self.name}" if where else self.name
        return RuntimeError(f"{caller}: {name} {self.state}{why}; {self.remedy} first")


def computed_tensors(module: nn.Module, expected: Sequence[str] = ("weight", "bias")) -> dict[str, Computed]:
    """Return the tensors of a module, not of its children, that are not plain parameters or buffers, by name.

    Args:
        module: any module.
        expected: names of tensors that the module would have as parameters or buffers.
    """
    found: dict[str, Computed] = {}
    for name in expected:
        if isinstance(vars(module).get(name), Tensor):
            state = "is neither a parameter nor a buffer, so something else computes it"
            remedy = f"set layer.{name} = torch.nn.Parameter(layer.{name}.detach().clone())"
            found[name] = Computed(name, "attribute", state, remedy)
    for name, tensor in _own(module):
        if hasattr(type(tensor), "__tensor_flatten__"):
            state = f"is a {type(tensor).__name__} (sharded or quantised)"
            found[name] = Computed(name, "shard", state, "use the plain model")
    for name, hook in hooked_tensors(module).items():
        remove = f"{_REMOVE[hook]}(layer, {name!r})" if hook in _REMOVE else f"prune.remove(layer, {name!r})"
        state = f"is computed by the hook {hook} before each forward"
        found[name] = Computed(name, "hook", state, f"call torch.nn.utils.{remove}")
    if isinstance(lists := getattr(module, "parametrizations", None), nn.ModuleDict):
        for name, parts in lists.items():
            state = f"is computed by the parametrisation {', '.join(type(part).__name__ for part in parts.children())}"
            remedy = f"call torch.nn.utils.parametrize.remove_parametrizations(layer, {name!r})"
            found[name] = Computed(name, "parametrisation", state, remedy)
    return found


def parameters_behind(module: nn.Module, name: str) -> list[nn.Parameter]:
    """Return the parameters from which a tensor of a module comes: itself, or those of its parametrisation or hook."""
    if parametrize.is_parametrized(module, name):
        lists = module.parametrizations
        assert isinstance(lists, nn.ModuleDict)
        return list(lists[name].parameters())
    made = {f"{name}{end}" for end in ("_g", "_v", "_orig")} if name in hooked_tensors(module) else set()
    return [parameter for own, parameter in module.named_parameters(recurse=False) if own in {name} | made]


def plain_copy(module: M) -> M:
    """Return a copy in which parametrised tensors are plain parameters with their present values."""
    made = copy.deepcopy(module)
    for part in list(made.modules()):
        for name in [found.name for found in computed_tensors(part).values() if found.kind == "parametrisation"]:
            parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    return made


def check_not_computed(caller: str, model: nn.Module) -> None:
    """Raise RuntimeError if a tensor of a model is computed or sharded."""
    for where, module in model.named_modules():
        for found in computed_tensors(module, _names(module)).values():
            raise found.refusal(caller, where)


def check_plain(caller: str, model: nn.Module) -> None:
    """Raise RuntimeError if a tensor of a model is computed or sharded, or belongs to two modules."""
    check_not_computed(caller, model)
    check_not_shared(caller, model, {module: [name for name, _ in _own(module)] for module in model.modules()})


def check_readable(caller: str, model: nn.Module) -> None:
    """Raise RuntimeError if a tensor may be older than the parameters from which a hook computes it, or is sharded."""
    for where, module in model.named_modules():
        for found in computed_tensors(module, _names(module)).values():
            if found.kind in ("hook", "shard"):
                raise found.refusal(caller, where)


def check_not_shared(caller: str, model: nn.Module, changed: Mapping[M, Iterable[str]]) -> None:
    """Raise RuntimeError if one of the `changed` tensors (names by module) also belongs to another module."""
    wanted = {id(p) for module, names in changed.items() for name in names for p in parameters_behind(module, name)}
    wanted |= {id(getattr(module, name)) for module, names in changed.items() for name in names}
    owners: dict[int, tuple[nn.Module, str]] = {}
    for where, module in model.named_modules():
        for name, tensor in _own(module):
            full = f"{where}.{name}" if where else name
            other, known = owners.setdefault(id(tensor), (module, full))
            if other is not module and id(tensor) in wanted:
                raise RuntimeError(
                    f"{caller}: {known} and {full} are one tensor, and a change for one module would change the other; "
                    "give the second module a copy, torch.nn.Parameter(tensor.detach().clone()), first"
                )


def _names(module: nn.Module) -> Sequence[str]:
    """The names of the tensors that a layer has: those it lists itself, else those of most layers of torch."""
    listed = getattr(module, "tensor_names", None)
    return listed() if callable(listed) else ("weight", "bias")


def _own(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
