"""Take the inventory of one dataset of a catalogue, as its rule does.

Called with the catalogue, the id of the dataset and the folder of the receipts.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import inventory
from cmip6zarr.catalogue import esm
from cmip6zarr.catalogue.dataset import hand_over

catalogue, dataset, results = sys.argv[1:]
row = esm.read_catalogue(catalogue).datasets[dataset]
hand_over(results, [row])
sys.exit(inventory.main([row.id, "--results", results, "--digest", row.digest]))
