"""What is put on top of an encoder while it trains, and left off afterwards."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fashionnb.errors import DataError


class WithClassifier(nn.Module):
    """An encoder with a classifier on its embeddings, to train on a metric loss and on the classes at once.

    Introduced in chapter 03. Each class is a direction that is learned, and a logit is the cosine to it, scaled: Wang,
    Xiang, Cheng & Yuille 2017, "NormFace: L2 Hypersphere Embedding for Face Verification". So the two losses
    pull the same points on the same sphere. Save and use `.encoder`; the classifier has done its work.

    Parameters
    ----------
    encoder : images in, embeddings (n, d) out, with d in `encoder.arguments["dimensions"]`.
    classes : how many.
    scale : a cosine lies between -1 and 1, too narrow a range for the softmax to become sure of anything. With
        10 classes and a scale of 16 it can; with many more, let it grow with their logarithm.

    Raises
    ------
    DataError : an encoder that does not say its dimensions, fewer than 2 classes, or a scale that is not positive.
    """

    def __init__(self, encoder: nn.Module, classes: int, scale: float = 16.0) -> None:
        super().__init__()
        arguments = getattr(encoder, "arguments", {})
        if "dimensions" not in arguments:
            raise DataError(
                f"{type(encoder).__name__} needs `.arguments['dimensions']`, the length of its embeddings."
            )
        if classes < 2 or not scale > 0:
            raise DataError(
                f"A classifier needs 2 classes or more and a scale above 0, got {classes} and {scale}."
            )
        self.arguments = {"encoder": arguments, "classes": classes, "scale": scale}
        self.encoder, self.scale = encoder, scale
        self.directions = nn.Parameter(torch.randn(classes, arguments["dimensions"]))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings (n, d) as the encoder gives them, and the logits (n, classes), float32."""
        embeddings = self.encoder(images)
        with torch.autocast(
            embeddings.device.type, enabled=False
        ):  # a cosine in bfloat16 has but two digits
            cosines = normalize(embeddings.float()) @ normalize(self.directions).T
        return embeddings, self.scale * cosines
