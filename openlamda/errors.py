"""The exception for what a user can mend."""


class UserError(Exception):
    """Bad input, in one line: where it is (file, line or field), what was found, what was expected.

    The command line prints it and exits with code 2; it never shows a traceback for one.
    """


class Refusal(UserError):
    """A server answered, but with an error. `status` is HTTP's."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status
