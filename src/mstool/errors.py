"""Errors that end a command, each with the exit code the command ends with."""


class MstoolError(Exception):
    """Root of all errors that mstool raises on purpose.

    The message is one line: what is wrong, a semicolon, what to do.

    Attributes
    ----------
    exit_code : int
        Exit status of the command that the error ends.
    """

    exit_code = 70


class UsageError(MstoolError):
    """An option or argument has a value that cannot be used."""

    exit_code = 2


class CheckFailed(MstoolError):
    """The work is done, and a check that was asked for failed."""

    exit_code = 1


class InputError(MstoolError):
    """A file is there but cannot be used: unreadable, damaged, or contradicting another."""

    exit_code = 65


class LabelError(InputError):
    """A label map holds a value that means nothing."""


class LeakError(InputError):
    """The same micrograph or specimen is on both sides of a split."""


class MissingInputError(MstoolError):
    """A file or folder that was named is not there, or none was named."""

    exit_code = 66


class UnavailableError(MstoolError):
    """A device, a download or an optional package is not at hand."""

    exit_code = 69


class OutputExistsError(MstoolError):
    """The output is there already and was made with other inputs or settings."""

    exit_code = 73


class OutputError(MstoolError):
    """Writing failed: no space, no permission, a broken device."""

    exit_code = 74


class Interrupted(BaseException):
    """Work stopped on request after saving what is needed to go on.

    No `Exception`, for the same reason as `KeyboardInterrupt`: a signal may come anywhere, and what
    catches the errors of a codec must not take it for one.

    Attributes
    ----------
    exit_code : int
        Exit status of the command that it ends.
    """

    def __init__(self, message: str, exit_code: int = 75):
        super().__init__(message)
        self.exit_code = exit_code
