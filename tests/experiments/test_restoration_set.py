"""The restoration paper's training set: statistics, continuation, refusals."""

import json

import numpy as np
import pytest

from experiments.restoration_set import PRESETS, Config, main
from experiments.support.run import parse


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    config = Config(count=3, shard=2, run_dir=tmp_path_factory.mktemp("set"), particles="langevin", store=True)
    return config, main(config)


def test_results_follow_from_the_shards(finished):
    config, results = finished
    shards = [np.load(config.run_dir / "shards" / f"{start:06d}.npz") for start in (0, 2)]
    extents = np.concatenate([shard["extent"] for shard in shards])
    present = np.concatenate([shard["present"] for shard in shards])
    assert extents.shape == (3, 3) and np.all((extents[:, :2] >= 8) & (extents[:, :2] <= 64))
    assert results["matrices"] == 3 and results["rows simulated"] == 3 * 3 * 817
    assert results["rows with signal"] == present.sum() and np.all(present[:, 2] == 0)  # no z signal in the plane
    assert sum(size["matrices"] for size in results["sizes"]) == 3
    assert results["acceptance"] == pytest.approx(0.92, abs=0.01)
    assert results["this run"]["peak memory [MB]"] > 50
    values, rows = shards[0]["values_000001"], shards[0]["rows_000001"]
    assert values.shape == (present[1].sum(), 1, extents[1, 1], extents[1, 0]) and len(rows) == len(values)
    peaks = np.abs(values).max(axis=(1, 2, 3))
    assert peaks.min() >= 0.999e-5 * peaks.max() and rows[:, 1].min() > 0 and rows[:, 1].max() < 816
    stored = sum(shard[name].nbytes for shard in shards for name in shard.files if name.startswith("values"))
    assert results["bytes to store"] == stored
    assert "peak memory" in (config.run_dir / "report.md").read_text()
    assert (config.run_dir / "figures" / "rows.png").stat().st_size > 5000


def test_continues_where_it_stopped(finished, capsys):
    config, results = finished
    first, second = (config.run_dir / "shards" / f"{start:06d}.npz" for start in (0, 2))
    kept, before = first.stat().st_mtime_ns, np.load(second)["units"]
    second.unlink()
    again = main(config)
    assert first.stat().st_mtime_ns == kept
    np.testing.assert_array_equal(np.load(second)["units"], before)
    for key in ("rows with signal", "voxels per axis", "bytes to store"):
        assert again[key] == results[key]
    assert json.loads((config.run_dir / "results.json").read_text())["matrices"] == 3
    assert "3 matrices" in capsys.readouterr().out
    assert main(config) == again  # a finished run is reported, not repeated


def test_refusals(finished):
    config, _ = finished
    with pytest.raises(ValueError, match="holds a set of other settings"):
        main(Config(count=3, shard=2, run_dir=config.run_dir, particles="langevin", store=True, seed=1))
    with pytest.raises(ValueError, match="dimensions = 1"):
        main(Config(count=1, dimensions=1, run_dir=config.run_dir))
    with pytest.raises(SystemExit):
        parse(PRESETS, ["--matrices", "3"], "")
    assert parse(PRESETS, ["--count", "7", "--dimensions", "3"], "").count == 7
