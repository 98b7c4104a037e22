"""Tables of the page of benchmarks, from the committed JSON of ``make bench``."""

import json
from typing import Any

from generated_pages import GENERATED, PARTS, table, write

from benchmarks.all import in_words, markdown, rows_of
from benchmarks.common import Ratio

RESULT = GENERATED.parent / "benchmarks.json"
PEERS = {
    "NumPy": ("numpy", "loop over positions", "cache-sized blocks"),
    "SciPy": ("scipy", "literal series"),
    "numba": ("numba",),
    "magpylib": ("magpylib",),
    "PyTorch": ("pytorch",),
}
"""Peer -> words of a ratio's name that tell it; the literal series is a SciPy port, loop and blocks are NumPy's."""


def peer_rows(benchmarks: list[dict[str, Any]]) -> list[list[str]]:
    """Rows by peer: peer, benchmark, what, measured, wanted, verdict."""
    ratios = [(found["title"], Ratio(**fields)) for found in benchmarks for fields in found.get("ratios", [])]
    rows = []
    for peer, words in PEERS.items():
        of_peer = [(title, r) for title, r in ratios if any(word in r.name.lower() for word in words)]
        rows += [
            [peer if k == 0 else "", title, r.name, r.measured, r.wanted, r.verdict]
            for k, (title, r) in enumerate(of_peer)
        ]
    return rows


def write_tables(app: Any, config: Any) -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    write(PARTS / "benchmarks.md", markdown(rows_of(result["benchmarks"]), f"{in_words(result)}."))
    head = ["peer", "benchmark", "what", "measured", "wanted", ""]
    write(PARTS / "benchmark_peers.md", table(head, peer_rows(result["benchmarks"])))


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", write_tables)
    return {"parallel_read_safe": True}
