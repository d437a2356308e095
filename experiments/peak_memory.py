"""`make bench`: peak memory of converting at the grid of the note of June 2020, planned and measured.

Chunks of {time: 4} of 8 x 768 x 1024 float32 are 96 MiB, a file of 180 steps 4.2 GiB. The peak must not depend on the
length of a file, nor on how many there are.
"""

import json
import sys
from types import SimpleNamespace

from command_cost import Case, run
from conversion_cost import DATASET, ROOT, cases, make_data

GRID = (768, 1024)
SIZES = ((24, 1), (24, 6), (180, 1))  # steps in a file, files
NAMES = ("note's script, lz4", "convert fast (lz4), v2", "convert balanced, v3", "convert balanced, 1 thread")

head = ["", *(f"{files} x {steps} steps" for steps, files in SIZES), "planned MiB"]
rows: dict[str, list[str]] = {name: [name] for name in NAMES}
planned: dict[str, int | str] = dict.fromkeys(NAMES, "")
for steps, files in SIZES:
    work = ROOT / "results" / "benchmark" / f"memory-{files}"
    args = SimpleNamespace(work=work, grid=GRID, steps=steps, files=files, bits=9)
    folder = make_data(args)
    commands = cases(folder)
    for name in NAMES:
        written, command = commands[name]
        rows[name].append(f"{run(Case(command, written))['rss_mib']:.0f}")
        if name.startswith("convert"):
            receipt = folder.parent / "results" / "convert" / f"{DATASET}.json"
            planned[name] = json.loads(receipt.read_text())["planned_mib"]
lines = [[*row, str(planned[name])] for name, row in rows.items()]
table = "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])
(ROOT / "results" / "benchmark" / "memory.md").write_text(table + "\n")
sys.stdout.write(table + "\n")
