"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input, in one line: where it is (file, line or field), what was found, what was expected.

    The command line prints it and exits with code 2; it never shows a traceback for one.
    """
