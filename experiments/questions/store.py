"""Is the object store slower than the disk, and by what factor?"""

from setting import Setting


def measure(setting: Setting) -> dict:  # noqa: ARG001
    """Say that nothing was run."""
    return {"reason": "stores are written to file systems only"}


def words(figures: dict) -> dict[str, str]:
    """Return what the text says."""
    return {"answer": f"Not run: {figures['reason']}.", "runs": ""}
