"""One step: loss by its formula, clipping, decay, rates, precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fasterkan as fk
from fasterkan.train import TrainConfig
from fasterkan.train.optimizer import Stepper

from ..seeds import seed_of

CPU = torch.device("cpu")


def small_net():
    return fk.FasterKAN([6, 5, 3], generator=torch.Generator().manual_seed(seed_of(0)))


def batch(rows=16):
    generator = torch.Generator().manual_seed(seed_of(1))
    return torch.rand(rows, 6, generator=generator), torch.randint(3, (rows,), generator=generator)


def take(stepper, loss):
    """A step with this loss."""
    stepper.model.zero_grad()
    stepper.differentiate(loss)
    stepper.move()


def test_label_smoothing_is_its_formula():
    model, (x, labels), e = small_net(), batch(), 0.1
    loss = Stepper(model, TrainConfig(label_smoothing=e), 10, CPU).loss(x, labels)
    log_p = model(x).double().log_softmax(-1)
    target = torch.full_like(log_p, e / 3).scatter_add(1, labels[:, None], torch.full_like(log_p[:, :1], 1 - e))
    assert loss.item() == pytest.approx(-(target * log_p).sum(1).mean().item(), rel=1e-6)


def test_learning_rate_follows_the_schedule():
    model, (x, labels) = small_net(), batch()
    stepper = Stepper(model, TrainConfig(lr=1e-3, warmup=0.5), 4, CPU)
    rates = []
    for _ in range(4):
        take(stepper, stepper.loss(x, labels))
        rates.append(stepper.lr)
        assert {group["lr"] for group in stepper.optimizers[0].param_groups} == {stepper.lr}
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3, 5e-4])
    assert stepper.step == 4


def test_only_weights_decay():
    model = small_net()
    groups = Stepper(model, TrainConfig(weight_decay=0.2), 4, CPU).optimizers[0].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        name: 0.2 if name in {"layers.0.weight", "layers.1.weight"} else 0.0 for name, _ in model.named_parameters()
    }


@pytest.mark.parametrize(("limit", "expected"), [(None, 8.0), (1.0, 1.0), (100.0, 8.0)])
def test_clipping(limit, expected):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    config = TrainConfig(optimizer="sgd", lr=0.5, betas=(0.0, 0.9), warmup=0, weight_decay=0, clip_grad_norm=limit)
    stepper = Stepper(model, config, 1, CPU)
    take(stepper, -8 * model.weight.sum())
    assert model.weight.item() == pytest.approx(0.5 * expected)


def test_sgd_takes_the_first_beta_as_momentum():
    groups = Stepper(small_net(), TrainConfig(optimizer="sgd", betas=(0.7, 0.9)), 4, CPU).optimizers[0].param_groups
    assert {group["momentum"] for group in groups} == {0.7}


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
def test_precision_of_the_products(precision, dtype):
    model, (x, labels), seen = small_net(), batch(), []
    model.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    stepper = Stepper(model, TrainConfig(precision=precision), 10, CPU)
    loss = stepper.loss(x, labels)
    assert seen == [getattr(torch, dtype)]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(Stepper(model, TrainConfig(), 10, CPU).loss(x, labels).item(), rel=2e-2)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_takes_the_same_direction(precision):
    moves = []
    for name in ("float32", precision):
        model, (x, labels) = small_net(), batch()
        config = TrainConfig(precision=name, optimizer="sgd", betas=(0.0, 0.9), warmup=0, lr=0.1, clip_grad_norm=5.0)
        stepper = Stepper(model, config, 10, CPU)
        before = [p.detach().clone() for p in model.parameters()]
        take(stepper, stepper.loss(x, labels))
        moves.append(torch.cat([(p.detach() - b).flatten() for p, b in zip(model.parameters(), before, strict=True)]))
    assert torch.cosine_similarity(*moves, dim=0) > 0.999
    assert moves[1].norm().item() == pytest.approx(moves[0].norm().item(), rel=0.02)


def test_fp16_skips_a_step_whose_gradient_overflows():
    model, (x, labels) = small_net(), batch()
    stepper = Stepper(model, TrainConfig(precision="fp16", clip_grad_norm=1.0), 10, CPU)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    take(stepper, stepper.loss(x, labels) * 1e36)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert stepper.scaler.get_scale() == 2.0**15
    take(stepper, stepper.loss(x, labels))
    assert not torch.equal(model.layers[0].weight, before["layers.0.weight"])


@pytest.mark.parametrize("parts", [2, 3, 16, 99])
def test_parts_of_a_batch_give_the_same_gradient(parts):
    (whole, x, labels), pieces = (small_net(), *batch()), small_net()
    loss = Stepper(whole, TrainConfig(label_smoothing=0.1), 10, CPU).gradient(x, labels)
    again = Stepper(pieces, TrainConfig(label_smoothing=0.1, accumulate=parts), 10, CPU).gradient(x, labels)
    assert again.item() == pytest.approx(loss.item(), rel=1e-6)
    for one, other in zip(whole.parameters(), pieces.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)
    assert not again.requires_grad
