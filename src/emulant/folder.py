"""The run folder: the name of everything in it, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The paths below one run; nothing is created by naming it."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.toml"

    def split(self, name: str) -> Path:
        return self.root / name

    @property
    def models(self) -> Path:
        return self.root / "models"

    def model_card(self, name: str) -> Path:
        return self.models / name / "model.json"

    def model_readme(self, name: str) -> Path:
        """The same for people, with its scores and limits."""
        return self.models / name / "README.md"

    @property
    def metrics(self) -> Path:
        return self.root / "evaluation" / "metrics.csv"

    @property
    def case_scores(self) -> Path:
        return self.root / "evaluation" / "cases.csv"

    @property
    def evaluation_card(self) -> Path:
        return self.root / "evaluation" / "evaluation.json"

    def predictions(self, model: str) -> Path:
        return self.root / "evaluation" / "predictions" / model

    def probe(self, model: str, split: str) -> Path:
        return self.root / "evaluation" / "probes" / model / f"{split}.npz"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def report_json(self) -> Path:
        return self.root / "report.json"

    @property
    def report_markdown(self) -> Path:
        return self.root / "report.md"

    @property
    def report_html(self) -> Path:
        return self.root / "report.html"

    @property
    def events(self) -> Path:
        return self.root / "logs" / "events.jsonl"

    @property
    def slurm(self) -> Path:
        return self.root / "slurm"

    @property
    def jobs(self) -> Path:
        return self.slurm / "jobs.tsv"

    def derived(self) -> tuple[Path, ...]:
        """What follows from the data and can be made again."""
        return (self.models, self.root / "evaluation", self.figures, self.report_json, self.report_html)
