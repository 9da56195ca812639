"""What a training run is made of: one frozen record, checked when it is made, written beside every result."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .._check import positive_number, real_number, whole_number
from ..bases import Basis, basis_from_config
from ..models.registry import what_it_takes
from .names import as_pairs, basis_name, basis_types, check_argument, model_name, suggest, what_else

_NAME = "TrainConfig"
_FREE = ("data_root", "checkpoint_minutes", "keep_checkpoints")
"""Fields that may change when a run is resumed."""
NETWORK: dict[str, Any] = {
    "num_grids": 8,
    "grid_min": -1.2,
    "grid_max": 1.2,
    "inv_denominator": 1.0,
    "exponent": 2.0,
    "train_grid": False,
    "train_inv_denominator": False,
    "norm_gain": 1.0,
}
"""Fields that are arguments of the model. The values are the defaults of a model that has all of these arguments: a
FasterKAN, alone or behind convolutions. A model with some of them has its own defaults."""
PAIRS = ("basis_args", "model_args")
"""Fields with arguments by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the outcome of a training run of one network on labelled images.

    Each field is described below it; those texts are also the help of `fasterkan train` (`field_docs`).

    Raises:
        TypeError, ValueError: a field is outside its domain.

    Example:
        >>> TrainConfig(layers=(784, 64, 10), epochs=3).batch_size
        128
    """

    dataset: str = "mnist"
    """Data set, by name."""
    data_root: str | None = None
    """Folder with the files of the data set. Default: $FASTERKAN_DATA, data/ and the cache; if they do not have the
    files, a download."""
    white: float | None = None
    """White in images of a folder with 16 or 32 bits or floating point: for example 4095 for 12 bits. Default: the
    largest number of as many bits; 1 for floating point."""
    model: str = "fasterkan"
    """Name of the network, in upper or lower case."""
    layers: tuple[int, ...] = ()
    """Widths of the network, from the number of pixels to the number of classes, such as 784,64,10. In a network with
    convolutions: only the widths after them, such as 64,10. Default: pixels,256,classes; with convolutions:
    64,classes."""
    basis: str | None = None
    """Basis: the kind of functions on the edges. Only some models have this choice (kan, reskannet)."""
    basis_args: tuple[tuple[str, Any], ...] = ()
    """Argument of the basis, such as degree=3; may be given several times."""
    model_args: tuple[tuple[str, Any], ...] = ()
    """Any other argument of the model, such as norm=feature; may be given several times."""
    num_grids: int | None = None
    """Number of basis functions on each edge."""
    grid_min: float | None = None
    """First centre of the basis, in units of the normalised input."""
    grid_max: float | None = None
    """Last centre of the basis, in the same units."""
    inv_denominator: float | Literal["auto"] | None = None
    """1/h, where h is the width of a basis function. "auto" is 1 / (1.2 d), where d is the distance between two
    centres."""
    exponent: float | None = None
    """p in 1 - |tanh((z - u) / h)|^p, where z is the normalised input and u is a centre."""
    train_grid: bool | None = None
    """Learn the centres."""
    train_inv_denominator: bool | None = None
    """Learn 1/h."""
    norm_gain: float | Literal["auto"] | None = None
    """Initial gain of the norms: the factor after the normalisation. With "auto", gradients keep their size from layer
    to layer."""
    freeze_input_norm: bool = False
    """Do not train the norm of the first KAN layer (in a network with convolutions: of the first layer after them).
    This layer then needs two matrix products in a step instead of three."""
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    """Optimiser. With "muon", Muon trains the edge weights and the kernels, and AdamW trains the rest."""
    lr: float = 2e-3
    """Highest learning rate."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay rates of the two moving averages of AdamW. SGD and Muon use the first one as their momentum."""
    weight_decay: float = 0.05
    """Weight decay of the edge weights and the kernels. Grids, widths, norms and biases have none."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls to 0 after the warm-up. With "constant" it does not fall."""
    warmup: float = 0.1
    """Share of the training, at its start, in which the learning rate rises from 0."""
    batch_size: int = 128
    """Number of images in a step."""
    accumulate: int = 1
    """Number of parts of a batch. The parts go through the network one after the other, which needs less memory. The
    gradient is the same up to rounding, except in a network with batch norms. There, a part has at least two images."""
    epochs: int = 10
    """Number of passes over the training images."""
    label_smoothing: float = 0.0
    """Share of each target that is spread evenly over all classes."""
    clip_grad_norm: float | None = None
    """Largest norm of the gradient of all parameters. A larger gradient is scaled down. Default: no limit."""
    ema: float = 0.0
    """Decay rate of a moving average of the weights, such as 0.98. This average is then evaluated and kept. 0: no
    average."""
    patience: int | None = None
    """Stop after this many epochs without a better validation accuracy. Default: never stop early."""
    shift: float = 0.0
    """Augmentation: move each image by up to this many pixels in each direction."""
    rotate: float = 0.0
    """Augmentation: turn each image by up to this many degrees."""
    scale: float = 0.0
    """Augmentation: stretch or shrink each axis by a factor of up to exp(this). With 0.1, this is about 10 %."""
    shear: float = 0.0
    """Augmentation: slant each image. Each row moves by up to this many pixels against the row above it."""
    elastic: float = 0.0
    """Augmentation: bend each image smoothly, by up to this many pixels."""
    augment_off: float = 0.15
    """Share of the training without augmentation. It is the last part of the training."""
    keep: Literal["best", "last"] = "best"
    """Weights to keep: those of the epoch with the best validation accuracy, or those of the last epoch."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """Arithmetic of the matrix products. "bf16" is autocast to bfloat16; "fp16" is autocast to float16, with a
    scaled loss."""
    matmul: Literal["highest", "high", "medium"] = "highest"
    """Precision of float32 matrix products in training, as for torch.set_float32_matmul_precision. "medium" may use
    bfloat16. On CPUs with AVX-512 it chooses the faster library."""
    device: str = "auto"
    """Where to train, such as cpu or cuda:0. "auto" is CUDA if there is a CUDA device, and the CPU if not."""
    seed: int = 0
    """Seed of everything random: the initial weights, the order of the images, their augmentation and dropout."""
    checkpoint_minutes: float = 5.0
    """Minutes between two checkpoints. There is also a checkpoint after each epoch, and after Ctrl-C."""
    keep_checkpoints: int = 2
    """Number of checkpoints to keep in training. With 0 there are none, and the run cannot be resumed."""

    def __post_init__(self) -> None:
        for name in ("layers", "betas"):
            if not isinstance(getattr(self, name), (tuple, list)):
                raise TypeError(f"{_NAME}: {name} must be a sequence of numbers, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("dataset", "device", "data_root"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value) and not (name == "data_root" and value is None):
                raise TypeError(f"{_NAME}: {name} must be a string of one or more letters, got {value!r}")
        if self.white is not None:
            positive_number(_NAME, "white", self.white)
        self._name_network()
        for name in ("train_grid", "train_inv_denominator", "freeze_input_norm"):
            value = getattr(self, name)
            if not isinstance(value, bool) and not (name in NETWORK and value is None):
                raise TypeError(f"{_NAME}: {name} must be True or False, got {value!r}")
        for name in ("optimizer", "schedule", "keep", "precision", "matmul"):
            if getattr(self, name) not in choices(name):
                raise ValueError(
                    f"{_NAME}: unknown {name} {getattr(self, name)!r}; {suggest(getattr(self, name), choices(name))}"
                )
        self._check_model()
        self._check_training()

    def _name_network(self) -> None:
        """Replace names by their registered spelling, and set the fields of the model that were not given."""
        try:
            object.__setattr__(self, "model", model_name(self.model))
            if self.basis is not None:
                object.__setattr__(self, "basis", basis_name(self.basis))
            for name in PAIRS:
                object.__setattr__(self, name, as_pairs(name, getattr(self, name)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{_NAME}: {error}") from error
        takes, other, strange = what_it_takes(self.model), dict(self.model_args), []
        for name in other:
            check_argument(f"{_NAME}: {self.model}", name, takes.defaults)
        defaults = NETWORK if NETWORK.keys() <= takes.defaults.keys() else takes.defaults
        for name in NETWORK:
            value = getattr(self, name)
            said = other.pop(name, None)
            if None not in (value, said) and value != said:
                raise ValueError(f"{_NAME}: {name} is given twice, {value!r} and in model_args {said!r}; leave one out")
            value = said if value is None else value
            if name in takes.defaults:
                object.__setattr__(self, name, defaults[name] if value is None else value)
            elif value is not None:
                strange.append(name)
        if strange:
            raise ValueError(f"{_NAME}: {self.model} has no {' and no '.join(strange)}; {what_else(self.model)}")
        object.__setattr__(self, "model_args", as_pairs("model_args", other))

    def _check_basis(self) -> None:
        if self.basis is None:
            if self.basis_args:
                raise ValueError(f"{_NAME}: basis_args are arguments of a basis, and none is named; set basis")
            return
        if not what_it_takes(self.model).basis:
            raise ValueError(
                f"{_NAME}: {self.model} has functions of its own, it takes no basis; leave {self.basis} out, or choose "
                "another model, such as kan"
            )
        for name, _ in self.basis_args:
            check_argument(f"{_NAME}: {self.basis}", name, basis_types(self.basis))
        self.chosen_basis()

    def _check_model(self) -> None:
        self._check_basis()
        least = 1 if what_it_takes(self.model).images else 2
        if self.layers and len(self.layers) < least:
            raise ValueError(f"{_NAME}: layers needs an input and an output width, such as 784,10; got {self.layers}")
        for i, width in enumerate(self.layers):
            whole_number(_NAME, f"layers[{i}]", width, 1)
        if self.num_grids is not None:
            whole_number(_NAME, "num_grids", self.num_grids, 2)
        if (
            self.grid_min is not None
            and self.grid_max is not None
            and real_number(_NAME, "grid_max", self.grid_max) <= real_number(_NAME, "grid_min", self.grid_min)
        ):
            raise ValueError(f"{_NAME}: grid_max must be above grid_min ({self.grid_min}), got {self.grid_max}")
        for name in ("inv_denominator", "norm_gain"):
            if isinstance(value := getattr(self, name), str) and value != "auto":
                raise ValueError(f'{_NAME}: {name} must be a number or "auto", got {value!r}')
        if self.inv_denominator not in (None, "auto") and not real_number(
            _NAME, "inv_denominator", self.inv_denominator
        ):
            raise ValueError(f"{_NAME}: inv_denominator must not be 0, every function would be constant")
        if self.exponent is not None:
            positive_number(_NAME, "exponent", self.exponent)
        if self.norm_gain not in (None, "auto"):
            positive_number(_NAME, "norm_gain", self.norm_gain)

    def _check_training(self) -> None:
        positive_number(_NAME, "lr", self.lr)
        if len(self.betas) != 2:
            raise ValueError(f"{_NAME}: betas must be two numbers, such as 0.9,0.98; got {self.betas}")
        for name, value in (
            ("betas[0]", self.betas[0]),
            ("betas[1]", self.betas[1]),
            ("warmup", self.warmup),
            ("label_smoothing", self.label_smoothing),
            ("ema", self.ema),
        ):
            if not 0 <= real_number(_NAME, name, value) < 1:
                raise ValueError(f"{_NAME}: {name} must be at least 0 and below 1, got {value}")
        if not 0 <= real_number(_NAME, "augment_off", self.augment_off) <= 1:
            raise ValueError(f"{_NAME}: augment_off must be from 0 to 1, got {self.augment_off}")
        for name in ("weight_decay", "shift", "rotate", "scale", "shear", "elastic"):
            if real_number(_NAME, name, getattr(self, name)) < 0:
                raise ValueError(f"{_NAME}: {name} must not be negative, got {getattr(self, name)}")
        for name, least in (
            ("batch_size", 1),
            ("accumulate", 1),
            ("epochs", 1),
            ("seed", 0),
            ("keep_checkpoints", 0),
        ):
            whole_number(_NAME, name, getattr(self, name), least)
        if self.seed >= 2**63:
            raise ValueError(f"{_NAME}: seed must be below 2^63, got {self.seed}")
        if self.clip_grad_norm is not None:
            positive_number(_NAME, "clip_grad_norm", self.clip_grad_norm)
        if self.patience is not None:
            whole_number(_NAME, "patience", self.patience, 1)
        positive_number(_NAME, "checkpoint_minutes", self.checkpoint_minutes)
        if self.optimizer == "muon" and self.precision == "fp16":
            raise ValueError(f'{_NAME}: optimizer "muon" needs precision "float32" or "bf16", got "fp16"')

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the model by name, without the widths, the basis and the size of the images."""
        own = what_it_takes(self.model).defaults
        return {**{name: getattr(self, name) for name in NETWORK if name in own}, **dict(self.model_args)}

    def chosen_basis(self) -> Basis | None:
        """Return the chosen basis; None if the model keeps its own.

        Raises:
            TypeError, ValueError: the family does not accept an argument.
        """
        return None if self.basis is None else basis_from_config({**dict(self.basis_args), "name": self.basis})

    def differences(self, other: TrainConfig) -> tuple[str, ...]:
        """Return the names of the fields that differ, those left out that change no number of the run."""
        names = (field.name for field in dataclasses.fields(self))
        return tuple(n for n in names if n not in _FREE and getattr(self, n) != getattr(other, n))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name as values for JSON: lists instead of tuples, and arguments by name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: _to_json(dict(value) if name in PAIRS else value) for name, value in fields.items()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainConfig:
        """Return the configuration that `to_dict` wrote; fields that are not named have their defaults.

        Raises:
            ValueError: an unknown field, with the nearest known one.
            TypeError, ValueError: a field is outside its domain.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise ValueError(f"{_NAME}: unknown field {name!r}; {suggest(name, known)}")
        return cls(**fields)


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json(each) for name, each in value.items()}
    return [_to_json(each) for each in value] if isinstance(value, tuple) else value


def choices(field: str) -> tuple[str, ...]:
    """Return the words that a field of `TrainConfig` may be, none where it is not one of a few words."""
    hint = get_type_hints(TrainConfig)[field]
    literals = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal]
    return tuple(word for literal in literals for word in get_args(literal))


def field_docs() -> dict[str, str]:
    """Return the text below each field of `TrainConfig`, by name; nothing where Python runs without sources."""
    try:
        source = inspect.getsource(TrainConfig)
    except OSError:
        return {}
    body = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
