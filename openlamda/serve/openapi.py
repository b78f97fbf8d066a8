"""stub"""


def document():
    return {}
