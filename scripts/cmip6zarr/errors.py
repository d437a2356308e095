"""Why a dataset cannot go on."""


class DatasetError(Exception):
    """A dataset cannot go on: `kind` says in one word why, `remedy` what to do about it."""

    def __init__(self, kind: str, message: str, remedy: str):
        super().__init__(message)
        self.kind, self.message, self.remedy = kind, message, remedy

    def __str__(self):
        return f"{self.message} [{self.kind}] {self.remedy}"


class Refused(DatasetError):
    """The source is not fit to convert: asking again with the same source and policy gives the same answer."""
