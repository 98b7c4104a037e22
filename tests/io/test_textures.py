import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mpijax.io import read_textures

IMAGES = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)


def test_all_formats_give_the_images_in_the_order_of_names(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES[0])
    savemat(tmp_path / "b.mat", {"noise": IMAGES[1], "number": 3.0})
    with h5py.File(tmp_path / "c.mat", "w") as file:  # as MATLAB writes version 7.3: axes reversed
        file["noise"] = IMAGES[2].T
    found = read_textures(tmp_path / name for name in ("a.npy", "b.mat", "c.mat"))
    np.testing.assert_array_equal(found, IMAGES)
    assert found.dtype == np.float32


def test_what_holds_no_images_of_one_size_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_textures([tmp_path / "nothing.mat"])
    with pytest.raises(ValueError, match="no file: 0 images"):
        read_textures([])
    (tmp_path / "bad.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut short")
    with pytest.raises(ValueError, match="bad.mat cannot be read"):
        read_textures([tmp_path / "bad.mat"])
    np.save(tmp_path / "complex.npy", IMAGES[0] + 1j)
    with pytest.raises(ValueError, match="0 images .* real images"):
        read_textures([tmp_path / "complex.npy"])
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(ValueError, match="neither a .npy nor a .mat"):
        read_textures([tmp_path / "notes.txt"])
    np.save(tmp_path / "a.npy", IMAGES[0])
    np.save(tmp_path / "b.npy", IMAGES[1].T)
    with pytest.raises(ValueError, match=r"\(4, 5\), \(5, 4\)"):
        read_textures([tmp_path / "a.npy", tmp_path / "b.npy"])


def test_stacks_are_images(tmp_path):
    np.save(tmp_path / "stack.npy", IMAGES)
    np.testing.assert_array_equal(read_textures([tmp_path / "stack.npy"]), IMAGES)
