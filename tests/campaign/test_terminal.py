"""What a run says: a line that rewrites itself on a terminal, a line a dataset in a log, and every error."""

import io
import logging

import pytest
from campaigns import NAMES, leave

from cmip6zarr.campaign.course import Course, Job
from cmip6zarr.campaign.terminal import Terminal

FAILURE = {"rule": "convert", "class": "refused", "kind": "gap", "message": "/d/x.nc: a\x1b[2J gap.", "remedy": "Go."}


class Screen(io.StringIO):
    """A stream that is a terminal, or is not."""

    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


@pytest.fixture(params=[True, False], ids=["terminal", "log"])
def screen(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    return Screen(request.param)


def handler(screen, results, is_quiet=False):
    """Return the handler of a run of convert for three datasets."""
    plain = logging.StreamHandler(screen)
    plain.addFilter(lambda _record: not is_quiet)
    shown = Terminal(plain, lambda: ["3 datasets: 3 verified", "Report: results/report.html"], is_quiet)
    say(shown, "Workflow has started!", event="workflow_started")
    jobs = {number: Job("convert", (name,), "c.log", lambda: True) for number, name in enumerate(NAMES)}
    shown.follow(Course(jobs, results))
    return shown


def say(shown, message, level=logging.INFO, **facts):
    shown.handle(logging.makeLogRecord({"msg": message, "levelno": level, "levelname": "X", **facts}))


def run(shown, results):
    """Have a run of three datasets, of which one is refused, told to a handler."""
    leave(results, "failed", NAMES[1], **FAILURE)
    for job in range(3):
        say(shown, "Execute 1 jobs...", event="job_started", jobs=[job])
        say(shown, "convert", event="job_info", jobid=job)
        if job == 1:
            say(shown, "RuleException:\nCalledProcessError in file x", logging.ERROR, event="error")
            say(shown, "Error in rule", logging.ERROR, event="job_error", jobid=job)
        else:
            say(shown, "Finished", event="job_finished", job_id=job)
    say(shown, "Select jobs to execute...")
    say(shown, "WorkflowError:\nAt least one job did not complete successfully.", logging.ERROR, event="error")
    shown.close()
    return shown


def test_line_that_rewrites_itself(tmp_path, screen):
    """A terminal has one line that is drawn again, and lines that stay for what was refused alone."""
    if not screen.isatty():
        pytest.skip("of a terminal")
    run(handler(screen, tmp_path), tmp_path)
    said = screen.getvalue()
    frames = said.split("\r\x1b[K")
    assert any("2/3  1 refused  convert MODEL-A.historical.r1i1p1f1.Amon.ua.gn  0:00 left" in frame for frame in frames)
    assert max(len(frame) for frame in frames if "\n" not in frame) < 100
    stays = [frame for frame in frames if frame.endswith("\n")]
    assert [line for line in stays if "gap: a?[2J gap (x.nc) -> Go." in line] == [
        f"refused: gap: a?[2J gap (x.nc) -> Go. [{NAMES[1]}]\n"
    ]
    assert frames[-1] == ""


def test_log_has_a_line_a_dataset(tmp_path, screen):
    """What is no terminal gets a line a dataset, with the time and how many are done, and no escape."""
    if screen.isatty():
        pytest.skip("of a log")
    run(handler(screen, tmp_path), tmp_path)
    lines = [line.split(" ", 1)[1] for line in screen.getvalue().splitlines() if "/3 " in line]
    assert lines[0] == f"1/3 verified: {NAMES[0]}"
    assert lines[1] == f"2/3 refused: gap: a?[2J gap (x.nc) -> Go. [{NAMES[1]}]"
    assert lines[2] == f"3/3 verified: {NAMES[2]}"
    assert "\x1b" not in screen.getvalue()


@pytest.mark.parametrize("is_quiet", [False, True])
def test_errors_are_never_hidden(tmp_path, screen, is_quiet):
    """Whatever Snakemake was told, errors and refusals are shown; an error of the rules is one line."""
    shown = run(handler(screen, tmp_path, is_quiet), tmp_path)
    say(
        shown,
        'WorkflowError in file "/c/rules/common.smk", line 3:\nunknown key\n  File "x", line 3, in <m>',
        logging.ERROR,
        event="error",
    )
    say(shown, "Error in rule campaign:", logging.ERROR, event="job_error", jobid=99)
    said = screen.getvalue()
    assert "File" not in said
    assert said.count("gap: a?[2J gap (x.nc) -> Go.") == 1
    assert "WorkflowError: unknown key\n" in said
    assert "Error in rule campaign:\n" in said
    assert ("verified" in said or "█" in said) != is_quiet
    assert "CalledProcessError" not in said
    assert "At least one" not in said
    assert "Select jobs" not in said


def test_error_that_nothing_explains_is_shown(tmp_path, screen):
    """Of a command that is no dataset's, what Snakemake says is all that there is."""
    shown = handler(screen, tmp_path)
    say(shown, "RuleException:\nCalledProcessError in file x", logging.ERROR, event="error")
    say(shown, "Error in rule campaign:", logging.ERROR, event="job_error", jobid=99)
    assert "CalledProcessError in file x\nError in rule campaign:" in screen.getvalue()
    say(shown, "RuleException:\nCalledProcessError in file y", logging.ERROR, event="error")
    shown.close()
    assert "CalledProcessError in file y" in screen.getvalue()


def test_nothing_to_do_is_summed_up(tmp_path, screen):
    """The words that others look for, then how the campaign stands, and the report."""
    say(handler(screen, tmp_path), "Nothing to be done (all requested files are present and up to date).")
    assert screen.getvalue().splitlines()[-3:] == [
        "Nothing to be done (all requested files are present and up to date).",
        "3 datasets: 3 verified",
        "Report: results/report.html",
    ]


def test_jobs_that_print_have_the_terminal_for_themselves(tmp_path, screen):
    """The line is gone before the tables are printed, and does not come back."""
    shown = handler(screen, tmp_path)
    say(shown, "convert", event="job_info", jobid=0)
    say(shown, "campaign", event="job_info", jobid=50)
    before = screen.getvalue()
    say(shown, "Finished", event="job_finished", job_id=50)
    shown.close()
    assert screen.getvalue() == before
    assert before.endswith("\r\x1b[K") == screen.isatty()
