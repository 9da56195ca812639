"""The common part of models for images: features of an image, and a KAN after them, the head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from torch import Tensor

from ..nn import KANLinear
from .kan import KAN
from .pretrained import Pretrained

H = TypeVar("H", bound="_ImageModel")


class _ImageModel(Pretrained):
    """A model [..., C, H, W] -> [..., O] whose first argument is the widths of the head, without its inputs.

    Attributes:
        head: the KAN; everything that concerns it is read from it.
        in_channels: C.
        image_size: (H, W).
    """

    head_class: ClassVar[type[KAN]] = KAN
    head: KAN
    in_channels: int
    image_size: tuple[int, int]

    @property
    def layers_hidden(self) -> tuple[int, ...]:
        """The widths after the features, which are those of the head."""
        return self.head.layers_hidden[1:]

    def kan_layers(self) -> list[KANLinear]:
        """Return the head's layers in order."""
        return self.head.kan_layers()

    def to_config(self) -> dict[str, Any]:
        image = {"in_channels": self.in_channels, "image_size": list(self.image_size)}
        return {**image, "head": self.head.to_config()}

    @classmethod
    def from_config(cls: type[H], config: Mapping[str, Any], **factory: Any) -> H:
        fields = dict(config)
        head = cls.head_class.from_config(fields.pop("head"), **factory)
        model = cls(head.layers_hidden[1:], **fields, **factory)
        model.head = head
        return model

    @classmethod
    def from_format_1(
        cls, config: Mapping[str, Any], state: dict[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return cls(**config, device="meta").to_config(), state

    def extra_repr(self) -> str:
        return f"in_channels={self.in_channels}, image_size={self.image_size}"
