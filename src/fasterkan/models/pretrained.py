"""Models as folders: `model.safetensors` and `config.json`, written atomically, checked when read, without pickle."""

from __future__ import annotations

import json
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from .._check import did_you_mean
from .._files import sha256_of, write_atomically
from .._version import __version__
from ..bases._base import register
from ..nn import KANLinear
from ..nn.computed import check_plain

T = TypeVar("T")
CONFIG, WEIGHTS, FORMAT = "config.json", "model.safetensors", 2
_READ = (1, FORMAT)
_KEYS = {"format", "fasterkan_version", "model", "arguments", "dtype", "weights_sha256", "config_sha256"}
_DTYPES = ("float64", "float32", "bfloat16", "float16")
_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""The exceptions that a constructor may raise for arguments that it does not accept."""


class CheckpointError(ValueError):
    """A saved model cannot be used; the message says what was found, what was expected, and what to do."""


class Pretrained(nn.Module):
    """`save_pretrained` and `from_pretrained` for models that can be made again from their configuration."""

    registry: ClassVar[dict[str, type[Pretrained]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(Pretrained.registry, cls)

    @abstractmethod
    def to_config(self) -> dict[str, Any]:
        """Return the arguments, as values for JSON, from which `from_config` makes a model of the same shape."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any], **factory: Any) -> Pretrained:
        """Return a new model; `factory` holds device and dtype."""

    @classmethod
    def from_format_1(
        cls, config: Mapping[str, Any], state: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Convert the arguments and tensors of a file of format 1 to the present format; by default, return them."""
        return dict(config), state

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write `model.safetensors` and `config.json` into `folder` and return it.

        Both files are written under temporary names, flushed to the disk and renamed. An interruption therefore leaves
        either the old files or the new files, and never a partly written file. If `from_pretrained` could not read the
        result, nothing is written.

        Raises:
            ValueError: the model holds NaN or infinity, has a function without a name for the file, or cannot be made
                again from its `to_config`.
            RuntimeError: a tensor is computed (by a parametrisation or a hook), is sharded, or belongs to two modules:
                `config.json` cannot say so.
            OSError: the folder cannot be written; its files are then unchanged.
        """
        folder = Path(folder)
        check_plain("save_pretrained", self)
        state = {name: tensor.detach().contiguous().cpu() for name, tensor in self.state_dict().items()}
        if bad := [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]:
            raise ValueError(f"save_pretrained: {', '.join(bad)} hold NaN or infinity; nothing was written")
        weights = safetensors.torch.save(state, metadata={"format": "pt"})
        config = {
            "format": FORMAT,
            "fasterkan_version": __version__,
            "model": type(self).__name__,
            "arguments": self.to_config(),
            "dtype": str(next(self.parameters()).dtype).removeprefix("torch."),
            "weights_sha256": sha256_of(weights),
        }
        self._check_repeatable(config, state)
        text = json.dumps({**config, "config_sha256": _digest(config)}, indent=2) + "\n"
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically({folder / CONFIG: text.encode(), folder / WEIGHTS: weights})
        return folder

    def _check_repeatable(self, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        try:
            misfit = _misfit(_empty_twin(type(self), json.loads(json.dumps(config, allow_nan=False))), state)
        except _UNUSABLE as error:
            raise ValueError(
                f"save_pretrained: this {type(self).__name__} cannot be made again from its to_config(): {error}; "
                "nothing was written"
            ) from error
        if misfit:
            raise ValueError(
                f"save_pretrained: this {type(self).__name__} is not what its to_config() describes: {misfit}; "
                "nothing was written"
            )

    @classmethod
    def from_pretrained(cls: type[P], folder: str | Path, *, device: torch.device | str = "cpu") -> P:
        """Return the model that `save_pretrained` wrote into `folder`, on `device`, in eval mode.

        Raises:
            CheckpointError: a file is missing, incomplete or changed, or does not hold a model of this class.
        """
        model = from_pretrained(folder, device=device)
        if not isinstance(model, cls):
            raise CheckpointError(f"{folder} holds a {type(model).__name__}, not a {cls.__name__}")
        return model


P = TypeVar("P", bound=Pretrained)


@torch.inference_mode(False)
def from_pretrained(folder: str | Path, *, device: torch.device | str = "cpu") -> Pretrained:
    """Return the model of any class that `save_pretrained` wrote into `folder`, on `device`, in eval mode.

    Checksums, names, shapes, dtypes and finiteness are checked. No code from the files is executed.

    Raises:
        CheckpointError: a file is missing, incomplete or changed, or does not match a model of this version.
    """
    folder = Path(folder)
    config = _read_config(folder)
    model_class, state = Pretrained.registry[config["model"]], _read_weights(folder / WEIGHTS, config)
    try:
        if config["format"] == 1:
            arguments, state = _without_warnings(model_class.from_format_1, config["arguments"], state)
            config = {**config, "arguments": arguments}
        model = _empty_twin(model_class, config)
    except _UNUSABLE as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{folder / CONFIG} does not describe a {config['model']}: {reason}") from error
    if config["format"] == 1:
        _expect_masks(model, state)
    _check_weights(folder / WEIGHTS, model, state)
    model.load_state_dict({name: tensor.to(device) for name, tensor in state.items()}, assign=True)
    return model.to(device).eval()


def _empty_twin(model_class: type[Pretrained], config: Mapping[str, Any]) -> Pretrained:
    """The model that `config` describes, on the meta device, without repeating the warnings of its construction."""
    dtype = getattr(torch, config["dtype"])
    return _without_warnings(model_class.from_config, config["arguments"], device="meta", dtype=dtype)


def _without_warnings(function: Callable[..., T], *args: Any, **options: Any) -> T:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*args, **options)


def _misfit(model: nn.Module, state: Mapping[str, Tensor]) -> str | None:
    """Return how `state` differs from the state of `model`, or None if it does not differ."""
    expected = model.state_dict()
    missing, unexpected = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or unexpected:
        return f"missing {missing[:5]}, unexpected {unexpected[:5]}"
    for name, want in expected.items():
        got = state[name]
        if got.shape != want.shape or got.dtype != want.dtype:
            return f"{name} is {got.dtype} {tuple(got.shape)}, expected {want.dtype} {tuple(want.shape)}"
    return None


def _expect_masks(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the layers of a model a mask if `state` has one: format 1 does not say which layers have masks."""
    for name, module in model.named_modules():
        if isinstance(module, KANLinear) and (f"{name}.mask" if name else "mask") in state:
            module.mask = torch.ones(module.out_features, module.in_features, dtype=torch.bool, device="meta")


def _digest(config: Mapping[str, Any]) -> str:
    """The sha256 of a configuration without its own checksum, independent of the order of keys and of white space."""
    content = {key: value for key, value in config.items() if key != "config_sha256"}
    return sha256_of(json.dumps(content, sort_keys=True).encode())


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    for file in (path, folder / WEIGHTS):
        if not file.is_file():
            have = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
            raise CheckpointError(f"{file} is missing ({have}); give a folder that save_pretrained wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}; restore it or save the model again") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} holds a {type(config).__name__}, an object was expected")
    if config.get("format") not in _READ:
        known = " and ".join(map(str, _READ))
        raise CheckpointError(
            f"{path}: format is {config.get('format')!r}, this version (fasterkan {__version__}) reads {known}"
        )
    if missing := sorted(_KEYS - set(config)):
        raise CheckpointError(f"{path} lacks {', '.join(missing)}")
    if unknown := sorted(set(config) - _KEYS):
        raise CheckpointError(f"{path} has unknown keys {', '.join(unknown)}; expected {', '.join(sorted(_KEYS))}")
    if (digest := _digest(config)) != config["config_sha256"]:
        raise CheckpointError(
            f"{path} was changed: its sha256 is {digest[:16]}..., it says {str(config['config_sha256'])[:16]}...; "
            "restore it or save the model again"
        )
    name = str(config["model"])
    if name not in Pretrained.registry:
        hint = did_you_mean(name, Pretrained.registry)
        raise CheckpointError(
            f"{path}: model {name!r} is not known; {hint}known: {', '.join(sorted(Pretrained.registry))}. "
            "A model class of your own must be imported before it is loaded"
        )
    if config["dtype"] not in _DTYPES:
        raise CheckpointError(f"{path}: dtype is {config['dtype']!r}, expected one of {', '.join(_DTYPES)}")
    return config


def _read_weights(path: Path, config: Mapping[str, Any]) -> dict[str, Tensor]:
    data = path.read_bytes()
    if (digest := sha256_of(data)) != config["weights_sha256"]:
        raise CheckpointError(
            f"{path} ({len(data)} bytes, sha256 {digest[:16]}...) is incomplete, was changed or comes from another "
            f"save than {CONFIG}, which expects sha256 {str(config['weights_sha256'])[:16]}...; "
            "restore both files from one save"
        )
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, LookupError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({len(data)} bytes): {error}") from error


def _check_weights(path: Path, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if `state` does not match the model or is not finite."""
    if misfit := _misfit(model, state):
        raise CheckpointError(f"{path} does not hold the model that {CONFIG} describes: {misfit}")
    if bad := [name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all())]:
        raise CheckpointError(f"{path}: {', '.join(bad)} hold NaN or infinity; use an earlier checkpoint")
