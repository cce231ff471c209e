"""What `lfm2` begins with: a language model's weights and its tokenizer, or a small random network of its kind."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from emulant.errors import SurrogateError
from emulant.surrogates.language_tables import LoRATable
from emulant.systems.scenes.language.compact import COMPACT
from emulant.systems.scenes.language.sentences import Bytes, Sentences
from emulant.systems.scenes.language.tongues import Tongue

BASE = "base"
RANDOM: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "block_ff_dim": 128,
    "block_multiple_of": 8,
    "layer_types": ["conv", "full_attention", "conv", "full_attention"],
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def pretrained(weights: str, size: int, folder: Path | None = None) -> Any:
    """The network of a hub id or a folder; for "random" that of `folder`, or a new one of `size` tokens.

    Raises:
        SurrogateError: There are no such weights, or they do not fit.
    """
    from transformers import AutoModelForCausalLM, Lfm2Config, Lfm2ForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    place = folder / BASE if folder is not None and weights == "random" else weights
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if place == "random":
                return Lfm2ForCausalLM(Lfm2Config(vocab_size=size, **RANDOM))
            return AutoModelForCausalLM.from_pretrained(str(place), use_safetensors=True)
    except Exception as error:  # of the hub's client, the network, safetensors, torch: many kinds
        raise _missing(f"the weights `{place}`", error) from error


def tongue_of(config: LoRATable) -> Tongue:
    """The language that a table asks for, in plain text with the tokenizer of its weights.

    Raises:
        SurrogateError: There is no such tokenizer, or it cannot spell numbers.
    """
    if config.prompt == "compact":
        return COMPACT
    return Sentences(Bytes() if config.weights == "random" else Pieces(config.weights))


class Pieces:
    """The tokenizer of a hub id or a folder."""

    def __init__(self, weights: str) -> None:
        from transformers import AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(weights)
        except Exception as error:  # as with weights
            raise _missing(f"the tokenizer of `{weights}`", error) from error
        self.size = len(self.tokenizer)
        begin = self.tokenizer.bos_token_id
        self.start = [] if begin is None else [int(begin)]

    def encode(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return found


def _missing(what: str, error: Exception) -> SurrogateError:
    return SurrogateError(
        f"lfm2: {what} cannot be had: {str(error).splitlines()[0] if str(error) else error!r}",
        'Give a folder or a hub id that answers, or "random" for a small random network.',
    )
