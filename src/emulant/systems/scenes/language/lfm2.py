"""`lfm2`: a pretrained language model (Liquid AI's LFM2) with low-rank adapters, on scenes as tokens or as text.

Tokens of our own take the places of the last ones of its vocabulary, which usual text hardly ever needs; text is in its
own. The short convolutions of this architecture see across documents in one row, so a row holds one scene: no packing.
"""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from emulant.dataset.atomic import write_json
from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.language_tables import LoRATable
from emulant.systems.scenes.language.compact import COMPACT
from emulant.systems.scenes.language.examples import Corpus
from emulant.systems.scenes.language.objective import objective, staged
from emulant.systems.scenes.language.pretrained import BASE, pretrained, tongue_of
from emulant.systems.scenes.language.rollout import forecast
from emulant.systems.scenes.language.tongues import Tongue
from emulant.training.process import initialised
from emulant.training.weights import Extras, read_weights, write_weights
from emulant.training.workshop import Workshop

TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "in_proj", "w1", "w2", "w3")
"""LFM2's names of its linear maps; those of Llama would miss most of them."""
ADAPTED = "adapters.safetensors"


def adapters_of(config: Any) -> int:
    """How many linear maps of such a network are adapted: 92 of LFM2-350M's."""
    return sum(4 if kind == "full_attention" else 2 for kind in config.layer_types) + 3 * len(config.layer_types)


class Adapted(nn.Module):
    """A causal language model with adapters; its state is that of the adapters alone."""

    def __init__(self, model: Any, config: LoRATable, tongue: Tongue = COMPACT) -> None:
        super().__init__()
        from peft import LoraConfig, get_peft_model

        lora = LoraConfig(
            r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=list(TARGETS), task_type="CAUSAL_LM"
        )
        self.size, self.first = tongue.size, tongue.first(model.config.vocab_size)
        """The place of our tokens among its own."""
        if config.gradient_checkpointing:
            _enable_checkpointing(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT calls transformers by a name of before
            self.model: Any = get_peft_model(model, lora)
        self.register_state_dict_post_hook(_only_adapters)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_adapters_are_enough)  # type: ignore[no-untyped-call]
        found = sum(name.endswith("lora_A.default") for name, _ in self.named_modules())
        if not 0 <= self.first <= model.config.vocab_size - self.size or found != adapters_of(model.config):
            raise SurrogateError(
                f"lfm2: adapters fit {found} of {adapters_of(model.config)} linear maps, and its vocabulary has "
                f"{model.config.vocab_size} tokens of the {self.size} of its prompts.",
                "Give the weights of an LFM2 network, such as LiquidAI/LFM2-350M.",
            )

    def forward(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Logits (K, V) of our tokens at the places (B, T) that are chosen."""
        base = self.model.get_base_model()
        states = base.model(input_ids=tokens + self.first, use_cache=False).last_hidden_state
        return self._logits(base, states[chosen])

    # -- as a reader, see `rollout.Reader`

    def cache(self, rows: int, room: int) -> list[Any]:
        from transformers import DynamicCache

        return [DynamicCache(config=self.model.get_base_model().config) for _ in range(rows)]

    def read(self, tokens: Tensor, counts: Tensor, cache: list[Any]) -> Tensor:
        """Row by row: a convolution cannot pass over padding."""
        base = self.model.get_base_model()
        device = base.get_input_embeddings().weight.device
        logits = torch.zeros(len(tokens), self.size)
        for row, count in enumerate(counts.tolist()):
            if count:
                given = tokens[row : row + 1, :count].to(device) + self.first
                states = base.model(input_ids=given, past_key_values=cache[row], use_cache=True).last_hidden_state
                logits[row] = self._logits(base, states[0, -1:])[0].float().cpu()
        return logits

    def _logits(self, base: Any, states: Tensor) -> Tensor:
        found: Tensor = base.get_output_embeddings()(states)
        return found[..., self.first : self.first + self.size]

    def flops_per_token(self, context: int) -> int:
        """6 N + 12 L d T, N without the embedding, as if all weights were trained."""
        base = self.model.get_base_model()
        weights = sum(p.numel() for p in base.parameters()) - base.get_input_embeddings().weight.numel()
        return int(6 * weights + 12 * base.config.num_hidden_layers * base.config.hidden_size * context)


def _enable_checkpointing(model: Any) -> None:
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable()
    else:  # its name before transformers 5
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()


def _only_adapters(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: Any) -> None:
    for name in [name for name in state if name.startswith(prefix) and "lora_" not in name]:
        del state[name]


def _adapters_are_enough(_: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [name for name in keys.missing_keys if "lora_" in name]


class LFM2:
    """Adapters on a language model; a forecast is what the likeliest tokens say."""

    Config: ClassVar[type[LoRATable]] = LoRATable
    lag = 2

    def __init__(self, config: LoRATable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.network: Adapted | None = None
        self.grouped = 0
        """Scenes so far that were longer than the context and were continued in groups of bodies."""

    @cached_property
    def tongue(self) -> Tongue:
        """The language of its prompts."""
        return tongue_of(self.config)

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train the adapters on what is to be said after the prompt.

        Raises:
            SurrogateError: The weights cannot be had or do not fit, or the loss is not finite.
        """
        from emulant.training import loop

        table, seed = staged(self.config), self.workshop.seed
        with initialised(seed):
            self.network = Adapted(pretrained(self.config.weights, self.tongue.size), self.config, self.tongue)
        held = None if validation is None else Corpus(validation, self.config, seed, self.tongue)
        data = objective(Corpus(train, self.config, seed, self.tongue), held, table, self.network.flops_per_token)
        loop.train(self.network, data, table, workshop=self.workshop, extras=self._extras())
        self.network.eval()

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`state` (C, horizon, N, 6)."""
        frames, cut = forecast(self._fitted(), context, horizon, self.config, self.tongue)
        self.grouped += cut
        return {"state": frames}

    def save(self, folder: Path) -> list[Path]:
        """The adapters as emulant and as PEFT keep them, those of the curriculum's stages, and a random base."""
        network = self._fitted()
        written = [write_weights(folder / ADAPTED, network.state_dict(), self._extras())]
        if self.config.weights == "random":
            network_base(network).save_pretrained(folder / BASE)
            written += sorted((folder / BASE).iterdir())
        return [*written, *self._stages(folder)]

    @classmethod
    def load(cls, folder: Path, config: LoRATable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: A file is missing or damaged, does not fit the weights, or speaks another language.
        """
        surrogate = cls(config)
        weights, extras = read_weights(folder / ADAPTED)
        if extras.about.get("vocabulary") != surrogate.tongue.identity:
            raise SurrogateError(
                f"{folder / ADAPTED}: was trained with the tokens of another vocabulary, or prompts of another kind."
            )
        base = pretrained(surrogate.config.weights, surrogate.tongue.size, folder)
        network = Adapted(base, surrogate.config, surrogate.tongue)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise SurrogateError(f"{folder / ADAPTED}: does not fit the weights: {error}.") from error
        surrogate.network = network.cuda().eval() if torch.cuda.is_available() else network.eval()
        return surrogate

    def merged(self, folder: Path) -> Path:
        """Write the language model with its adapters folded in, as transformers reads it."""
        from copy import deepcopy

        deepcopy(self._fitted().model).merge_and_unload().save_pretrained(folder)
        write_json(folder / "vocabulary.json", {"identity": self.tongue.identity, "first": self._fitted().first})
        return folder

    # -- inside

    def _fitted(self) -> Adapted:
        if self.network is None:
            raise SurrogateError("lfm2: is not fitted.", "Call `fit` or `load` first.")
        return self.network

    def _extras(self) -> Extras:
        kept = self.config.model_dump(include={"weights", "lora_rank", "lora_alpha"})
        return Extras({"kind": "lfm2", "vocabulary": self.tongue.identity, **kept})

    def _stages(self, folder: Path) -> list[Path]:
        """`stage0`, `stage1`, ...: the adapters after each stage of the curriculum, as PEFT reads them."""
        network, last = self._fitted(), self._fitted().state_dict()
        last = {name: tensor.clone() for name, tensor in last.items()}
        kept = sorted(folder.glob("epoch_*.safetensors"), key=lambda path: int(path.stem.partition("_")[2]))
        written: list[Path] = []
        for stage, path in enumerate(kept):
            network.load_state_dict(read_weights(path)[0])
            network.model.save_pretrained(folder / f"stage{stage}", save_embedding_layers=False)
            written += sorted(path for path in (folder / f"stage{stage}").iterdir() if path.suffix != ".md")
        network.load_state_dict(last)
        return written


def network_base(network: Adapted) -> Any:
    """The language model as it was before the adapters."""
    from copy import deepcopy

    return deepcopy(network.model).unload()
