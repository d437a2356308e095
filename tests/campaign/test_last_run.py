"""How the last run was asked for: which words of its command are kept, and how it is typed again."""

import shlex
import subprocess

import pytest

from cmip6zarr.campaign import last_run


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("--cores 2 --configfile a.yaml b.yaml --quiet all", "--cores 2 --configfile a.yaml b.yaml"),
        ("--cores=2 -j4 -k published", "--cores 2 -j 4 -k"),
        ("-F -R convert --forcerun verify -n --cores 1", "--cores 1"),
        ("--storage-s3-secret-key hush --cores 1 --envvars TOKEN", "--cores 1"),
        ("--cores 1 --config rerun=bug", "--cores 1"),
        ("--config=rerun=bug --cores all", "--cores all"),
        ("--cores 1 --profile lotus --config catalogue=c -- audits", "--cores 1 --profile lotus --config catalogue=c"),
        ("", ""),
    ],
)
def test_what_makes_the_same_again_is_kept(typed, kept):
    """Options that say what is made and where; no targets, nothing that is forced once, nothing secret."""
    assert last_run.kept(typed.split()) == kept.split()


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("--cores 2", "snakemake --cores 2 --config rerun=bug"),
        ("--cores 2 --config codec=fast -k", "snakemake --cores 2 --config rerun=bug codec=fast -k"),
        ("-C codec=fast --config codec=small", "snakemake -C codec=fast --config rerun=bug codec=small"),
    ],
)
def test_rerun_is_added(tmp_path, typed, again):
    """It joins the values that Snakemake takes, which are those of the last `--config`."""
    last_run.keep(tmp_path, typed.split(), {}, "1")
    assert last_run.again(tmp_path, "bug") == again
    assert last_run.again(tmp_path) == f"snakemake {typed}"


def test_words_are_quoted_for_the_shell(tmp_path):
    """Whatever a word holds, the shell gives it to Snakemake as it was."""
    words = ["--config", "results=a b", "select={source_id: '$(touch x)'}", "catalogue=`y`;z"]
    last_run.keep(tmp_path, words, {}, "1")
    assert shlex.split(last_run.again(tmp_path)) == ["snakemake", *words]


def test_campaign_without_a_kept_run(tmp_path):
    """Results of an older version name no profile and no configuration that nobody has told."""
    assert last_run.again(tmp_path, "bug") == "snakemake --cores 1 --config rerun=bug"
    assert last_run.read(tmp_path) == {}


def test_version_is_that_of_git(tmp_path):
    """A folder without a repository of its own has no version, though it may lie in that of something else."""
    run = ["git", "-c", "user.name=a", "-c", "user.email=b", "-C", str(tmp_path)]
    subprocess.run([*run, "init", "-q"], check=True)
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "c"], check=True)
    subprocess.run([*run, "tag", "v9"], check=True)
    (tmp_path / "inner").mkdir()
    assert (last_run.version(tmp_path), last_run.version(tmp_path / "inner")) == ("v9", "unknown")
