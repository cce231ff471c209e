"""Training speed of the language models on one graphics card: tokens per second, and their share of its operations.

    python -m benchmarks.language_gpu [--tokens 2048] [--rows 8] [--steps 20] [SIZE ...]

Random tokens, forward, backward and a fused AdamW step in bf16, compiled. MFU counts 6 N + 12 L d T operations a token,
N without the input embedding, against the dense bf16 peak of the data sheet; one logit in four is asked for, as in
training. LFM2 is the 350M configuration with random weights and adapters of rank 32.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from emulant.surrogates.language_tables import SHAPES, LoRATable
from emulant.surrogates.transformer import Transformer
from emulant.systems.scenes.language.lfm2 import Adapted
from emulant.systems.scenes.language.objective import PEAKS
from emulant.systems.scenes.language.vocabulary import SIZE

LFM2_350M = {
    "hidden_size": 1024,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "block_ff_dim": 6656,
    "vocab_size": 65536,
    "layer_types": ["full_attention" if layer in (2, 5, 8, 10, 12, 14) else "conv" for layer in range(16)],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_gpu", description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["125M", "350M", "760M", "lfm2"])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(2, "there is no graphics card here\n")
    device = torch.cuda.get_device_name()
    peak = next((peak for name, peak in PEAKS.items() if name in device), float("nan"))
    print(
        f"{device}, torch {torch.__version__}, peak {peak / 1e12:.0f} TFLOP/s, {chosen.rows} x {chosen.tokens} tokens"
    )
    for size in chosen.sizes:
        rate, share = measure(size, chosen.rows, chosen.tokens, chosen.steps, peak)
        print(f"{size:>5}: {rate:9.0f} tokens/s, MFU {share:.1%}", flush=True)


def network_of(size: str) -> Any:
    """A network with random weights."""
    if size != "lfm2":
        return Transformer(SHAPES[size], SIZE).cuda()
    from transformers import Lfm2Config, Lfm2ForCausalLM

    return Adapted(Lfm2ForCausalLM(Lfm2Config(**LFM2_350M)), LoRATable(gradient_checkpointing=False)).cuda()


def measure(size: str, rows: int, tokens: int, steps: int, peak: float) -> tuple[float, float]:
    """Tokens per second over `steps` steps after three to warm up, and MFU."""
    network = network_of(size)
    flops = network.flops_per_token(tokens)
    network.compile()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), fused=True)
    given = torch.randint(SIZE, (rows, tokens), device="cuda")
    chosen = (torch.arange(tokens, device="cuda") % 4 == 0).expand(rows, -1)
    for step in range(3 + steps):
        if step == 3:
            torch.cuda.synchronize()
            begun = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = cross_entropy(network(given, chosen).float(), given[chosen])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.synchronize()
    rate = rows * tokens * steps / (time.perf_counter() - begun)
    return rate, rate * flops / peak


if __name__ == "__main__":
    main()
