"""Plans as text: what is written is read again, and what is wrong is said in one sentence."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.plans import DataOptions, Plan, ReconstructPlan, RestorePlan, RowOptions, ScannerOptions, SimulatePlan
from mpijax.plans.fields import comments, text_fields
from mpijax.reconstruction import Admm, Kaczmarz, NeuralImplicit, PlugAndPlay, Tikhonov
from mpijax.reconstruction.solvers.registry import _KNOWN, register_solver

ROWS = RowOptions(3.5, 0.1 + 0.2, 1e3, 12, (0, 2), "whitening")
PLANS = (
    ReconstructPlan(),
    ReconstructPlan(ROWS, DataOptions("none", None, "0:4", 2, 0, True, False, True, 2), Tikhonov(1e-7, False, None), 7),
    ReconstructPlan(solver=Kaczmarz(0.3, sweeps=2, constraint=None, row_order="randomized", tolerance=1e-300)),
    ReconstructPlan(solver=Admm(epsilon="noise", tolerance=None, rho=0.1, isotropic=False)),
    ReconstructPlan(solver=Admm(l1=0.0, tv=1.0, regularization=1 / 3, constraint="real")),
    ReconstructPlan(solver=NeuralImplicit(held_out=None, nonnegative=False, steps=20, constraint=None)),
    RestorePlan("complete", "spline", 3, noise_std=1e-9, trust=False, identify=False),
    RestorePlan("denoise", dynamics="neel", snr_threshold=2.0, min_frequency=80.0),
    SimulatePlan("2d-neel", ScannerOptions((-1.0, -1.0, 2.0), None, (4, 3, 1), damping=0.5), 10.0, 0, 3),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.kind)
def test_a_plan_is_read_as_it_was_written(tmp_path, plan):
    path = tmp_path / "a" / "plan.toml"
    plan.save(path)
    assert mj.plans.load(path) == plan == type(plan).load(path)
    assert Plan.parse(plan.text(), "plan", tmp_path) == plan
    said = path.read_text()
    for known in (type(plan), *(type(getattr(plan, field.name)) for field in fields(plan))):
        for name in text_fields(known) if hasattr(known, "__dataclass_fields__") else ():
            assert f"# {name}: " in said or name in ("key", "progress"), (known, name)


def test_every_choice_has_its_unit_from_the_docstring():
    said = comments(RowOptions)
    assert said["min_frequency"] == "least frequency [kHz]; keeps out the filtered fundamental."
    assert said.keys() == text_fields(RowOptions).keys()
    assert comments(DataOptions)["background"].endswith("subtracted), none, mean or interpolate.")


def test_texts_of_any_characters(tmp_path):
    odd = 'a "b" \\ \t\n\x7f ü 漢'
    plan = RestorePlan("denoise", method=odd)
    assert tomllib.loads(plan.text())["method"] == odd
    assert RestorePlan.parse(plan.text(tmp_path), "plan", tmp_path).method == odd


def test_files_are_named_from_the_folder_of_the_plan(tmp_path, monkeypatch):
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path)
    plan = ReconstructPlan(data=DataOptions(empty=Path("scans/empty.mdf")))
    plan.save("plans/a.toml")
    plan.save("scans/b.toml")
    assert 'empty = "../scans/empty.mdf"' in Path("plans/a.toml").read_text()
    assert 'empty = "./empty.mdf"' in Path("scans/b.toml").read_text()
    monkeypatch.chdir("/")
    for name in ("plans/a.toml", "scans/b.toml"):
        assert ReconstructPlan.load(tmp_path / name).data.empty == tmp_path / "scans" / "empty.mdf"
    restored = RestorePlan("inpaint", method="wiener", missing=str(tmp_path / "scans"))
    restored.save(tmp_path / "c.toml")
    found = RestorePlan.load(tmp_path / "c.toml")
    assert found.missing == restored.missing and found.method == "wiener"


def test_a_solver_from_outside(tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class Halves:
        """Halves.

        Attributes:
            power: of one half [dB].
        """

        power: float
        depth: int | None = None

        def prepare(self, equations: Any) -> Any:
            return equations

        def solve(self, prepared: Any, data: Any) -> Any: ...

    monkeypatch.setattr("mpijax.reconstruction.solvers.registry._KNOWN", dict(_KNOWN))
    with pytest.raises(ValueError, match="has no name"):
        ReconstructPlan(solver=Halves(0.5))
    register_solver("halves", Halves)
    plan = ReconstructPlan(solver=Halves(0.5, depth=2))
    plan.save(tmp_path / "plan.toml")
    assert ReconstructPlan.load(tmp_path / "plan.toml") == plan
    assert "# power: of one half [dB]." in (tmp_path / "plan.toml").read_text()
    bare = 'kind = "reconstruct"\nversion = 1\n[solver]\nname = "halves"'
    with pytest.raises(ValueError, match=r"p: \[solver\] power is not given, and has no default"):
        Plan.parse(bare, "p", tmp_path)


@pytest.mark.parametrize(
    "solver, says",
    [
        (Kaczmarz(regularization=np.ones(3)), "solver.regularization"),
        (Kaczmarz(init=np.zeros((1, 2, 2))), "solver.init"),
        (Admm(penalties=(lambda: None,)), "solver.penalties"),
        (NeuralImplicit(key=jax.random.key(0)), "seed instead"),
        (PlugAndPlay(abs), "has no name"),
    ],
)
def test_what_no_text_can_hold_is_refused(solver, says):
    with pytest.raises(ValueError, match=says):
        ReconstructPlan(solver=solver)


OF_OTHER_KINDS = ("task is not given", "expected a list of 3 numbers")
HEAD = 'kind = "reconstruct"\nversion = 1\n'


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "no kind is given"),
        ('kind = "recontruct"\nversion = 1', "did you mean reconstruct?"),
        ("kind = 3\nversion = 1", "no kind is given"),
        ('kind = "reconstruct"', "no version is given"),
        ('kind = "reconstruct"\nversion = 2', "reads plans of version 1"),
        ('kind = "reconstruct"\nversion = true', "version = true; this mpijax"),
        ('kind = "restore"\nversion = 1', "task is not given"),
        ('kind = "restore"\nversion = 1\ntask = "denoise"', 'one of the kind "reconstruct" is expected'),
        ('kind = "restore"\nversion = 9\nsead = 1\n[rows]', 'this is a plan of the kind "restore", and one of'),
        (HEAD + "sead = 1", "sead is not known; did you mean seed?"),
        (HEAD + "seed = -1", "seed = -1; expected a whole number"),
        (HEAD + f"seed = {10**20}", "expected a whole number from 0 to 4294967295"),
        (HEAD + "seed = 1.5", "seed = 1.5; expected a whole number"),
        (HEAD + "seed = true", "seed = true; expected a whole number"),
        (HEAD + "rows = 3", "expected a table, [rows]"),
        (HEAD + "[row]\n", "row is not known; did you mean rows?"),
        (HEAD + "[rows]\nmin_frequncy = 3", "[rows] min_frequncy is not known; did you mean min_frequency?"),
        (HEAD + '[rows]\nmax_order = "many"', "[rows] max_order = 'many'; expected a whole number or \"none\""),
        (HEAD + "[rows]\nchannels = [0, 1.5]", "[rows] channels = [0, 1.5]; expected a list of numbers"),
        (HEAD + "[rows]\nchannels = [0, true]", "[rows] channels = [0, true]; expected a list of numbers"),
        (HEAD + "[rows]\nchannels = [2, 2]", "[rows] channels = (2, 2); expected numbers of channels, each once"),
        (HEAD + "[rows]\nmin_frequency = -1", "[rows] min_frequency = -1.0 kHz; allowed is at least 0 kHz"),
        (HEAD + "[rows]\nmax_frequency = 70.0", "[rows] max_frequency = 70 kHz lies below min_frequency = 80 kHz"),
        (HEAD + "[rows]\nmax_order = -1", "[rows] max_order = -1; expected a whole number of at least 0"),
        (HEAD + '[data]\nframes = "5:2"', "[data] frames = '5:2'; give one frame (5) or a range"),
        (HEAD + "[data]\naverage_frames = 0", "[data] average_frames = 0; expected a whole number of at least 1"),
        (HEAD + "[data]\nperiod = -1", "[data] period = -1; expected a whole number of at least 0"),
        (HEAD + '[rows]\nweights = "heavy"', "allowed: 'none', 'row_norm', 'whitening'"),
        (HEAD + "[data]\nframes = 5", "[data] frames = 5; expected a text"),
        (HEAD + "[data]\ndrift_components = -1", "drift_components = -1"),
        (HEAD + "[solver]\nsweeps = 3", "[solver] name is not given"),
        (HEAD + '[solver]\nname = "kaczmars"', "did you mean kaczmarz?"),
        (HEAD + '[solver]\nname = "kaczmarz"\n" sweeps" = 3', "[solver] ' sweeps' is not known; did you mean sweeps?"),
        (
            HEAD + '[solver]\nname = "kaczmarz"\n"sweeps\u200b" = 3',
            r"[solver] 'sweeps\u200b' is not known; did you mean",
        ),
        (HEAD + '[solver]\nname = "admm"\nsweeps = 3', "[solver] sweeps is not known"),
        (HEAD + '[solver]\nname = "neural"\nkey = 3', "[solver] key is not known"),
        (HEAD + '[solver]\nname = "kaczmarz"\nregularization = -1', "regularization = -1"),
        (
            HEAD + '[solver]\nname = "kaczmarz"\nrow_order = "odd"',
            "[solver] row_order = 'odd'; allowed: \"none\", 'rand",
        ),
        (HEAD + '[solver]\nname = "kaczmarz"\nsweeps = true', "[solver] sweeps = true; expected a whole number"),
        (HEAD + "seed = ", "cannot be read as TOML"),
        ("\0", "cannot be read as TOML"),
        (HEAD + "[scanner]\nshape = [1, 2]", "scanner is not known"),
        ('kind = "simulate"\nversion = 1\npreset = "2d"\n[scanner]\nshape = [1, 2]', "expected a list of 3 numbers"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_name_of_the_file(tmp_path, text, says):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        (mj.plans.load if says in OF_OTHER_KINDS else ReconstructPlan.load)(path)
    assert says in str(error.value) and str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_no_file_a_folder_and_bytes(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        mj.plans.load(tmp_path / "absent.toml")
    with pytest.raises(ValueError, match="is a folder"):
        mj.plans.load(tmp_path)
    (tmp_path / "image").write_bytes(b"\x89HDF\xff")
    with pytest.raises(ValueError, match="no text in UTF-8"):
        mj.plans.load(tmp_path / "image")


def test_a_mark_of_the_byte_order_before_the_text_is_no_mistake(tmp_path):
    (tmp_path / "plan.toml").write_bytes(b"\xef\xbb\xbf" + (HEAD + "seed = 3").encode())
    assert mj.plans.load(tmp_path / "plan.toml") == ReconstructPlan(seed=3)
