"""What a container says of its scan is a record; only mpijax.io knows under which paths files keep it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mpijax as mj
from mpijax.system.facts.header import Header, header_of, keep_under, stating

PATH = re.compile(r"""["']/(acquisition|calibration|study|tracer|measurement|reconstruction|experiment|scanner)/""")


def measurement(**metadata):
    return mj.Measurement.create(np.ones((4, 1, 1, 5), complex), 1e3 * np.arange(5.0), metadata=metadata)


def test_paths_of_files_stand_in_io_alone():
    package = Path(mj.__file__).parent
    outside = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "io"]
    assert len(outside) > 100 and not [path for path in outside if PATH.search(path.read_text())]


def test_the_record_and_the_old_spelling_say_the_same():
    data = measurement(
        **{"/acquisition/numAverages": 3, "/study/name": "mice", "/acquisition/_assumed": ("/acquisition/gradient",)}
    )
    assert data.header == Header(averages=3, assumed=("gradient",)) and measurement().header == Header()
    mean = data.average(frames=2)
    assert mean.header.averages == mean.metadata["/acquisition/numAverages"] == 6
    assert mean.metadata["/study/name"] == "mice"
    said = replace(data, metadata=stating(data.metadata, restoration="denoised", simulated=True, assumed=("unit",)))
    assert said.metadata["/calibration/_restoration"] == "denoised" and said.metadata["/experiment/isSimulation"] == 1
    assert said.metadata["/acquisition/_assumed"] == ("/acquisition/receiver/unit",)
    assert header_of(said.metadata).assumed == ("unit",) and said.metadata["/study/name"] == "mice"


def test_every_field_has_a_place():
    with pytest.raises(ValueError, match="keys are missing or unknown: .*simulated"):
        keep_under({"averages": "/a"})
