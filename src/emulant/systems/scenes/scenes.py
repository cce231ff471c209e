"""Scenes of rigid bodies as the rest of the program sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emulant.dataset.seams import CaseResult, Dataset, Field, Finding, Learner, Metric, Product, Shard
from emulant.dataset.tables import Table
from emulant.surrogates.language_tables import GPTTable, LoRATable
from emulant.systems.base import PERSISTENCE, BaseSystem
from emulant.systems.scenes.catalogue import case_number, type_and_number
from emulant.systems.scenes.config import ScenesConfig, ScenesEvaluation
from emulant.systems.scenes.graph.table import ContactGraphTable
from emulant.systems.scenes.metrics import METRICS
from emulant.systems.scenes.options import ExportOptions, RenderOptions
from emulant.systems.scenes.predict import PredictOptions
from emulant.systems.scenes.scene import FIELDS, FRAME

LAWS = "emulant.systems.scenes.baselines"
GRAPH = "emulant.systems.scenes.graph.surrogate"
LANGUAGE = "emulant.systems.scenes.language"
UNTRAINED: Mapping[str, Learner] = (
    {"untrained": Learner(ContactGraphTable, f"{GRAPH}:Untrained", extra="torch")} if find_spec("torch") else {}
)
"""What the contact graph can start from; it is written in torch, and without torch it is left out."""


class Scenes(BaseSystem):
    """Scenes -> Parquet -> a graph network and language models that continue them."""

    name = "scenes"
    version = 2
    summary = "Rigid bodies in the plane: 35 kinds of scenes, and their continuation frame by frame."
    Config = ScenesConfig
    Evaluation = ScenesEvaluation
    fields: Mapping[str, Field] = FIELDS
    targets = ("state",)
    headline = "position_mse"
    time_unit = "frames"
    studies = Path(__file__).parent / "studies"
    kernels = ("emulant.systems.scenes.simulation", "emulant.systems.scenes.files")
    surrogates: Mapping[str, Learner] = {
        "contact_graph": Learner(ContactGraphTable, f"{GRAPH}:ContactGraph", extra="torch"),
        "gpt": Learner(GPTTable, f"{LANGUAGE}.gpt:GPT", extra="torch"),
        "lfm2": Learner(LoRATable, f"{LANGUAGE}.lfm2:LFM2", extra="llm"),
    }
    baselines: Mapping[str, Learner] = {
        "persistence": PERSISTENCE,
        "constant_velocity": Learner(Table, f"{LAWS}:ConstantVelocity"),
        "ballistic": Learner(Table, f"{LAWS}:Ballistic"),
        "zero_change": Learner(Table, f"{LAWS}:ZeroChange"),
        **UNTRAINED,
    }
    oracles: Mapping[str, Learner] = {"resimulate": Learner(Table, "emulant.systems.scenes.oracle:Resimulate")}
    figures: Mapping[str, Any] = {
        "types": "emulant.systems.scenes.figures:ladder",
        "speed": "emulant.systems.scenes.figures:speed",
    }
    films = "emulant.systems.scenes.films:of_report"
    PredictOptions = PredictOptions
    RenderOptions = RenderOptions
    render = "emulant.systems.scenes.render:render"
    play = "emulant.systems.scenes.play:play"
    ExportOptions = ExportOptions
    exports: Mapping[str, Any] = {
        name: f"emulant.systems.scenes.exports:{name}" for name in ("jsonl", "text", "predictions", "document")
    }
    checks_values = True
    physics = ("energy_drift", "momentum_drift", "contact_f1", "contact_mse")
    citations: Mapping[str, str] = {
        "simulator": "pymunk, Python bindings of Chipmunk2D",
        "contact_graph": "P. Battaglia et al., Interaction networks (2016); A. Sanchez-Gonzalez et al., "
        "arXiv:2002.09405; K. Allen et al., FIGNet, arXiv:2212.03574",
    }
    limits: Sequence[str] = (
        "Friction and elasticity of a contact are the products of those of its two shapes, as Chipmunk has it.",
        "Chipmunk steps in time: even at 8 substeps a fast disc that meets a stack may gain a few percent of energy.",
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    def splits(self, config: ScenesConfig) -> Mapping[str, int]:
        names = ("training", "validation", "test", "test_heldout", "test_ood")
        counts = {name: sum(config.splits.of(name, each) for each in config.types_of(name)) for name in names}
        return {name: count for name, count in counts.items() if count}

    def shards(self, config: ScenesConfig, pass_: str, split: str) -> Sequence[Shard]:
        """Ranges of scenes of one type, so that no shard changes when types join."""
        size, shards = config.dataset.shard_cases, []
        for type_ in config.types_of(split):
            count = config.splits.of(split, type_)
            for index, first in enumerate(range(0, count, size)):
                numbers = range(first, min(first + size, count))
                cases = tuple(case_number(type_, number) for number in numbers)
                shards.append(Shard(f"{type_}_{index:05d}", split, cases, pass_))
        return shards

    def simulate_case(self, split: str, case: int, config: ScenesConfig) -> CaseResult:
        from emulant.systems.scenes.header import header_of
        from emulant.systems.scenes.sampling import draw
        from emulant.systems.scenes.scene import quantised
        from emulant.systems.scenes.simulation import record

        type_, number = type_and_number(case)
        scene = draw(config, split, type_, number)
        state, contacts = record(scene)
        told = {"family": type_, "header": header_of(scene), "layout": config.dataset.layout}
        return CaseResult(case, {"state": quantised(state), "contacts": contacts}, told)

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        from emulant.systems.scenes.files import write_shard
        from emulant.systems.scenes.header import scene_of
        from emulant.systems.scenes.jsonlines import scene_path, write_scene

        if not product or product[0].record["layout"] == "shards":
            return write_shard(shard, product, folder)
        scenes = [scene_of(result.record["header"], shard.id) for result in product]
        return [
            write_scene(scene_path(folder, scene.type, scene.number), scene, result.arrays["state"])
            for scene, result in zip(scenes, product, strict=True)
        ]

    def open(self, folder: Path, config: Any | None = None) -> Dataset:
        from emulant.systems.scenes.readers import open_dataset

        return open_dataset(folder)

    def check(self, dataset: Any) -> Iterable[Finding]:
        from emulant.systems.scenes.checks import check

        return check(dataset)

    def check_leaks(self, datasets: Mapping[str, Any]) -> Iterable[Finding]:
        """Scenes that are there twice, by their headers."""
        from emulant.systems.scenes.checks import check_leaks

        return check_leaks(datasets)

    def reads(self, path: Path) -> bool:
        """Whether a folder is a tree of JSON lines."""
        from emulant.systems.scenes.loose import trees

        return bool(trees(path))

    def check_loose(self, path: Path, options: Any, deep: int, resimulate: int) -> tuple[int, list[str], list[Finding]]:
        """Check such a tree: how many scenes there are, notes, findings."""
        from emulant.systems.scenes.loose import check

        return check(path, resimulate)

    def evaluated(self, dataset: Dataset, evaluation: ScenesEvaluation) -> Dataset:
        from emulant.systems.scenes.evaluation import first_of_each_type

        return first_of_each_type(dataset, evaluation.max_scenes_per_type)

    def describe(self, dataset: Dataset, evaluation: ScenesEvaluation, folder: Path) -> Any:
        from emulant.systems.scenes.evaluation import described

        return described(dataset, evaluation)

    def scoring(self, run: Any) -> Mapping[str, Any]:
        from emulant.systems.scenes.evaluation import headers

        return headers(run)

    def predictions(self, folder: Path) -> Any:
        from emulant.systems.scenes.predictions import ScenePredictions

        return ScenePredictions(folder)

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: ScenesConfig) -> None:
        from emulant.systems.scenes.predict import forecast_file

        forecast_file(surrogate, source, target, options)

    def derive(self, scores: Any, folder: Path) -> Sequence[Path]:
        from emulant.systems.scenes.evaluation import write_document

        return [write_document(scores, folder / "metrics.json")]

    def geometry(self, config: Any) -> Mapping[str, Any]:
        return {"step": FRAME}

    def frames(self, config: ScenesConfig) -> int:
        return config.system.frames


system = Scenes()
