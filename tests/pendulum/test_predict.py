"""`emulant predict` for pendulums: what goes in, what comes out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from emulant.errors import EmulantError, SurrogateError
from emulant.systems.pendulum.config import STATE, PendulumConfig, SystemTable
from emulant.systems.pendulum.files import COLUMNS
from emulant.systems.pendulum.integrate import integrate
from emulant.systems.pendulum.options import PredictOptions
from emulant.systems.pendulum.predict import forecast_file
from emulant.systems.pendulum.readers import open_dataset

CONFIG = PendulumConfig(system=SystemTable(T=2.0, dt=0.05))


class Exact:
    """A surrogate that is the simulator: it keeps what it was shown."""

    lag = 3

    def forecast(self, context: Any, horizon: int) -> dict[str, Any]:
        self.context = context
        names = ("l1", "l2", "m1", "m2", "g")
        parameters = np.stack([context.parameters[name] for name in names], axis=1)
        table = SystemTable(T=horizon * 0.05, dt=0.05)
        return {"state": integrate(context.fields["state"][:, -1], parameters, table, trust=False).states[:, 1:]}


def frame(cases: int = 3, samples: int = 41) -> pl.DataFrame:
    """Simulations as somebody else would keep them: plain columns, nothing in the metadata."""
    starts = np.random.default_rng(5).uniform(-2, 2, (cases, 4))
    table = SystemTable(T=(samples - 1) * 0.05, dt=0.05)
    paths = integrate(starts, np.tile([1, 1, 1, 1, 9.81], (cases, 1)), table, trust=False).states
    columns = {"sim_id": np.repeat([f"swing {case}" for case in range(cases)], samples)}
    columns["t"] = np.tile(np.arange(samples) * 0.05, cases)
    columns |= {name: paths[..., part].ravel() for part, name in enumerate(STATE)}
    columns |= {name: np.full(cases * samples, 1.0) for name in ("l1", "l2", "m1", "m2")}
    return pl.DataFrame(columns | {"dt": np.full(cases * samples, 0.05)})


def predicted(given: pl.DataFrame, tmp_path: Path, model: Any = None, **options: Any) -> pl.DataFrame:
    given.write_parquet(tmp_path / "in.parquet")
    table = PredictOptions(**options)
    forecast_file(model or Exact(), tmp_path / "in.parquet", tmp_path / "out.parquet", table, CONFIG)
    return pl.read_parquet(tmp_path / "out.parquet")


def test_every_simulation_goes_on_from_its_last_samples(tmp_path: Path) -> None:
    whole, model = frame(3, 61), Exact()
    given = whole.filter(pl.col("t") < 2.01)
    out = predicted(given, tmp_path, model, horizon=20)
    assert model.context.frames == 3
    assert out.columns == [*COLUMNS, "g"]
    assert open_dataset(tmp_path / "out.parquet").index["length"].to_list() == [20, 20, 20]
    both = out.join(whole, on=["sim_id", "t"], suffix="_true")
    assert len(both) == 60
    for name in STATE:
        assert (both[name] - both[f"{name}_true"]).abs().max() < 1e-6


def test_lengths_may_differ_and_the_horizon_is_that_of_the_study(tmp_path: Path) -> None:
    given = frame(2).filter((pl.col("sim_id") == "swing 0") | (pl.col("t") < 0.21))
    out = predicted(given, tmp_path)
    starts = out.group_by("sim_id", maintain_order=True).agg(pl.col("t").first(), pl.len())
    assert starts["len"].to_list() == [40, 40]
    assert starts["t"].to_list() == [41 * 0.05, 5 * 0.05]


def test_what_comes_out_can_go_in_again(tmp_path: Path) -> None:
    once = predicted(frame(1), tmp_path, horizon=30)
    again = predicted(once, tmp_path, horizon=1)
    assert again["t"].to_list() == [71 * 0.05]


REFUSED = {
    "no column": (lambda d: d.drop("m2"), {}, "has no column `m2`"),
    "another step": (lambda d: d.with_columns(dt=pl.lit(0.1), t=pl.col("t") * 2), {}, "dt is 0.1 s, the surrogate"),
    "too short": (lambda d: d.filter(pl.col("t") < 0.06), {}, "has 2 samples; 3 are needed"),
    "degrees": (lambda d: d.with_columns(pl.col(STATE).degrees()), {}, "in rad (not degrees)"),
    "another mass": (lambda d: d.with_columns(m1=pl.lit(2.0)), {}, "m1 is 2 kg, the surrogate knows 1 alone"),
    "another g": (lambda d: d, {"g": 1.62}, "g is 1.62 m/s², the surrogate knows 9.81"),
    "a gap": (lambda d: d.filter((pl.col("t") - 1.5).abs() > 0.01), {}, "swing 0"),
    "not a number": (lambda d: d.with_columns(theta1=pl.lit(np.nan)), {}, "not finite"),
    "twice": (lambda d: pl.concat([d, d]), {}, "is there twice"),
    "a context of two": (lambda d: d, {"context": 2}, "the surrogate needs 3 samples"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused(fault: str, tmp_path: Path) -> None:
    spoil, options, told = REFUSED[fault]
    with pytest.raises(EmulantError, match=told.replace("(", r"\(").replace(")", r"\)")):
        predicted(spoil(frame()), tmp_path, **options)
    assert not (tmp_path / "out.parquet").exists()


def test_degrees_are_refused_by_a_surrogate_that_looks_at_one_sample(tmp_path: Path) -> None:
    class Present(Exact):
        lag = 1

    with pytest.raises(EmulantError, match=r"in rad \(not degrees\)"):
        predicted(frame().with_columns(pl.col("theta1").degrees()), tmp_path, Present())


def test_units_in_the_metadata_are_believed(tmp_path: Path) -> None:
    table = frame().to_arrow().replace_schema_metadata({"units": '{"theta1": "deg"}'})
    import pyarrow.parquet as pq

    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(EmulantError, match="`theta1` is in deg"):
        forecast_file(Exact(), tmp_path / "in.parquet", tmp_path / "out.parquet", PredictOptions(), CONFIG)


def test_a_forecast_that_diverges_is_refused_with_its_time(tmp_path: Path) -> None:
    class Wild(Exact):
        def forecast(self, context: Any, horizon: int) -> dict[str, Any]:
            states = super().forecast(context, horizon)["state"]
            states[1, 3:] = np.inf
            return {"state": states}

    with pytest.raises(SurrogateError, match=r"swing 1: .* at lead time 0.2 s"):
        predicted(frame(), tmp_path, Wild())


def test_it_is_a_command(emulant: Any, small_run: Path, tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    words = ["predict", small_run, tmp_path / "in.parquet", "-o", out, "--surrogate", "linear"]
    code, _, told = emulant(*words, "--horizon", 4)
    assert (code, told) == (0, "")
    assert pl.read_parquet(out).group_by("sim_id").len()["len"].to_list() == [4, 4, 4]
    assert emulant(*words, "--horizons", 4)[0] == 2


def test_the_input_is_never_written_over(emulant: Any, small_run: Path, tmp_path: Path) -> None:
    given = tmp_path / "in.parquet"
    frame().write_parquet(given)
    (tmp_path / "link.parquet").symlink_to(given)
    before = given.read_bytes()
    for target in (given, tmp_path / "link.parquet"):
        code, _, told = emulant("predict", small_run, given, "-o", target)
        assert code == 2
        assert "is the input" in told
    assert given.read_bytes() == before
