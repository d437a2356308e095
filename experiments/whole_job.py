"""Take one dataset through all four rules, each in a process of its own, as a run does but for Snakemake.

Called with the catalogue, the id of the dataset, the folder of the receipts, the store, the preset of codecs, what
`verify` is to compare, and its threads; convert has two.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parent
SCRIPTS = EXPERIMENTS.parent / "scripts"

catalogue, dataset, results, store, preset, mode, threads = sys.argv[1:]
shutil.rmtree(results, ignore_errors=True)
common = [dataset, "--results", results]


def run(program: Path, *words: str) -> None:
    """Run a program of ours; raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, program, *words], check=True, stdout=subprocess.DEVNULL)


run(EXPERIMENTS / "one_inventory.py", catalogue, dataset, results)
digest = json.loads(Path(results, "inventory", f"{dataset}.json").read_text())["row"]
convert = ["--store", store, "--codec", preset, "--chunks", '{"time": 4}', "--threads", "2"]
run(SCRIPTS / "convert.py", *common, *convert)
run(SCRIPTS / "verify.py", *common, "--digest", digest, "--mode", mode, "--threads", threads)
run(SCRIPTS / "size_report.py", *common)
