"""Every registered model trains, is saved, read and resumed like the first two."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import fasterkan as fk
from fasterkan.models.registry import what_it_takes
from fasterkan.train import (
    Checkpoints,
    Observer,
    RunFolder,
    TrainConfig,
    TrainingInterrupted,
    build_model,
    evaluate,
    run,
    train,
)
from fasterkan.train.optimizer import Stepper

from ..seeds import seed_of

SMALL = {"reskannet": {"channels": (4, 6)}, "kan": {"norm": "feature", "base": "silu"}}
CONFIG = TrainConfig(dataset="corners", lr=1e-2, batch_size=20, epochs=2, device="cpu", keep="last")


def bigger(data, times=2):
    images = data.images.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return dataclasses.replace(data, images=images)


@pytest.fixture(autouse=True)
def parts(corners, monkeypatch):
    """Images of 16 x 16, and one more than batches and evaluations take at a time."""
    found = [bigger(corners(61, seed)) for seed in (0, 1, 2)]
    monkeypatch.setattr("fasterkan.train.runs.train_validation_test", lambda name, root, **options: found)
    return found


def configured(name, **changes):
    takes = what_it_takes(name)
    layers = (4,) if takes.images else (256, 6, 4)
    return TrainConfig(
        model=name, layers=layers, dataset="corners", lr=1e-2, batch_size=20, epochs=2, device="cpu", keep="last",
        model_args=SMALL.get(name.lower(), {}), **changes,
    )  # fmt: skip


class Stop(Observer):
    def __init__(self, step):
        self.at = step

    def on_step(self, step, loss):
        if step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", fk.list_models())
def test_a_run(tmp_path, parts, name):
    config = configured(name, ema=0.5, accumulate=3)
    start = build_model(config, (16, 16))
    result = run(config, tmp_path)
    folder = RunFolder(tmp_path)
    assert folder.load_config() == config
    model = folder.load_model()
    assert type(model) is type(start)
    moved = [not torch.equal(p, q) for p, q in zip(model.parameters(), start.parameters(), strict=True)]
    assert any(moved)
    again = evaluate(model, parts[2])
    assert (again.accuracy, again.confusion) == (result.test.accuracy, result.test.confusion)
    assert again.loss == pytest.approx(result.test.loss, rel=1e-5)  # kernels lie in another order on the disk
    assert evaluate(model, parts[1]).accuracy == result.training.kept.validation_accuracy


@pytest.mark.parametrize(("name", "accuracy"), [("kan", 0.9), ("fastkan", 0.9), ("mlp", 0.9), ("kanvolver", 0.9)])
def test_it_learns(corners, name, accuracy):
    config = dataclasses.replace(configured(name), epochs=8, model_args={})
    data = bigger(corners(200))
    result = train(build_model(config, (16, 16)), data, bigger(corners(100, 1)), config)
    assert result.kept.validation_accuracy > accuracy


RESUMED = {
    "feature-norms": configured("kan", ema=0.9, basis="bspline"),
    "batch-norms": configured("wavkan", optimizer="muon", accumulate=9),
    "convolutions": configured("reskannet", basis="legendre", basis_args={"degree": 2}),
}


@pytest.mark.parametrize("case", RESUMED)
def test_resumed_to_the_same_bits(tmp_path, case):
    run(RESUMED[case], tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(RESUMED[case], tmp_path / "stopped", [Stop(3)])
    assert run(RESUMED[case], tmp_path / "stopped", resume=True).resumed_from == (3,)
    files = [RunFolder(tmp_path / name).model / "model.safetensors" for name in ("through", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = [RunFolder(tmp_path / name).metrics.read_text().splitlines() for name in ("through", "stopped")]
    losses = [[json.loads(line)["loss"] for line in each] for each in lines]
    assert losses[0] == losses[1]


def test_a_run_of_an_earlier_version_is_resumed(tmp_path):
    """Its configuration names no basis."""
    config = dataclasses.replace(CONFIG, layers=(256, 6, 4))
    run(config, tmp_path / "through")
    with pytest.raises(TrainingInterrupted):
        run(config, tmp_path / "stopped", [Stop(3)])
    place = tmp_path / "stopped" / "config.json"
    fields = json.loads(place.read_text())
    assert [fields.pop(name) for name in ("basis", "basis_args", "model_args")] == [None, {}, {}]
    assert fields["num_grids"] == 8
    place.write_text(json.dumps(fields))
    run(config, tmp_path / "stopped", resume=True)
    files = [RunFolder(tmp_path / name).model / "model.safetensors" for name in ("through", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_feature_norms_freeze_at_the_same_step_when_resumed(tmp_path, parts):
    def net():
        norm = fk.FeatureNorm(updates=4)
        return fk.KAN([256, 3, 4], norm=norm, generator=torch.Generator().manual_seed(seed_of(0)))

    through, stopped, checkpoints = net(), net(), Checkpoints(tmp_path)
    train(through, *parts[:2], CONFIG)
    with pytest.raises(TrainingInterrupted):
        train(stopped, *parts[:2], CONFIG, [Stop(2)], checkpoints=checkpoints)
    stopped = net()
    train(stopped, *parts[:2], CONFIG, checkpoints=checkpoints, resume_from=checkpoints.newest())
    assert all(layer.norm.frozen for layer in stopped.layers)
    state = through.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in stopped.state_dict().items())


def test_evaluation_before_training_leaves_a_feature_norm_to_be_calibrated(corners):
    config = configured("kan")
    model, data = build_model(config, (16, 16)), bigger(corners(60))
    with pytest.raises(RuntimeError, match="FeatureNorm is not calibrated"):
        evaluate(model, data)
    assert model.training
    train(model, data, data, config)
    other = build_model(config, (16, 16))
    train(other, data, data, config)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_parts_of_a_batch_have_two_images_where_batch_norms_look_at_rows():
    sizes = {}
    for name in ("wavkan", "mlp"):
        config = configured(name, accumulate=4)
        model = build_model(config, (16, 16))
        seen = sizes.setdefault(name, [])
        model.register_forward_pre_hook(lambda module, args, seen=seen: seen.append(len(args[0])))
        Stepper(model.train(), config, 1, torch.device("cpu")).gradient(torch.rand(5, 256), torch.zeros(5).long())
    assert sizes == {"wavkan": [3, 2], "mlp": [2, 1, 1, 1]}


def test_one_image_at_a_time_is_refused_before_the_folder_is_touched(tmp_path, corners):
    config = dataclasses.replace(configured("kanvolver"), batch_size=1)
    with pytest.raises(ValueError, match=r"^a batch of 1 image is too small for KANvolver, "):
        run(config, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match=r"^a batch of 1 image is too small for KANvolver, "):
        train(build_model(config, (16, 16)), bigger(corners(20)), bigger(corners(20)), config)
    result = run(dataclasses.replace(configured("mlp"), batch_size=1, epochs=1), tmp_path / "b")
    assert result.training.epochs[0].step == 61
