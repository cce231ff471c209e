"""Scenes in plain text: it reads back, one function writes it everywhere, and its grammar leaves nobody out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes_corpora import Corpora
from small_scenes import Recordings, chain, crowd, disc, scene, swing, tower

from emulant.errors import DataError, SurrogateError
from emulant.surrogates.language_tables import LoRATable
from emulant.systems.scenes.language.examples import Corpus
from emulant.systems.scenes.language.residuals import QUANTA
from emulant.systems.scenes.language.rollout import continued
from emulant.systems.scenes.language.sentences import Bytes, Sentences
from emulant.systems.scenes.scene import Force
from emulant.systems.scenes.text import read_frames, recording_text, setting_text
from emulant.training.table import TrainingTable

TEXT = Sentences(Bytes())


def spoken(tokens: Any) -> str:
    return bytes(list(tokens)).decode()


def fields_of(data: Recordings, row: int = 0) -> dict[str, np.ndarray]:
    return {name: array[row] for name, array in data.static.items()}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 800), st.integers(1, 5))
def test_any_motion_is_read_back_to_the_quantum(seed: int, size: float, frames: int) -> None:
    data = Recordings([crowd(0)], frames=frames)
    states = data.state + np.random.default_rng(seed).normal(0, size, data.state.shape)
    told = TEXT.tell(states, data.static)
    near = (np.abs(states[..., :2]) < 400).all(-1)  # further off, places are told as the edge of what can be told
    assert (np.abs(told.decoded - states)[near] <= 0.5 * QUANTA * (1 + 1e-6)).all()
    count = len(data.scenes[0].bodies)
    document = TEXT.document(data.static, told, 0, np.arange(count), count, 1)
    np.testing.assert_allclose(read_frames(spoken(document.tokens)), told.decoded[0], atol=1e-6)


def test_what_is_exported_is_what_a_model_is_shown() -> None:
    data = Recordings([tower(3)], frames=4)
    told = TEXT.tell(data.state, data.static)
    shown = spoken(TEXT.document(data.static, told, 0, np.arange(3), 3, 2).tokens)
    _, exported = "\n".join(recording_text(data.scenes[0], data.state[0])).split("\n", 1)
    assert shown == exported
    assert "\nFrame 4: object 0 rectangle at (" in shown


def test_a_setting_names_all_that_acts() -> None:
    pulled = scene([disc(8, (400, 420))], (), (), (0, 0), Force("central", 4e6, (400, 320), 40))
    text = setting_text(fields_of(Recordings([pulled])), np.arange(1))
    assert "everything is pulled to (400.0, 320.0) with strength 4e+06, softened over 40 px" in text
    fields = fields_of(Recordings([chain(3)]))
    text = setting_text(fields, np.array([2, 1]))
    assert text.startswith("2 objects, gravity (0, -981) px/s², 60 frames per second of 8 steps each.")
    assert "object 1 at (0.0, 0.0) is tied to object 0 at (0.0, 0.0) by a rod of 15.0 px" in text
    assert "the world" not in text, "it holds a body that is not told of"
    assert "static segment (10.0, 50.0) to (790.0, 50.0) radius 2 friction 0.80 elasticity 0.50" in text
    whole = setting_text(fields, np.arange(3))
    assert "the world at (400.0, 500.0) is tied to object 0 at (0.0, 0.0) by a hinge" in whole


@pytest.mark.parametrize(
    "line",
    [
        "Frame 1: object 0 circle at (1.0, 2.0) angle 0.00 moving (1, 2)",
        "Frame 1: object 1 circle at (1.0, 2.0) angle 0.00 moving (1, 2) turning 0.00",
        "nothing",
    ],
)
def test_what_is_no_frame_is_refused(line: str) -> None:
    with pytest.raises(DataError):
        read_frames(line)


class Says:
    """Says a text over and over, each row by itself, whether it is legal or not; remembers what it was given."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.heard: dict[int, list[int]] = {}

    def cache(self, rows: int, room: int) -> list[int]:
        self.heard = {row: [] for row in range(rows)}
        return [0] * rows

    def read(self, tokens: torch.Tensor, counts: torch.Tensor, cache: list[int]) -> torch.Tensor:
        logits = torch.zeros(len(tokens), TEXT.size)
        for row, count in enumerate(counts.tolist()):
            if count:
                self.heard[row] += tokens[row, :count].tolist()
                logits[row, ord(self.text[cache[row] % len(self.text)])] = 50
                cache[row] += 1
        return logits


@pytest.mark.parametrize("context_tokens", [32768, 3000])
@pytest.mark.parametrize("text", ["-", "9", "7.5, ", "0) turning ", "object"])
def test_every_object_of_every_frame_is_put_out_whatever_a_model_says(text: str, context_tokens: int) -> None:
    data = Recordings([crowd(0), tower(2), swing()])
    reader = Says(text)
    table = LoRATable(context_tokens=context_tokens, prompt_frames=2, example_frames=5)
    frames, cut = continued(reader, data.state[:, :10], data.static, 3, table, TEXT)
    assert np.isfinite(frames).all()
    assert (cut > 0) == (context_tokens == 3000)
    for heard in reader.heard.values():  # `read_frames` refuses a frame that lacks an object or a number
        whole = spoken(heard).rpartition("\nFrame")[0]  # the end of the last one has not been read again
        assert len(read_frames(whole)) == 4
        assert f"\n{read_frames(whole).shape[1]} object" in f"\n{whole}"


def test_what_is_said_is_what_moves() -> None:
    """The truth, said by a model, comes back as the truth: a prompt and its completion are one document."""
    data = Recordings([tower(2)], frames=6)
    told = TEXT.tell(data.state, data.static)
    document = TEXT.document(data.static, told, 0, np.arange(2), 2, 3)

    class Truth(Says):
        def read(self, tokens: torch.Tensor, counts: torch.Tensor, cache: list[int]) -> torch.Tensor:
            self.heard[0] += tokens[0, : counts[0]].tolist()
            assert document.tokens[: len(self.heard[0])].tolist() == self.heard[0], "not as in training"
            logits = torch.zeros(1, TEXT.size)
            logits[0, document.tokens[len(self.heard[0])]] = 50
            return logits

    table = LoRATable(prompt_frames=3, example_frames=6)
    frames, _ = continued(Truth(""), data.state[:, :3], data.static, 3, table, TEXT)
    np.testing.assert_allclose(frames[0], told.decoded[0, 3:], atol=1e-9)


def test_only_numbers_and_their_ends_are_learnt() -> None:
    data = Corpora([tower(2)], 6)
    table = LoRATable(context_tokens=32768, prompt_frames=2, example_frames=3)
    (document,) = Corpus(data, table, 0, TEXT).documents([0], np.random.default_rng(0))
    text, said = spoken(document.tokens), document.said
    numbers = text.partition("Frame 3")[2]
    assert said.sum() > 30
    assert set(spoken(document.tokens[said])) <= set("0123456789-.,)")
    assert not said[: len(text.encode()) - len(numbers.encode())].any()


def little(weights: str) -> LoRATable:
    training = TrainingTable(max_epochs=1, epoch_batches=2, batch_size=2, gradient_accumulation=1, learning_rate=1e-2)
    return LoRATable(
        weights=weights, prompt="text", lora_rank=4, lora_alpha=8, context_tokens=4096, prompt_frames=2,
        example_frames=4, curriculum_stages=1, training=training,
    )  # fmt: skip


def pretrained_like(folder: Path) -> str:
    """A small random network of LFM2's kind, with a byte-pair tokenizer of its own, as a hub would have them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast

    from emulant.systems.scenes.language.pretrained import RANDOM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    data = Recordings([tower(2), chain(2)], frames=3)
    texts = ["\n".join(recording_text(each, state)) for each, state in zip(data.scenes, data.state, strict=False)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<pad>", "<bos>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(0)
    Lfm2ForCausalLM(Lfm2Config(vocab_size=512, **RANDOM)).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("own", [True, False], ids=["bytes", "byte pairs"])
def test_lfm2_learns_and_speaks_text(own: bool, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from emulant.systems.scenes.language.lfm2 import LFM2
    from emulant.systems.scenes.language.pretrained import Pieces

    table = little("random" if own else pretrained_like(tmp_path / "base"))
    data = Corpora([tower(2), swing()], 14)
    model = LFM2(table)
    model.fit(data)
    model.save(tmp_path / "kept")
    frames = model.forecast(data.context(), 1)["state"]
    assert np.isfinite(frames).all()
    np.testing.assert_array_equal(LFM2.load(tmp_path / "kept", table).forecast(data.context(), 1)["state"], frames)
    with pytest.raises(SurrogateError, match="prompts of another kind"):
        LFM2.load(tmp_path / "kept", table.model_copy(update={"prompt": "compact"}))
    if not own:
        assert isinstance(model.tongue, Sentences)
        assert isinstance(model.tongue.spelling, Pieces)
        told = model.tongue.tell(data.state[:, :2], data.static)
        shown = model.tongue.document(data.static, told, 0, np.arange(2), 2, 2).tokens[1:]
        assert model.tongue.spelling.tokenizer.decode(shown).startswith("2 objects, gravity (0, -981) px/s²")
