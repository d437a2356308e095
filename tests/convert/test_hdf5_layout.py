"""Where the values of a variable lie in a file, and what they take there."""

import h5py
import numpy as np

from cmip6zarr.convert import hdf5_layout


def test_stored_bytes_are_those_of_the_file(tmp_path):
    """A region takes its share of the chunks that it cuts; all of a variable takes what HDF5 says."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        values = np.random.default_rng(1).integers(0, 99, (7, 6)).astype("f4")
        chunked = file.create_dataset("chunked", (12, 6), "f4", chunks=(4, 6), compression="gzip", shuffle=True)
        chunked[:7] = values
        file["flat"] = values
        whole, first = chunked.id.get_storage_size(), chunked.id.get_chunk_info(0).size
    found = hdf5_layout.layouts(str(tmp_path / "a.h5"))
    for region, expected in (((0, 12), whole), ((0, 4), first), ((1, 3), first / 2), ((8, 12), 0)):
        assert hdf5_layout.stored_bytes(found["chunked"], (slice(*region), slice(0, 6))) == expected
    assert hdf5_layout.stored_bytes(found["chunked"], (slice(0, 4), slice(0, 3))) == first / 2
    assert hdf5_layout.stored_bytes(found["flat"], (slice(0, 7), slice(0, 3))) == 7 * 3 * 4
