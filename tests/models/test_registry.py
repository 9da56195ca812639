"""Models by name."""

from __future__ import annotations

import pytest
import torch

import fasterkan as fk
from fasterkan.bases.wavelet import Kind
from fasterkan.models.registry import what_it_takes

from ..seeds import seed_of

PRESETS = ["ChebyKAN", "EfficientKAN", "FastKAN", "FourierKAN", "KALNet", "PyKAN", "RBFKAN", "ReLUKAN", "WavKAN"]
OWN = ["FasterKAN", "KAN", "MLP"]


def test_every_public_model_is_listed() -> None:
    public = {
        name
        for name in fk.__all__
        if isinstance(thing := getattr(fk, name), type) and issubclass(thing, fk.models.Pretrained)
    }
    assert public | set(PRESETS) == set(fk.list_models())
    assert fk.list_models() == sorted(fk.list_models(), key=str.lower)


@pytest.mark.parametrize("name", [*OWN, *PRESETS])
def test_created_by_name(name: str) -> None:
    torch.manual_seed(seed_of(1))
    made = fk.create_model(name.upper(), [6, 4, 3])
    torch.manual_seed(seed_of(1))
    direct, x = getattr(fk, name)([6, 4, 3]), torch.rand(5, 6)
    assert type(made) is type(direct)
    assert torch.equal(made(x), direct(x))


def test_arguments_and_overrides_arrive() -> None:
    assert fk.create_model("fastkan", [6, 4], -1.0, num_grids=5).basis == fk.Gaussian(5, (-1.0, 2.0))
    assert fk.create_model("FasterKANvolver", [8, 3], in_channels=2).in_channels == 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("f*kan", ["FasterKAN", "FastKAN", "FourierKAN"]),
        ("*VOLVER", None),
        ("MLP", ["MLP"]),
        ("?AN", ["KAN"]),
        ("[mk]*", None),
        ("", []),
        ("resnet*", []),
    ],
)
def test_patterns(pattern: str, names: list[str] | None) -> None:
    expected = {"*VOLVER": lambda n: n.endswith("volver"), "[mk]*": lambda n: n[0] in "MK"}
    assert fk.list_models(pattern) == (names if names is not None else [*filter(expected[pattern], fk.list_models())])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FastKan2", "did you mean 'FastKAN' or 'FasterKAN'"),
        ("efficient-kan", "did you mean 'EfficientKAN'"),
        ("wavekan", "did you mean 'WavKAN'"),
        ("", "known: ChebyKAN, "),
        ("transformer", "known: ChebyKAN, "),
    ],
)
def test_unknown_names_list_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        fk.create_model(name, [6, 3])
    message = str(caught.value)
    assert message.startswith(f"create_model: model {name!r} is unknown; {hint}")
    assert message.endswith(f"known: {', '.join(fk.list_models())}")


def test_what_it_takes() -> None:
    images = [name for name in fk.list_models() if what_it_takes(name).images]
    assert images == ["FasterKANvolver", "KANvolver", "ResKANNet"]
    assert [name for name in fk.list_models() if what_it_takes(name).basis] == ["KAN", "ResKANNet"]
    takes = what_it_takes("RESkannet")
    assert takes.defaults == {"channels": (16, 32, 64), "blocks": 1, "base": None}
    assert takes.types.keys() == takes.defaults.keys()
    assert what_it_takes("wavkan").types == {"wavelet_type": Kind}
    with pytest.raises(KeyError):
        what_it_takes("transformer")


@pytest.mark.parametrize("name", fk.list_models())
def test_the_defaults_are_those_of_the_model(name: str) -> None:
    """Given by name they change nothing, whatever the widths and the image are called."""
    torch.manual_seed(1)
    plain = fk.create_model(name, [784, 3])
    torch.manual_seed(1)
    made = fk.create_model(name, [784, 3], **what_it_takes(name).defaults)
    x = torch.rand(4, 784)
    assert torch.equal(made.eval()(x), plain.eval()(x))


def test_other_mistakes() -> None:
    with pytest.raises(TypeError, match=r"^create_model: name must be a string, got 3"):
        fk.create_model(3)
    with pytest.raises(TypeError, match=r"^list_models: pattern must be a string"):
        fk.list_models(None)
    with pytest.raises(TypeError, match="FastKAN has no argument 'grids'"):
        fk.create_model("FastKAN", [6, 3], grids=4)


def test_an_unknown_argument_is_told_with_the_nearest():
    with pytest.raises(
        TypeError, match=r"FastKAN has no argument 'num_grid'; did you mean 'num_grids'\? it has: layers"
    ):
        fk.create_model("fastkan", [4, 3], num_grid=3)
    with pytest.raises(TypeError, match="MLP has no argument 'xyzzy'; it has: "):
        fk.create_model("mlp", [4, 3], xyzzy=1)
