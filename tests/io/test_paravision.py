"""Folders in the layout of ParaVision, made up by its description; no real scanner has written one for these tests."""

import warnings

import numpy as np
import pytest

import mpijax as mj
from mpijax import io
from mpijax.io.jcamp import read_parameters
from tests.io.mdf_files import random_complex
from tests.test_cli import run

V, K, C = 64, 33, 3
SIZE, AVERAGES = (3, 2, 1), 4
N = 6


def acqp(scans, method="User:MPI"):
    return f"""##TITLE=Parameter List, ParaVision 6.0
##JCAMPDX=4.24
$$ Fri Jan 2 03:04:05 2015
##$ACQ_method=( 40 )
<{method}>
##$ACQ_scan_name=( 64 )
<Snake (E7)>
##$ACQ_operator=( 64 )
<M\xfcller>
##$ACQ_institution=( 64 )
<Lab>
##$ACQ_station=( 64 )
<MPI 25/20>
##$ACQ_time=<2015-01-02T03:04:05,678+0100>
##$ACQ_size=( 1 )
{V}
##$ACQ_ReceiverSelect=( 4 )
Yes Yes Yes No
##$ACQ_jobs=( 1 )
({V}, 1, 0, {V}, 0, 0, 1,
{scans}, <job0>)
##$ACQ_MPI_drive_field_strength=( 3 )
14 14 0
##$ACQ_MPI_selection_field_gradient=2.5
##$BYTORDA=little
##$NA={AVERAGES}
##END=
"""


METHOD = """##TITLE=Parameter List
##$PVM_MPI_Bandwidth=1.25
##$PVM_MPI_DriveFieldCycle=0.0256
##$PVM_MPI_Tracer=( 65 )
<Resovist>
##$PVM_MPI_TracerVolume=8
##$PVM_MPI_TracerConcentration=0.5
##$MPI_NSteps=2
##$MPI_RepetitionsPerStep=1
##$MPI_FocusFieldX=( 2 )
-3 3
##$MPI_FocusFieldY=( 2 )
@2*(0)
##$MPI_FocusFieldZ=( 2 )
0 0
##END=
"""
GRID = """##$PVM_Matrix=( 3 )
3 2 1
##$PVM_Fov=( 3 )
30 20 10
##$PVM_MPI_FovCenter=( 3 )
1 0 -1
##$PVM_MPI_NrCalibrationScans=9
##$PVM_MPI_BackgroundMeasurementCalibrationIncrement=3
##END=
"""
VISU = """##TITLE=Parameter List
##$VisuStudyId=( 65 )
<Bottles>
##$VisuStudyNumber=3
##$VisuExperimentNumber=7
##$VisuSubjectId=( 65 )
<Phantom>
##END=
"""


@pytest.fixture
def measured(tmp_path):
    """Three frames of two steps, and its samples (frames, steps, receivers, samples)."""
    folder = tmp_path / "7"
    folder.mkdir()
    samples = np.random.default_rng(0).integers(-(2**20), 2**20, (3, 2, C, V)).astype("<i4")
    samples.tofile(folder / "rawdata.job0")
    for name, text in (("acqp", acqp(6)), ("method", METHOD), ("visu_pars", VISU)):
        (folder / name).write_text(text, "latin-1")
    return folder, samples


@pytest.fixture
def calibrated(tmp_path):
    """A system matrix, two background frames and an SNR."""
    folder = tmp_path / "8"
    (folder / "pdata" / "1").mkdir(parents=True)
    values, empty = random_complex(0, C, K, N, dtype="c16"), random_complex(1, C, K, 3, dtype="c16")
    snr = np.random.default_rng(2).uniform(1, 9, (C, K))
    for name, array in (("systemMatrix", values), ("background", empty), ("snr", snr)):
        array.tofile(folder / "pdata" / "1" / name)
    method = METHOD.replace("MPI_NSteps=2", "MPI_NSteps=1").replace("MPI_FocusField", "NOT")
    (folder / "acqp").write_text(acqp(10, "User:MPICalibration"), "latin-1")
    (folder / "method").write_text(method.replace("##END=\n", GRID))
    return folder, values, empty, snr


def test_a_measurement(measured):
    folder, samples = measured
    with pytest.warns(UserWarning, match="untested on real scanners"):
        info = io.read_info(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        found = io.read_measurement(folder)
        assert isinstance(io.read(folder), mj.Measurement)
    expected = np.fft.rfft(samples.astype(float)) / AVERAGES
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(found.frequencies, np.arange(K) * 2.5e6 / V)
    assert not info.is_calibration and info.n_periods == 2 and info.n_averages == AVERAGES and info.unit == "a.u."
    np.testing.assert_allclose(info.gradient, np.diag([-1.25, -1.25, 2.5]))
    np.testing.assert_allclose(info.offset_fields[:, 0], [[-3e-3, 0, 0], [3e-3, 0, 0]])
    np.testing.assert_allclose(info.strength[:, 0], [14e-3, 14e-3, 0])
    np.testing.assert_allclose(info.phase, np.pi / 2)
    assert info.divider.ravel().tolist() == [102, 96, 99] and info.cycle == pytest.approx(25.6e-6)
    assert info.study["name"] == "Bottles" and info.experiment["number"] == 7 and info.scanner["operator"] == "Müller"
    assert info.tracer["name"] == ("Resovist",) and info.tracer["concentration"] == (0.5,)
    assert info.tracer["volume"][0] == pytest.approx(8e-6) and info.start_time == "2015-01-02T03:04:05.678"


@pytest.mark.filterwarnings("ignore:.*untested")
def test_a_calibration(calibrated):
    folder, values, empty, snr = calibrated
    found = io.read_system_matrix(folder)
    np.testing.assert_allclose(found.values, values / AVERAGES, rtol=1e-6)
    np.testing.assert_allclose(found.background, empty.transpose(2, 0, 1) / AVERAGES, rtol=1e-6)
    np.testing.assert_array_equal(found.snr, snr)
    assert found.grid.shape == SIZE and found.sample_concentration == pytest.approx(500)
    np.testing.assert_allclose(found.grid.fov, [30e-3, 20e-3, 10e-3])
    np.testing.assert_allclose(found.grid.center, [1e-3, 0, -1e-3])
    # background first and after every third position; x runs back and forth
    assert io.read_info(folder).acquisition_index.tolist() == [1, 2, 3, 7, 6, 5, 0, 4, 8]
    (folder / "pdata" / "1" / "background").unlink()
    assert io.read_system_matrix(folder, snr_threshold=5).background is None


@pytest.mark.filterwarnings("ignore:.*untested")
def test_a_calibration_that_the_scanner_did_not_process(calibrated):
    folder, *_ = calibrated
    (folder / "pdata" / "1" / "systemMatrix").unlink()
    raw = np.random.default_rng(3).integers(-99, 99, (10, 1, C, V)).astype("<i4")  # one more than there are: padding
    raw.tofile(folder / "rawdata.job0")
    found = io.read_system_matrix(folder)
    expected = np.fft.rfft(raw[:9, 0]) / AVERAGES
    np.testing.assert_allclose(found.values, expected[[1, 2, 3, 7, 6, 5]].transpose(1, 2, 0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.background, expected[[0, 4, 8]], rtol=1e-4, atol=1e-3)
    (folder / "ismeasurement").touch()
    assert io.read_measurement(folder).values.shape == (10, 1, C, K)


def test_the_command_line(measured, calibrated, capsys, tmp_path):
    status, text = run(capsys, "info", calibrated[0])
    assert status == 0 and "grid 3 x 2 x 1" in text and text.count("untested on real scanners") == 1
    status, text = run(capsys, "convert", measured[0], "-o", tmp_path / "m.mdf", "--frames", "1:")
    assert status == 0 and "measurement 2 x 2 x 3 x 64 (numbers as they were)" in text
    found = io.read_measurement(tmp_path / "m.mdf")
    np.testing.assert_array_equal(found.values, io.read_measurement(measured[0], frames=slice(1, None)).values)
    status, text = run(capsys, "info", tmp_path)
    assert status == 2 and "is a folder; give the name of an MDF file, or of a folder of ParaVision" in text


@pytest.mark.filterwarnings("ignore:.*untested")
def test_mistakes_are_one_sentence(measured, calibrated):
    folder, samples = measured

    def refused(folder, match, name, content):
        place = folder / name
        before = place.read_bytes()
        place.unlink() if content is None else place.write_bytes(content)
        with pytest.raises(io.MDFError, match=match) as caught:
            io.read_info(folder)
        assert "\n" not in str(caught.value)
        place.write_bytes(before)

    def lacking(name, word):
        return b"\n".join(line for line in (folder / name).read_bytes().split(b"\n") if word not in line)

    refused(folder, "without the file method; copy it whole", "method", None)
    refused(folder, "without the file rawdata.job0", "rawdata.job0", None)
    refused(folder, "It is cut off", "rawdata.job0", samples.tobytes()[:-4])
    refused(folder, "no JCAMP-DX records", "acqp", b"nothing")
    refused(folder, r"method lacks ##\$PVM_MPI_Bandwidth", "method", lacking("method", b"Bandwidth"))
    refused(folder, r"PVM_MPI_Bandwidth = wide; one number is", "method", METHOD.replace("1.25", "wide").encode())
    refused(folder, r"MPI_NSteps = 1.5; a whole", "method", METHOD.replace("NSteps=2", "NSteps=1.5").encode())
    refused(folder, r"acqp lacks ##\$ACQ_MPI_selection", "acqp", lacking("acqp", b"ACQ_MPI_selection"))
    refused(folder, "3 numbers are expected", "acqp", acqp(6).replace("14 14 0", "14 14").encode("latin-1"))
    matrix = calibrated[0]
    cut = (matrix / "pdata" / "1" / "systemMatrix").read_bytes()[:-16]
    refused(matrix, "systemMatrix has .* It is cut off, or of another scan", "pdata/1/systemMatrix", cut)


@pytest.mark.parametrize("name", ["acqp", "method", "visu_pars"])
def test_a_parameter_file_that_is_cut_off_is_refused(measured, capsys, name):
    path = measured[0] / name
    path.write_text(path.read_text("latin-1").partition("##END=")[0], "latin-1")
    status, text = run(capsys, "info", measured[0])
    assert status == 2 and f"error: {path} has no ##END= at its end: it is cut off; copy it whole.\n" in text, text


def test_parameters(tmp_path):
    (tmp_path / "p").write_text(
        "##$A=( 2, 65 )\n<one> <two\n2>\n##$B=3 $$ \n##$C=( 5 )\n1 @3*(0) 2\n##$D=(1, <x>)\n##END=\n"
    )
    found = read_parameters(tmp_path / "p")
    assert found["A"] == ("one", "two\n2") and found["C"] == ("1", "0", "0", "0", "2") and found["D"] == ("1", "x")
