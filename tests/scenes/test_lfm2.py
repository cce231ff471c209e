"""LFM2 with adapters: the right maps, the weights that count, and the way there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scenes_corpora import Corpora
from small_scenes import crowd, swing, tower

from emulant.errors import SurrogateError, UsageError
from emulant.surrogates.language_tables import LoRATable
from emulant.systems.scenes.language import vocabulary
from emulant.systems.scenes.language.lfm2 import LFM2, Adapted, adapters_of
from emulant.systems.scenes.language.pretrained import pretrained
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

pytest.importorskip("peft")


def little(**more: Any) -> LoRATable:
    training = TrainingTable(
        max_epochs=2, epoch_batches=2, batch_size=2, gradient_accumulation=1, learning_rate=1e-2, **more
    )
    return LoRATable(
        weights="random", lora_rank=4, lora_alpha=8, example_frames=13, curriculum_stages=2, training=training
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[LFM2, Path, Corpora]:
    folder = tmp_path_factory.mktemp("lfm2")
    data = Corpora([tower(2), swing(), crowd(0, 3), swing(0.5)], 32, [1, 1, 2, 2])
    model = LFM2(little())
    model.workshop = Workshop(folder=folder, logs=folder)
    model.fit(data, data)
    model.save(folder)
    return model, folder, data


def test_adapters_fit_all_linear_maps_of_the_documented_network() -> None:
    """92 of LFM2-350M, twelve million numbers."""
    from transformers import Lfm2Config, Lfm2ForCausalLM

    kinds = ["full_attention" if i in (2, 5, 8, 10, 12, 14) else "conv" for i in range(16)]
    config = Lfm2Config(
        hidden_size=1024, num_hidden_layers=16, num_attention_heads=16, num_key_value_heads=8, vocab_size=65536,
        block_ff_dim=6656, block_auto_adjust_ff_dim=True, layer_types=kinds,
    )  # fmt: skip
    with torch.device("meta"):
        network = Adapted(Lfm2ForCausalLM(config), LoRATable())
    assert adapters_of(config) == 92
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) / 1e6 == pytest.approx(11.99, abs=0.01)
    assert len(network.state_dict()) == 2 * 92
    assert network.first == 65536 - vocabulary.SIZE


def test_only_adapters_are_trained_and_kept(fitted: tuple[LFM2, Path, Corpora]) -> None:
    model, folder, _ = fitted
    assert model.network is not None
    assert all("lora_" in name for name in model.network.state_dict())
    assert {path.name for path in folder.glob("stage*")} == {"stage0", "stage1"}
    assert {path.name for path in (folder / "stage0").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    losses = [float(row.split(",")[3]) for row in (folder / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < losses[0] - 0.02


def test_what_was_saved_and_what_was_merged_say_the_same(fitted: tuple[LFM2, Path, Corpora], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, folder, data = fitted
    again = LFM2.load(folder, model.config)
    one, other = (each.forecast(data.context(), 2)["state"] for each in (model, again))
    np.testing.assert_array_equal(one, other)
    merged = AutoModelForCausalLM.from_pretrained(model.merged(tmp_path / "merged")).eval()
    tokens = torch.arange(30)[None] + 40
    with torch.no_grad():
        expected = model.network(tokens, torch.ones(1, 30, dtype=torch.bool))  # type: ignore[misc]
        torch.testing.assert_close(merged(tokens).logits[0], expected, atol=1e-5, rtol=0)


def test_reading_on_is_as_good_as_reading_anew(fitted: tuple[LFM2, Path, Corpora]) -> None:
    """Several tokens at once, past the memory of convolutions and attention alike."""
    network = fitted[0].network
    assert network is not None
    tokens = torch.randint(vocabulary.SIZE, (2, 30), generator=torch.Generator().manual_seed(0))
    cache = network.cache(2, 30)
    with torch.no_grad():
        whole = [network(row[None], torch.ones(1, 30, dtype=torch.bool)) for row in tokens]
        read = [0, 0]
        for counts in ([20, 11], [4, 0], [1, 5]):
            piece = torch.zeros(2, max(counts), dtype=torch.long)
            for row, count in enumerate(counts):
                piece[row, :count] = tokens[row, read[row] : read[row] + count]
                read[row] += count
            found = network.read(piece, torch.tensor(counts), cache)
            for row, count in enumerate(counts):
                if count:
                    torch.testing.assert_close(found[row], whole[row][read[row] - 1], atol=1e-5, rtol=0)


def test_a_killed_training_goes_on_to_the_same_adapters(fitted: tuple[LFM2, Path, Corpora], tmp_path: Path) -> None:
    model, _, data = fitted

    class Killed(Exception):
        pass

    def kill(_what: str, done: int, _total: int) -> None:
        if done == 1:
            raise Killed

    again = LFM2(little())
    again.workshop = Workshop(folder=tmp_path, logs=tmp_path, listen=kill)
    with pytest.raises(Killed):
        again.fit(data, data)
    again.workshop = Workshop(folder=tmp_path, logs=tmp_path)
    again.fit(data, data)
    assert model.network is not None
    assert again.network is not None
    for one, other in zip(model.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_had_or_does_not_fit_is_named(fitted: tuple[LFM2, Path, Corpora], tmp_path: Path) -> None:
    model, folder, data = fitted
    with pytest.raises(SurrogateError, match="cannot be had"):
        pretrained(str(tmp_path / "nothing"), vocabulary.SIZE)
    with pytest.raises(SurrogateError, match="does not fit"):
        LFM2.load(folder, model.config.model_copy(update={"lora_rank": 8}))
    wanting = LFM2(little(optimizer="adamw_8bit"))
    with pytest.raises(UsageError, match="bitsandbytes"):
        wanting.fit(data)
