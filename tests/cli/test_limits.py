"""A whole reply of the model that ships within a request's limits."""

import threading
import time

import pytest

from openlamda.engine.base import Cancelled, Limits
from openlamda.loading import load
from openlamda.text.dialog import Dialog

DIALOG = Dialog().say("user", "What is the capital of France?")


@pytest.fixture(scope="module")
def lamda():
    return load()


def test_within_limits_that_are_kept_the_reply_is_the_same(lamda):
    limits = Limits(deadline=time.monotonic() + 600, cancelled=threading.Event())
    assert lamda.over(lamda.model.within(limits)).reply(DIALOG, seed=3).text == lamda.reply(DIALOG, seed=3).text


def test_a_late_or_cancelled_request_gets_no_reply_and_others_do(lamda):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        lamda.over(lamda.model.within(Limits(cancelled=cancelled))).reply(DIALOG)
    with pytest.raises(TimeoutError):
        lamda.over(lamda.model.within(Limits(deadline=time.monotonic() - 1))).reply(DIALOG)
    assert lamda.reply(DIALOG).text
