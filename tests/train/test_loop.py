"""The loop: it learns, repeats itself bit for bit, keeps what it says, and stops with a clear word."""

from __future__ import annotations

import dataclasses
import math
import os
import signal

import pytest
import torch

import fasterkan as fk
from fasterkan.data import ImageDataset
from fasterkan.train import (
    Checkpoints,
    EpochMetrics,
    Observer,
    TrainConfig,
    TrainingError,
    TrainingInterrupted,
    TrainResult,
    evaluate,
    train,
)
from fasterkan.train.loop import resolve_device

from ..seeds import seed_of

CONFIG = TrainConfig(layers=(64, 8, 4), lr=1e-2, batch_size=50, epochs=3, warmup=0.2, device="cpu")


def small_net(seed=0):
    return fk.FasterKAN([64, 8, 4], num_grids=4, generator=torch.Generator().manual_seed(seed_of(seed)))


def guessed(images, classes=4):
    """An accuracy above all guesses: five standard deviations of a binomial above their mean, once in three million."""
    return 1 / classes + 5 * math.sqrt((1 - 1 / classes) / classes / images)


def fit(corners, model=None, observers=(), **changes):
    model = small_net() if model is None else model
    config = TrainConfig.from_dict({**CONFIG.to_dict(), **changes})
    return model, train(model, corners(), corners(seed=1), config, observers)


class Diary(Observer):
    """Remembers the order of what it is told."""

    def __init__(self):
        self.lines = []

    def on_start(self, config, steps):
        self.lines.append(f"start {steps}")

    def on_step(self, step, loss):
        self.lines.append(f"step {step}")
        assert math.isfinite(loss)

    def on_epoch(self, metrics):
        self.lines.append(f"epoch {metrics.epoch}")

    def on_end(self, result):
        self.lines.append(f"end {len(result.epochs)}")


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns(corners, precision, optimizer):
    rate = 1e-2 if optimizer == "adamw" else 0.2
    _, result = fit(corners, precision=precision, optimizer=optimizer, lr=rate, clip_grad_norm=5.0, epochs=6)
    assert result.best.validation_accuracy > 0.97
    assert result.epochs[-1].loss < result.epochs[0].loss


def test_it_learns_digits():
    """More than the nearest of the mean images of each digit knows."""
    images, validation, _ = fk.data.train_validation_test("mnist")
    few = ImageDataset(images.images[:4000], images.labels[:4000], images.classes, "mnist")
    config = TrainConfig(lr=5e-3, batch_size=64, epochs=2, label_smoothing=0.03, shift=0.5)
    model = fk.FasterKAN([784, 32, 10], inv_denominator="auto", norm_gain="auto")
    means = torch.stack([few.as_float()[few.labels == digit].flatten(1).mean(0) for digit in range(10)])
    nearest = torch.cdist(validation.as_float().flatten(1), means).argmin(1)
    known = float((nearest == validation.labels).double().mean())
    assert train(model, few, validation, config).best.validation_accuracy > known > 0.7


def test_the_same_seed_gives_the_same_weights(corners):
    changes = {"shift": 1.0, "rotate": 10.0, "clip_grad_norm": 1.0}
    (first, a), (again, b), (other, _) = (fit(corners, seed=seed, **changes) for seed in (3, 3, 4))
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), again.parameters(), strict=True))
    assert [m.loss for m in a.epochs] == [m.loss for m in b.epochs]
    assert not torch.equal(first.layers[0].weight, other.layers[0].weight)


def test_training_leaves_the_global_random_state_alone(corners):
    before = torch.random.get_rng_state()
    fit(corners, shift=1.0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_model_and_data_may_be_named_and_checkpoints_must_be(corners):
    config = dataclasses.replace(CONFIG, epochs=1)
    result = train(model=small_net(), train_set=corners(), validation_set=corners(seed=1), config=config)
    assert len(result.epochs) == 1
    with pytest.raises(TypeError, match="positional argument"):
        train(small_net(), corners(), corners(seed=1), config, (), None)


def test_metrics(corners):
    _, result = fit(corners, schedule="linear")
    assert [m.epoch for m in result.epochs] == [1, 2, 3]
    assert [m.step for m in result.epochs] == [8, 16, 24]
    assert [m.lr for m in result.epochs] == pytest.approx(
        [1e-2 * q for q in (16 / 19 + 1 / 19, 9 / 19, 1 / 19)], rel=1e-6
    )
    for earlier, later in zip(result.epochs, result.epochs[1:], strict=False):
        assert later.training_seconds > earlier.training_seconds
        assert later.seconds > later.training_seconds
    assert result.epochs[0].steps_per_second == pytest.approx(8 / result.epochs[0].training_seconds)


def test_observers_hear_everything_in_order(corners):
    diary = Diary()
    fit(corners, observers=[diary], batch_size=200, epochs=2)
    assert diary.lines == ["start 4", "step 1", "step 2", "epoch 1", "step 3", "step 4", "epoch 2", "end 2"]


class Weights(Observer):
    """Remembers the first layer's weights after each epoch."""

    def __init__(self, model):
        self.model, self.after = model, []

    def on_epoch(self, metrics):
        self.after.append(self.model.layers[0].weight.detach().clone())


class Spoiler(Observer):
    """Turns the network's outputs round after the second epoch."""

    def __init__(self, model):
        self.model = model

    def on_epoch(self, metrics):
        if metrics.epoch == 2:
            with torch.no_grad():
                self.model.layers[-1].weight.neg_()


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_the_model_holds_the_weights_of_the_epoch_that_is_kept(corners, keep, epoch):
    model = small_net()
    weights = Weights(model)
    _, result = fit(corners, model, [weights, Spoiler(model)], keep=keep)
    assert (result.best.epoch, result.kept.epoch) == (2, epoch)
    assert torch.equal(model.layers[0].weight, weights.after[epoch - 1])


def metrics(epoch, accuracy, seconds):
    return EpochMetrics(epoch, epoch, 1.0, 1.0, 1.0, accuracy, 1.0, seconds - 0.5, seconds)


def test_result():
    result = TrainResult((metrics(1, 0.9, 2.0), metrics(2, 0.9772, 4.0), metrics(3, 0.98, 6.0), metrics(4, 0.98, 8.0)))
    assert result.best.epoch == 4
    assert (result.training_seconds, result.seconds) == (7.5, 8.0)
    assert result.seconds_to(0.9772) == 6.0
    assert result.seconds_to(0.99) is None
    assert (TrainResult(()).training_seconds, TrainResult(()).seconds) == (0.0, 0.0)


@pytest.mark.parametrize("where", ["step", "epoch"])
def test_interruption_keeps_whole_epochs(corners, where):
    model = small_net()
    weights = Weights(model)

    class Impatient(Observer):
        def on_step(self, step, loss):
            if where == "step" and step == 11:
                raise KeyboardInterrupt

        def on_epoch(self, metrics):
            if where == "epoch":
                raise KeyboardInterrupt

    diary = Diary()
    with pytest.raises(TrainingInterrupted) as caught:
        fit(corners, model, [weights, Impatient(), diary])
    assert isinstance(caught.value, KeyboardInterrupt)
    assert len(caught.value.result.epochs) == 1
    assert torch.equal(model.layers[0].weight, weights.after[0])
    assert diary.lines[-1] == "end 1"


def test_a_loss_that_is_not_finite_stops_the_run(corners):
    model = small_net()
    with torch.no_grad():
        model.layers[1].weight[0, 0, 0] = math.nan
    with pytest.raises(TrainingError) as caught:
        fit(corners, model)
    assert str(caught.value) == (
        "train: the loss is nan after 0 of 24 steps; the model's layers.1.weight is no longer finite; try a lower "
        "lr (now 0.01), a longer warmup (now 0.2), clip_grad_norm=1; there is no earlier checkpoint"
    )


def test_fp16_suggests_another_precision(corners):
    model = small_net()
    with torch.no_grad():
        model.layers[1].weight *= 1e6
    with pytest.raises(TrainingError, match=r'try .*, precision="bf16" or "float32"; there'):
        fit(corners, model, precision="fp16")


def test_feature_norms_are_calibrated_and_followed(corners):
    model = fk.KAN([64, 8, 4], norm="feature", generator=torch.Generator().manual_seed(seed_of(0)))
    _, result = fit(corners, model)
    assert result.best.validation_accuracy > 0.97
    assert not torch.equal(model.layers[0].norm.scale, torch.ones(64))


@pytest.mark.parametrize("name", ["medium", "high", "highest"])
def test_matmul_precision_holds_while_training_only(corners, name):
    seen = []

    class Look(Observer):
        def on_step(self, step, loss):
            seen.append(torch.get_float32_matmul_precision())

    before = torch.get_float32_matmul_precision()
    fit(corners, observers=[Look()], matmul=name, epochs=1, batch_size=400)
    assert seen == [name]
    assert torch.get_float32_matmul_precision() == before == "highest"


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_device_that_is_not_there(name):
    with pytest.raises(ValueError, match=rf"^device '{name}' cannot be used here: .*; try \"auto\" or \"cpu\"$"):
        resolve_device(name)


def test_device():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_average_is_evaluated_and_kept(corners):
    plain, _ = fit(corners, ema=0.0, keep="last")
    model, result = fit(corners, ema=0.9, keep="last")
    assert not torch.equal(model.layers[0].weight, plain.layers[0].weight)
    assert result.best.validation_accuracy > guessed(400)
    expected = evaluate(model, corners(seed=1))
    assert result.kept.validation_loss == expected.loss


def test_early_stopping(corners):
    _, result = fit(corners, epochs=9, patience=2, lr=1e-12)
    assert len(result.epochs) == 3
    assert result.epochs_without_gain == 2
    assert len(fit(corners, epochs=3, patience=9)[1].epochs) == 3


def test_epochs_without_gain():
    assert TrainResult(()).epochs_without_gain == 0
    numbers = (0.5, 0.8, 0.8, 0.7)
    result = TrainResult(tuple(metrics(i, accuracy, i) for i, accuracy in enumerate(numbers, 1)))
    assert (result.best.epoch, result.epochs_without_gain) == (3, 2)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_fasterkanvolver_learns(corners, optimizer):
    """Its batch norms take the statistics of the new images: after 20 steps their own are those of earlier weights."""

    def bigger(data):
        images = data.images.repeat_interleave(2, 1).repeat_interleave(2, 2)
        return ImageDataset(images, data.labels, data.classes, data.name)

    config = TrainConfig(lr=1e-2, batch_size=40, epochs=4, ema=0.8, optimizer=optimizer, device="cpu", elastic=0.5)
    model = fk.FasterKANvolver([4], image_size=16, generator=torch.Generator().manual_seed(seed_of(0)))
    validation = bigger(corners(100, seed=1))
    result = train(model, bigger(corners(200)), validation, dataclasses.replace(config, keep="last"))
    assert result.epochs[-1].loss < result.epochs[0].loss / 10
    for module in model.eval().modules():
        module.train(isinstance(module, torch.nn.BatchNorm2d))
    right = model(validation.as_float().flatten(1)).argmax(1) == validation.labels
    assert right.double().mean() > 0.9


def test_ctrl_c_waits_for_the_end_of_a_step(corners):
    class Press(Observer):
        steps = 0

        def on_step(self, step, loss):
            self.steps = step
            if step == 5:
                os.kill(os.getpid(), signal.SIGINT)

    press = Press()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted):
        fit(corners, observers=[press])
    assert press.steps == 5
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_twice_stops_at_once_and_writes_no_checkpoint(corners, tmp_path):
    class PressTwice(Observer):
        def on_step(self, step, loss):
            if step == 12:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("still running")

    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(TrainingInterrupted):
        train(small_net(), corners(), corners(seed=1), CONFIG, [PressTwice()], checkpoints=checkpoints)
    assert [folder.name for folder in checkpoints.folders()] == ["step-00000008"]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_an_interrupted_validation_is_repeated(corners, tmp_path, monkeypatch, ema):
    def stop(model, data):
        raise KeyboardInterrupt

    config = dataclasses.replace(CONFIG, ema=ema)
    through, _ = fit(corners, ema=ema)
    checkpoints, model = Checkpoints(tmp_path), small_net()
    monkeypatch.setattr("fasterkan.train.loop.evaluate", stop)
    with pytest.raises(TrainingInterrupted):
        train(model, corners(), corners(seed=1), config, checkpoints=checkpoints)
    monkeypatch.undo()
    assert [folder.name for folder in checkpoints.folders()] == ([] if ema else ["step-00000008"])
    model = small_net()
    train(model, corners(), corners(seed=1), config, checkpoints=checkpoints, resume_from=checkpoints.newest())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), through.parameters(), strict=True))
