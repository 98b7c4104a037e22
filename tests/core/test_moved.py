"""Old names give the object behind the new one, with a word; names without a twin say what to write."""

import pytest

import mpijax as mj


def test_old_names_are_the_new_objects():
    for module, name, new in (
        (mj.calibration, "fit", mj.identification.fit),
        (mj.datasets, "degrade", mj.rows.degrade),
        (mj.restoration, "dct_filter", mj.rows.dct_filter),
        (mj.restoration, "fitted_matrix", mj.identification.fitted_matrix),
    ):
        with pytest.warns(DeprecationWarning, match=rf"{module.__name__}.{name} is mpijax\.\w+\.{name}"):
            assert getattr(module, name) is new
    for name in ("row_index", "select"):
        with pytest.warns(DeprecationWarning, match=f"mpijax.system.{name} is mpijax.system.facts.{name}"):
            assert getattr(mj.system, name) is getattr(mj.system.facts, name)
    assert mj.io.mdf_write.acquisition_metadata is mj.io.mdf.write.acquisition_metadata and callable(mj.io.snr.add_snr)


def test_values_of_version_0_7_work_under_their_names():
    with pytest.warns(DeprecationWarning, match="RecoveryTask is mpijax.datasets.CoarseMeasurement"):
        assert mj.datasets.RecoveryTask is mj.datasets.CoarseMeasurement
    with pytest.warns(DeprecationWarning, match="RestorationTask is mpijax.datasets.former.RestorationTask"):
        former = mj.datasets.RestorationTask
    assert former("any", step=3, noise_power=2.0).tasks[2] == mj.Complete(3)
    assert former("upsample", scale=2).tasks == (mj.Upsample(2, "stride"),) and former().noise_range == (0, 0.3)
    with pytest.raises(ValueError, match="'upsample' needs 2 or more"):
        former("upsample")
    with pytest.warns(DeprecationWarning, match="recover_by_patches is mpijax.restoration.upsample_by_patches"):
        assert mj.restoration.recover_by_patches is mj.restoration.upsample_by_patches


def test_names_that_are_gone_say_what_to_write():
    with pytest.raises(AttributeError, match="find_restorer is no more; use find_method"):
        _ = mj.restoration.find_restorer
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mj.restoration.nothing
