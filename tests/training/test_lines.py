"""What a run says where no terminal shows a bar."""

import pytest

from mpijax.training import logging


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(logging.time, "monotonic", lambda: now[0])
    return now


def said(capsys):
    return capsys.readouterr().out.splitlines()


def test_lines_come_now_and_then_and_say_what_time_is_left(clock, capsys):
    with logging.show_progress(0, 1000, True) as report:
        for step in range(1, 1001):
            clock[0] = 60.0 + step  # the first step compiles for a minute
            report(step, None)
            if step % 10 == 0:
                report(step, "loss 1")
    lines = said(capsys)
    assert len(lines) == 34 and lines[1] == "step 40/1000  loss 1  about 16.0 min left", lines[:3]
    assert lines[-1] == "step 1000/1000  loss 1"


def test_quick_runs_say_a_tenth_and_every_validation(clock, capsys):
    with logging.show_progress(0, 1000, True) as report:
        for step in range(1, 1001):
            clock[0] += 0.01
            report(step, None)
            if step % 10 == 0:
                report(step, "loss 1")
            if step in (5, 15):
                report(step, "psnr 20", always=True)
    lines = said(capsys)
    assert [line for line in lines if "psnr" in line] == [f"step {n}/1000  psnr 20  about 10 s left" for n in (5, 15)]
    assert len([line for line in lines if "loss" in line]) == 10


@pytest.mark.parametrize("seconds, words", [(5.4, "5 s"), (90, "1.5 min"), (9000, "2.5 h")])
def test_durations(seconds, words):
    assert logging.duration(seconds) == words
