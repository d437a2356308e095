"""The course of a run: datasets come to an end by their jobs, once each, with the reason where they fail."""

import pytest
from campaigns import leave

from cmip6zarr.campaign.course import Course, Ended, Job

RULES = ("inventory", "convert", "verify", "size_report")


class Clock:
    """Seconds that go on only where a test says so."""

    seconds = 0.0

    def __call__(self):
        return self.seconds


def course_of(results, names, tries=1, clock=None):
    """Return the course of a run of all rules for some datasets; jobs have ids from 0, dataset by dataset."""
    jobs = [Job(rule, (name,), f"logs/{rule}.log", lambda: tries == 1) for name in names for rule in RULES]
    return Course(dict(enumerate(jobs)), results, clock or Clock())


def test_dataset_is_done_with_its_last_job(tmp_path):
    """It is verified when all its jobs are; findings are told."""
    course = course_of(tmp_path, "ab")
    leave(tmp_path, "findings", "b")
    ended = [course.finish(job) for job in (0, 4, 1, 2, 5, 3, 6, 7)]
    assert ended == [[], [], [], [], [], [Ended("a", "verified")], [], [Ended("b", "verified, with findings")]]
    assert (course.done, course.total, course.states["verified"]) == (2, 2, 1)


@pytest.mark.parametrize(("kind", "state"), [("refused", "refused"), ("memory", "failed")])
def test_failure_has_its_reason(tmp_path, kind, state):
    """The record of failure says it; the jobs that never come are not waited for."""
    clock = Clock()
    course = course_of(tmp_path, "ab", clock=clock)
    leave(tmp_path, "failed", "a", **{"rule": "inventory", "class": kind, "message": "/d/x.nc: bad.", "remedy": "Go."})
    course.begin(0)
    (ended,) = course.fail(0)
    assert ended == Ended("a", state, f"{kind}: bad (x.nc) -> Go.")
    assert course.fail(0) == []
    clock.seconds = 10
    course.finish(4)
    assert course.seconds_left() == 30


def test_job_that_is_tried_again_has_not_failed(tmp_path):
    """What a second try may cure is told after the last; an answer for good at once."""
    course = course_of(tmp_path, "a", tries=2)
    course.begin(1)
    leave(tmp_path, "failed", "a", **{"rule": "convert", "class": "store", "message": "m", "remedy": "r"})
    assert (course.fail(1), course.at_work) == ([], {})
    leave(tmp_path, "failed", "a", **{"rule": "convert", "class": "source", "message": "m", "remedy": "r"})
    assert [one.state for one in course.fail(1)] == ["failed"]


def test_job_that_said_nothing(tmp_path):
    """A script that was killed leaves no record yet: its log is named."""
    (ended,) = course_of(tmp_path, "a").fail(1)
    assert (ended.state, "logs/convert.log" in ended.reason) == ("failed", True)


def test_bundle_is_told_dataset_by_dataset(tmp_path):
    """Each dataset of a bundle ends as its files say; where the bundle was killed the rest waits."""
    jobs = {0: Job("bundle", tuple("abc"), "b.log", lambda: True), 1: Job("bundle", ("d",), "b.log", lambda: True)}
    course = Course(jobs, tmp_path, Clock())
    leave(tmp_path, "failed", "b", **{"rule": "verify", "class": "mismatch", "message": "m", "remedy": "r"})
    leave(tmp_path, "size_report", "a")
    course.begin(0)
    assert [(one.dataset, one.state) for one in course.fail(0)] == [("a", "verified"), ("b", "failed")]
    assert [one.state for one in course.finish(1)] == ["verified"]
    assert (course.done, course.total) == (3, 4)


def test_audit_that_finds_rot_is_no_success(tmp_path):
    """The job of an audit succeeds also where a store has rotted: the record says so."""
    jobs = {number: Job("audit", (name,), "a.log", lambda: True) for number, name in enumerate("ab")}
    course = Course(jobs, tmp_path, Clock())
    leave(tmp_path, "failed", "b", **{"rule": "audit", "class": "rot", "message": "m", "remedy": "r"})
    assert [course.finish(job)[0].state for job in jobs] == ["sound", "failed"]


def test_time_left_is_that_of_the_jobs_done(tmp_path):
    """Nothing is promised before the first job is done."""
    clock = Clock()
    course = course_of(tmp_path, "ab", clock=clock)
    assert course.seconds_left() is None
    clock.seconds = 8
    course.finish(0)
    course.finish(1)
    assert course.seconds_left() == 24
