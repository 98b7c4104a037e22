"""A package of mpijax imports only from packages to its left."""

import ast
import subprocess
import sys
from pathlib import Path

ORDER = [
    "core", "metrics", "physics", "system", "io", "models", "reconstruction", "identification", "rows", "datasets", "training",
    "restoration", "plans", "viz", "view", "cli",
]  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "mpijax").rglob("*.py"))
OWNERS = {"h5py": {"io"}, "matplotlib": {"viz"}, "orbax": {"training"}, "bokeh": {"view"}}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_go_left():
    assert len(FILES) > 200
    for path in FILES:
        parts = path.relative_to(ROOT / "mpijax").with_suffix("").parts
        if parts not in (("__init__",), ("calibration",)):  # the name that `identification` had
            check_imports(path, parts)


def check_imports(path, parts):
    here = ORDER.index(parts[0])
    for name in imports(path):
        head = name.split(".")
        if head[0] == "mpijax":
            if parts[0] == "cli" and len(head) == 1:
                continue  # the command line is a user of the whole package
            assert len(head) > 1 and head[1] in ORDER, f"{path} imports {name}"
            assert ORDER.index(head[1]) <= here, f"{path} imports {name}, which lies to its right"
        if head[0] in OWNERS:
            assert parts[0] in OWNERS[head[0]], f"{path} imports {name}"
        assert head[0] != "experiments"


def test_import_has_no_side_effects():
    code = (
        "import jax; before = (jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision); import mpijax; "
        "from jax.extend import backend; "
        "assert before == (jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision); "
        "import sys; assert 'matplotlib.pyplot' not in sys.modules; print(mpijax.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:mpijax", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_page_shows_the_floors():
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert table == ORDER
