"""Were values rounded before they came here, to deflate better? Files say so of themselves."""

from collections import defaultdict

from cmip6zarr.source.attributes import untyped
from cmip6zarr.source.headers import File, Header
from cmip6zarr.source.policy import ACCEPTED, Judge

# CF conventions 1.12, section 8.4.2; the netCDF-C library since 4.9.0; NCO, and netCDF4-python, before them.
DIGITS = {
    "quantization_nsb": "significant bits",
    "quantization_nsd": "significant digits",
    "_QuantizeBitRoundNumberOfSignificantBits": "significant bits, BitRound",
    "_QuantizeBitGroomNumberOfSignificantDigits": "significant digits, BitGroom",
    "_QuantizeGranularBitRoundNumberOfSignificantDigits": "significant digits, GranularBitRound",
    "number_of_significant_digits": "significant digits",
    "least_significant_digit": "digits after the point",
}
# What the variable that `quantization` names says of the rounding.
BY = ("algorithm", "implementation")


def note_rounding(sources: list[File], judge: Judge) -> None:
    """Add a finding for each variable of which files say that it is rounded; the store has the bits of the files."""
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sources:
        for name in file.header.variables:
            if how := rounding_of(file.header, name):
                told[name, how].append(file.header.path)
    for (name, how), paths in told.items():
        where = f"{paths[0]}: {name}" if len(paths) == len(sources) else f"{paths[0]}: {name}, in {len(paths)} files,"
        message = f"{where} was rounded before it came here: {how}; the store has the values of the files."
        judge.note("rounded", ACCEPTED, message, file=paths[0], variable=name)


def rounding_of(header: Header, name: str) -> str | None:
    """Return how the values of a variable were rounded, in words; None where the file does not say that they were."""
    own = header.variables[name].attributes
    digits = (f"{untyped(own[key])} {words}" for key, words in DIGITS.items() if key in own)
    container = header.variables.get(str(untyped(own["quantization"]))) if "quantization" in own else None
    by = (str(untyped(container.attributes[key])) for key in BY if key in container.attributes) if container else ()
    return ", ".join((*digits, *by)) or None
