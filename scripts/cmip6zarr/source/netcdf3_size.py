"""How many bytes a classic NetCDF file must have: the C library reads what is cut off as zeros, without a word."""

import struct
from pathlib import Path

# NetCDF classic format specification: bytes of nc_type 1 to 11 (64-bit data has the last five).
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
MAGIC = {b"CDF\x01": ("I", "I"), b"CDF\x02": ("I", "Q"), b"CDF\x05": ("Q", "Q")}

MOST_HEADER_BYTES = 16 * 2**20


class _Header:
    """A cursor over the header: numbers are big-endian, texts and values padded to four bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 4
        self.count_code, self.offset_code = MAGIC[data[:4]]

    def number(self, code: str) -> int:
        value: int = struct.unpack_from(f">{code}", self.data, self.at)[0]
        self.at += struct.calcsize(code)
        return value

    def count(self) -> int:
        return self.number(self.count_code)

    def skip(self, size: int) -> None:
        self.at += -(-size // 4) * 4

    def entries(self) -> int:
        self.number("I")  # the tag of the list
        return self.count()

    def skip_attributes(self) -> None:
        for _ in range(self.entries()):
            self.skip(self.count())
            kind = self.number("I")
            self.skip(self.count() * TYPE_BYTES[kind])


def expected_bytes(path: str | Path) -> int | None:
    """Return the bytes that a classic NetCDF file must at least have by its own header, None for any other file.

    Raises ValueError if the header itself is cut off or is no such header.
    """
    with Path(path).open("rb") as file:
        data = file.read(MOST_HEADER_BYTES)
    if data[:4] not in MAGIC:
        return None
    header = _Header(data)
    try:
        return _end_of_values(header)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError(f"the header is damaged or cut off at byte {header.at}") from error


def _end_of_values(header: _Header) -> int:
    records = header.count()
    lengths = []
    for _ in range(header.entries()):
        header.skip(header.count())
        lengths.append(header.count())
    header.skip_attributes()
    ends, begins, record_bytes = [header.at], [], []
    for _ in range(header.entries()):
        header.skip(header.count())
        dims = [header.count() for _ in range(header.count())]
        header.skip_attributes()
        kind = header.number("I")
        header.count()  # vsize, which is wrong for variables of 4 GiB and more
        begin = header.number(header.offset_code)
        size = TYPE_BYTES[kind]
        for length in (lengths[d] for d in dims if lengths[d]):
            size *= length
        if dims and lengths[dims[0]] == 0:
            begins.append(begin)
            record_bytes.append(size)
        else:
            ends.append(begin + size)
    if begins and records:
        # A single record variable is not padded.
        padded = record_bytes if len(begins) == 1 else [-(-size // 4) * 4 for size in record_bytes]
        ends += [b + (records - 1) * sum(padded) + size for b, size in zip(begins, record_bytes, strict=True)]
    return max(ends)
