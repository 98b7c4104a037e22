"""Tables of the model zoo: shipped networks from their cards, published networks from the registry."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from bibliography_links import label, named, source_of, terms
from flax import nnx  # noqa: TID251 - networks are counted by their shapes
from generated_pages import PARTS, table, write

from mpijax import models

CARDS = Path(__file__).resolve().parent.parent.parent / "data" / "weights"
KINDS = ("in model", "out of model", "measured")
PERFECT = 120.0
"""PSNR of a row without an error [dB], where metrics stop; such a case measures nothing."""


NOT_MEASURED = {
    "restore_3d": "not measured, for that needs a measured volume: the calibrations of Open MPI ([public data](public_data.md)) "
    "are such, but no part of the project.",
}
"""Shipped network -> why no figure with a measured truth stands on its card."""


class Published(NamedTuple):
    """Options of the published size; the count that a paper states or that was counted in public code, and which; what was
    done here."""

    options: dict[str, Any]
    count: str
    status: str


SMALL = "trained here at reduced size"
UNTRAINED = "built and tested, not trained at full size"
OWN = "of this project"
PUBLISHED = {
    "consistent_unet": Published({"scale": 2}, OWN, f"{SMALL} (`transms_simulated`)"),
    "dncnn": Published({}, "558,210 (code of KAIR, two channels)", UNTRAINED),
    "guided_unet": Published({}, OWN, "trained here, does not ship: it gains nothing (`guided_network`)"),
    "mdsr": Published(
        {"scale": 2},
        "3,336,834 (its authors' code, two channels, 2x, 4x, 8x; 3.23 million there for three, 2x, 3x, 4x)",
        UNTRAINED,
    ),
    "mpi_mamba": Published(
        {"channels": 3, "stage": 2},
        "14,673,877 + 558,040 + 2,629,937 (its authors' code)",
        f"{SMALL} (`mpi_mamba_simulation`)",
    ),
    "nafnet": Published({"channels": 3}, "17.1 million (tables of later papers)", f"{SMALL} (`mpi_mamba_simulation`)"),
    "pconv_unet": Published({"dimensions": 3}, "not stated in 3-D", UNTRAINED),
    "rdn": Published({}, "21,974,530 (public code without its upsampler, two channels)", UNTRAINED),
    "restormer": Published(
        {"channels": 3}, "26.13 million (tables of later papers)", f"{SMALL} (`mpi_mamba_simulation`)"
    ),
    "siren": Published(
        {"channels": 1},
        "198,401 (its authors' code at this size; the MPI paper states none)",
        "trained for every scan anew (`neural_implicit_spiral`)",
    ),
    "smrnet": Published({"scale": 2}, "6,587,970 (its authors' code)", UNTRAINED),
    "srcnn": Published({"scale": 2}, "14,114 (code of TranSMS)", "trained here (`transms_simulated`)"),
    "swinir": Published(
        {}, "11,500,922 (its authors' code, two channels; 11.9 million there for 4x super-resolution)", UNTRAINED
    ),
    "transms": Published(
        {"scale": 2}, "714,034 + 64 that are never used (its authors' code)", f"{SMALL} (`transms_simulated`)"
    ),
    "unet": Published({}, OWN, ""),
    "vdsr": Published({"scale": 2}, "665,856 (code of TranSMS)", UNTRAINED),
    "vrfnet": Published({"scale": 2, "input_shape": (16, 16)}, "not stated", f"{SMALL} (`vrfnet_simulated`)"),
    "wiener_unet": Published({}, OWN, ""),
}


class _OneKey(nnx.RngStream):
    """A stream that stays at its first key: counting keys on, flax prints the whole trace so far at each of them."""

    def __call__(self) -> Any:
        return self.key[...]


def shapes(name: str, options: dict[str, Any]) -> nnx.Module:
    """A network with shapes in place of weights."""

    def build() -> nnx.Module:
        rngs = nnx.Rngs(0)
        rngs.default = _OneKey(0, tag="default")
        return models.create(name, rngs=rngs, **options)

    return nnx.eval_shape(build)


def cards() -> dict[str, dict[str, Any]]:
    """Name of shipped weights -> their card."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CARDS.glob("*.json"))}


def tasks(card: dict[str, Any]) -> str:
    task: str = card["metadata"]["data"]["task"]["task"]
    return "denoise, inpaint, complete" if task == "any" else task


def shipped_rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    rows = []
    for name, card in found.items():
        model, metadata = card["model"], card["metadata"]
        buckets = [bucket["shape"] for bucket in metadata["data"]["stream"]["buckets"]]
        smallest, largest = min(metadata["data"]["prior"]["size_range"]), max(map(max, buckets))
        weights = sum(math.prod(shape) for key, shape in card["arrays"].items() if key.startswith("params/"))
        rows.append(
            [
                f"[`{name}`](#{name})",
                tasks(card),
                f"`{model['name']}`",
                f"{model['dimensions']}-D, {smallest} to {largest}",
                str(model["channels"]),
                f"{weights:,}",
            ]
        )
    return rows


def trained_on(metadata: dict[str, Any]) -> str:
    """The data of a training in words."""
    prior, noise = metadata["data"]["prior"], metadata["data"]["task"]["noise_range"]
    ranges = {
        "cores of {:g} to {:g} nm": [1e9 * x for x in prior["core_diameter"]],
        "anisotropy up to {1:g} kJ/m^3": [1e-3 * x for x in prior["anisotropy_constant"]],
        "gradients of {:g} to {:g} T/m": prior["gradient"],
        "drive amplitudes of {:g} to {:g} mT": [1e3 * x for x in prior["amplitude"]],
        "noise of {:g} to {:g} of a row's peak": noise,
    }
    words = ", ".join(text.format(*(float(f"{x:.3g}") for x in values)) for text, values in ranges.items())
    steps, batch = metadata["training"]["steps"], metadata["training"]["batch_size"]
    return (
        f"{prior['dimensions']}-D Lissajous calibrations in equilibrium, simulated while it trained: {words}; "
        f"{steps:,} steps of {batch} rows."
    )


def figure_of(line: dict[str, Any]) -> tuple[str, list[float]]:
    """What a line of a card says, at missing positions where it tells them apart."""
    known = {"relative_error": "relative error", "psnr_missing": "PSNR at missing positions [dB]", "psnr": "PSNR [dB]"}
    key = next(key for key in known if key in line)
    return known[key], line[key]


def shown(values: list[float]) -> str:
    """A mean and, where there is one, its interval."""
    texts = [f"{value:.1f}" if value >= 1 else f"{value:.3f}" for value in values]
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"


def cases(evaluation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Of every case and truth: both, the network's line, and that of the best method without training."""
    ours = evaluation["networks"][0]
    for case, lines in evaluation["figures"].items():
        whole = [line for line in lines if line.get("range", "all") == "all"]
        for truth in dict.fromkeys((line.get("truth", ""), line.get("in_model", False)) for line in whole):
            group = [line for line in whole if (line.get("truth", ""), line.get("in_model", False)) == truth]
            network = next((line for line in group if line["method"] == ours), None)
            others = [line for line in group if line["method"] not in evaluation["networks"]]
            if network is None or not others or figure_of(network)[1][0] >= PERFECT:
                continue
            sign = -1 if "relative_error" in network else 1
            best = max(others, key=lambda line: sign * figure_of(line)[1][0])
            yield case_in_words(case), f"{truth[0]} (in model)" if truth[1] else truth[0], network, best


def case_in_words(case: str) -> str:
    """A key of a card's figures: noise is its last number, where it ends in one."""
    *rest, last = case.split(", ")
    try:
        noise = f"noise {float(last):g}" if float(last) else "no noise"
    except ValueError:
        return case
    return ", ".join([*rest, noise])


def section(name: str, card: dict[str, Any]) -> str:
    """Of one shipped network: training and, by kind, every figure beside its truth and command."""
    metadata = card["metadata"]
    made = f"Command: `{metadata['command']}`. License: {metadata['license']}."
    parts = [f"### `{name}`", f"Trained on: {trained_on(metadata)} {made}"]
    for kind in KINDS:
        evaluations = [found for found in metadata["figures"].values() if found["kind"] == kind]
        if not evaluations:
            parts.append(f"**{kind.capitalize()}:** {NOT_MEASURED[name]}")
        for evaluation in evaluations:
            found = list(cases(evaluation))
            parts.append(f"**{kind.capitalize()}:** {evaluation['truth']}. Command: `{evaluation['command']}`.")
            parts.append(by_truth(name, found) if any(truth for _, truth, _, _ in found) else by_case(name, found))
    return "\n\n".join(parts)


def in_short(name: str, card: dict[str, Any]) -> str:
    """A line of one shipped network: its tasks and, by kind, in how many cases it beats the best method without training."""
    counts = {kind: [0, 0] for kind in KINDS}
    for evaluation in card["metadata"]["figures"].values():
        for _, truth, ours, best in cases(evaluation):
            kind = "in model" if truth.endswith("(in model)") else evaluation["kind"]
            sign = -1 if "relative_error" in ours else 1
            counts[kind][0] += sign * figure_of(ours)[1][0] > sign * figure_of(best)[1][0]
            counts[kind][1] += 1
    said = [f"{kind} in {won} of {of}" if of else f"{kind}: no figure" for kind, (won, of) in counts.items()]
    return f"- [`{name}`](#{name}) ({tasks(card)}): {', '.join(said)}."


def by_case(name: str, found: list[tuple[str, str, dict[str, Any], dict[str, Any]]]) -> str:
    """Cases by lines."""
    rows = [
        [case, figure_of(ours)[0], shown(figure_of(ours)[1]), shown(figure_of(best)[1]), best["method"]]
        for case, _, ours, best in found
    ]
    return table(["case", "figure", f"`{name}`", "best without training", "which"], rows).rstrip()


def by_truth(name: str, found: list[tuple[str, str, dict[str, Any], dict[str, Any]]]) -> str:
    """Truths by cases: the network and the best method without training, in bold which is better, if they print otherwise."""
    columns = list(dict.fromkeys(case for case, *_ in found))
    cells: dict[str, dict[str, str]] = {}
    for case, truth, ours, best in found:
        wins = figure_of(ours)[1][0] > figure_of(best)[1][0]
        texts = shown(figure_of(ours)[1]), f"{figure_of(best)[1][0]:.1f}"
        cells.setdefault(truth, {})[case] = " / ".join(
            f"**{x}**" if x == texts[not wins] != texts[wins] else x for x in texts
        )
    rows = [[truth, *(of_truth.get(case, "-") for case in columns)] for truth, of_truth in cells.items()]
    head = [f"truth; {figure_of(found[0][2])[0]}, `{name}` / best without training", *columns]
    return table(head, rows).rstrip()


def papers(network: type) -> str:
    """Links to the entries of the bibliography that a network's documentation names."""
    found = source_of((network.__doc__ or "").splitlines())
    if found is None:
        raise ValueError(f"{network.__name__} does not name its source; its docstring says it after 'Source:'.")
    titles = {label(term): term.split(",")[0] for term in terms()}
    labels = dict.fromkeys(where for _, _, where in named(found[2]))
    own = ["this project"] if "this project's network" in found[2] else []
    return ", ".join([*own, *(f"{{ref}}`{titles[where]} <{where}>`" for where in labels)])


def published_rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    if set(PUBLISHED) != set(models.names()):
        raise ValueError(f"the zoo does not know {set(PUBLISHED) ^ set(models.names())}; say their size and status.")
    rows = []
    for name, said in PUBLISHED.items():
        ships = [f"[`{card}`](#{card})" for card, content in found.items() if content["model"]["name"] == name]
        options = ", ".join(f"{key}={value}" for key, value in said.options.items()) or "defaults"
        status = f"ships: {', '.join(ships)}" if ships else said.status
        network = shapes(name, said.options)
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
        rows.append([f"`{name}`", papers(type(network)), said.count, f"{count:,}", options, status])
    return rows


def write_tables(app: Any, config: Any) -> None:
    found = cards()
    head = ["name", "task", "network", "grid", "channels", "weights"]
    sections = "\n\n".join(section(name, card) for name, card in found.items())
    write(PARTS / "zoo_short.md", "\n".join(in_short(name, card) for name, card in found.items()) + "\n")
    write(PARTS / "zoo_shipped.md", f"{table(head, shipped_rows(found))}\n{sections}\n")
    head = ["network", "papers and code", "weights, published", "weights, measured here", "options", "status"]
    write(PARTS / "zoo_published.md", table(head, published_rows(found)))


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", write_tables)
    return {"parallel_read_safe": True}
