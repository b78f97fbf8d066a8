"""Who is drawn next, with lanes in plain Python that do what the tests tell them."""

import itertools
import signal
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.engine.base import Cancelled, Limits, Overloaded
from openlamda.engine.scheduler import Scheduler, Work

PATIENCE = 300  # seconds, where something never comes
FOREVER = 10**7  # steps, some ten seconds and more
NO_LIMITS = Limits()


@dataclass(frozen=True)
class Ask:
    name: int
    steps: int = 1
    breaks: str = ""  # "take", "join", "step", "drop": where the lane raises
    kind: str = ""  # a lane takes the kind of the first one


class Broken(Exception):
    """Its first argument: the request that broke the lane."""


class World:
    """Lanes of so many places. Where they are not free, each step waits for `step`."""

    def __init__(self, places=1, free=True):
        self.places, self.held = places, 0  # how many steps are held
        self._free, self._steps, self._lock = free, threading.Semaphore(0), threading.Lock()
        self.joined, self.dropped, self.told = [], [], {}
        self.threads, self.used, self.given_back = set(), [], []

    def scheduler(self, lanes=1, most_waiting=100):
        return Scheduler(self.take, self.given_back.append, lanes=lanes, most_waiting=most_waiting)

    def step(self):
        self._steps.release()

    def set_free(self):
        self._free = True
        for _ in range(self.held):
            self.step()

    def wait(self):
        with self._lock:
            self.threads.add(threading.current_thread())
            self.held += 1
        assert self._free or self._steps.acquire(timeout=PATIENCE)
        with self._lock:
            self.held -= 1

    def take(self, work):
        if work.request.breaks == "take":
            raise Broken(work.request)
        self.used.append(FakeLane(self, work.request.kind))
        return self.used[-1]


class FakeLane:
    def __init__(self, world, kind):
        self.world, self.kind = world, kind
        self.left: dict[Work, int] = {}

    def fits(self, work):
        return len(self.left) < self.world.places and work.request.kind == self.kind

    def join(self, work):
        assert self.fits(work)
        if work.request.breaks == "join":
            raise Broken(work.request)
        self.left[work] = work.request.steps
        self.world.joined.append(work.request.name)

    def step(self):
        assert self.left
        self.world.wait()
        self.left = {work: steps - 1 for work, steps in self.left.items()}
        ended = [work for work, steps in self.left.items() if steps == 0]
        for work in ended:
            if work.request.breaks == "step":
                self.world.told.update((concerned.request.name, work.request) for concerned in self.left)
                raise Broken(work.request)
        for work in ended:
            del self.left[work]
        return [(work, f"of {work.request.name}") for work in ended]

    def drop(self, work):
        del self.left[work]
        self.world.dropped.append(work.request.name)
        if work.request.breaks == "drop":
            raise Broken(work.request)


@dataclass(frozen=True)
class Late(Limits):
    """A deadline that passes when the test says so."""

    passed: threading.Event = field(default_factory=threading.Event)

    def check(self):
        if self.passed.is_set():
            raise TimeoutError("passed")


def ask(scheduler: Scheduler, *requests: Ask, limits: Limits = NO_LIMITS) -> Future:
    """In a thread of its own."""
    future = Future()

    def run():
        try:
            future.set_result(scheduler.run(requests, limits))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def settled(scheduler, world, joined, waiting=0):
    """Until a step is held, with these that joined, and so many that wait."""
    until(lambda: world.held and world.joined == joined and len(scheduler._waiting) == waiting)


def got(future):
    return future.result(PATIENCE)


def outcome(future):
    return future.exception(PATIENCE) or got(future)


asks = st.lists(st.integers(1, 4), max_size=5)


@st.composite
def runs_of_works(draw):
    names = itertools.count()
    asks = st.builds(Ask, st.builds(lambda: next(names)), st.integers(1, 4), kind=st.sampled_from("ab"))
    return draw(st.lists(st.lists(asks, max_size=5), max_size=5))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), runs_of_works())
def test_every_work_gets_its_own_result(lanes, places, runs):
    world = World(places)
    scheduler = world.scheduler(lanes)
    futures = [ask(scheduler, *run) for run in runs]
    for run, future in zip(runs, futures, strict=True):
        assert got(future) == [f"of {request.name}" for request in run]
    assert sorted(world.joined) == [request.name for run in runs for request in run] and not world.dropped
    until(lambda: scheduler.idle)
    assert set(world.given_back) == set(world.used) and not any(lane.left for lane in world.used)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), runs_of_works())
def test_first_come_first_served_whatever_fits_now(places, runs):
    world = World(places, free=False)
    scheduler = world.scheduler()
    futures, names = [ask(scheduler, Ask(-1))], [-1]
    settled(scheduler, world, names)
    for run in runs:
        futures.append(ask(scheduler, *run))
        names += [request.name for request in run]
        settled(scheduler, world, [-1], len(names) - 1)
    world.set_free()
    assert [result for future in futures for result in got(future)] == [f"of {name}" for name in names]
    assert world.joined == names


def test_no_more_lanes_at_a_time_than_allowed():
    world = World(free=False)
    scheduler = world.scheduler(lanes=3)
    future = ask(scheduler, *(Ask(name) for name in range(9)))
    until(lambda: world.held == 3 and len(scheduler._waiting) == 6)
    assert sorted(world.joined) == [0, 1, 2] and len(world.used) == 3 and not scheduler.idle
    world.set_free()
    assert got(future) == [f"of {name}" for name in range(9)] and len(world.threads) == 3


def test_a_bounded_queue_refuses_and_loses_nothing():
    world = World(free=False)
    scheduler = world.scheduler(most_waiting=3)
    futures = [ask(scheduler, Ask(0))]
    settled(scheduler, world, [0])
    futures.append(ask(scheduler, Ask(1)))
    settled(scheduler, world, [0], 1)
    futures.append(ask(scheduler, Ask(2), Ask(3)))
    settled(scheduler, world, [0], 3)
    for requests in ([Ask(8)], [Ask(8), Ask(9)]):
        with pytest.raises(Overloaded, match="3 requests wait already") as refused:
            scheduler.run(requests, Limits())
        assert refused.value.retry_after > 0
    world.set_free()
    assert [got(future) for future in futures] == [["of 0"], ["of 1"], ["of 2", "of 3"]]
    assert world.joined == [0, 1, 2, 3]
    many = [Ask(n) for n in range(5)]  # more than may wait, but nobody does
    assert len(scheduler.run(many, Limits())) == 5


def test_no_requests_have_no_results():
    assert World().scheduler().run([], Limits()) == []


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("unwanted", range(4))
def test_what_is_not_wanted_any_more_leaves_at_once_and_no_other(unwanted, late):
    world = World(places=2, free=False)
    scheduler = world.scheduler()
    flag = threading.Event()
    limits = [Limits()] * 4
    limits[unwanted] = Late(passed=flag) if late else Limits(cancelled=flag)
    futures = [ask(scheduler, Ask(0, steps=9), limits=limits[0])]
    settled(scheduler, world, [0])
    futures.append(ask(scheduler, Ask(1, steps=5), limits=limits[1]))
    settled(scheduler, world, [0], 1)
    world.step()
    settled(scheduler, world, [0, 1])
    for name in (2, 3):
        futures.append(ask(scheduler, Ask(name), limits=limits[name]))
        settled(scheduler, world, [0, 1], name - 1)
    flag.set()
    world.step()
    assert isinstance(outcome(futures[unwanted]), TimeoutError if late else Cancelled)
    ran = unwanted < 2  # then the next one runs now
    settled(scheduler, world, [0, 1, 2] if ran else [0, 1], 1)
    assert world.dropped == ([unwanted] if ran else [])
    world.set_free()
    assert [got(futures[n]) for n in range(4) if n != unwanted] == [[f"of {n}"] for n in range(4) if n != unwanted]


def test_deadlines_pass_by_themselves():
    world = World()
    scheduler = world.scheduler()
    cancelled, soon = threading.Event(), Limits(deadline=time.monotonic() + 0.02)
    with pytest.raises(TimeoutError, match="deadline"):
        scheduler.run([Ask(0, FOREVER)], soon)
    with pytest.raises(TimeoutError, match="deadline"):
        scheduler.run([Ask(1)], soon)  # too late from the beginning
    running = ask(scheduler, Ask(2, FOREVER), limits=Limits(cancelled=cancelled))
    until(lambda: 2 in world.joined)
    with pytest.raises(TimeoutError, match="deadline"):
        scheduler.run([Ask(3)], Limits(deadline=time.monotonic() + 0.02))
    assert not running.done() and not {1, 3} & set(world.joined)
    cancelled.set()
    assert isinstance(outcome(running), Cancelled)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["", "", "take", "join", "step"])), max_size=8),
)
def test_an_error_reaches_those_concerned_and_later_works_go_on(lanes, places, works):
    world = World(places)
    scheduler = world.scheduler(lanes)
    requests = [Ask(name, steps, breaks) for name, (steps, breaks) in enumerate(works)]
    futures = [ask(scheduler, request) for request in requests]
    for request, future in zip(requests, futures, strict=True):
        found = outcome(future)
        if request.name in world.told:
            assert isinstance(found, Broken) and found.args == (world.told[request.name],)
        elif request.name in world.joined:
            assert found == [f"of {request.name}"]
        else:
            assert isinstance(found, Broken) and found.args == (request,)
    assert scheduler.run([Ask(100), Ask(101)], Limits()) == ["of 100", "of 101"]
    until(lambda: scheduler.idle)
    assert not any(lane.left for lane in world.given_back)


def test_after_an_error_the_other_works_of_a_run_are_not_wanted():
    world = World(places=2, free=False)
    scheduler = world.scheduler()
    future = ask(scheduler, Ask(0), Ask(1, breaks="join"), Ask(2, FOREVER), Ask(3, FOREVER))
    settled(scheduler, world, [0], 3)
    world.set_free()
    assert isinstance(outcome(future), Broken)
    until(lambda: scheduler.idle)
    assert set(world.dropped) == set(world.joined) - {0}


def test_a_lane_that_cannot_drop_is_broken_for_those_in_it():
    world = World(places=2, free=False)
    scheduler, cancelled = world.scheduler(), threading.Event()
    first = ask(scheduler, Ask(0, FOREVER))
    settled(scheduler, world, [0])
    second = ask(scheduler, Ask(1, FOREVER, breaks="drop"), limits=Limits(cancelled=cancelled))
    settled(scheduler, world, [0], 1)
    world.step()
    settled(scheduler, world, [0, 1])
    cancelled.set()
    world.set_free()
    assert isinstance(outcome(second), Cancelled) and isinstance(outcome(first), Broken)
    assert scheduler.run([Ask(2)], Limits()) == ["of 2"]


def test_an_interrupt_of_who_waits_frees_the_place():
    world = World()
    scheduler = world.scheduler()
    main = threading.get_ident()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        until(lambda: world.joined == [0])
        signal.pthread_kill(main, signal.SIGINT)

    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            scheduler.run([Ask(0, FOREVER), Ask(1)], Limits())
    finally:
        signal.signal(signal.SIGINT, before)
    assert scheduler.run([Ask(2)], Limits()) == ["of 2"]
    assert world.dropped == [0] and world.joined == [0, 2]


def test_the_thread_ends_with_the_work_and_begins_anew():
    world = World()
    scheduler = world.scheduler()
    for runs in (1, 2, 3):
        assert scheduler.run([Ask(runs)], Limits()) == [f"of {runs}"]
        assert len(world.threads) == runs
        for thread in world.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_where_no_thread_can_be_had_the_next_request_tries_anew(monkeypatch):
    world = World()
    scheduler = world.scheduler()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            scheduler.run([Ask(0)], Limits())
    assert scheduler.run([Ask(1)], Limits()) == ["of 1"] and world.joined == [1]


def test_a_hundred_threads_at_once():
    world = World(places=4)
    scheduler = world.scheduler(lanes=3, most_waiting=1000)
    together, futures = threading.Barrier(100), []

    def run(name, future):
        together.wait(PATIENCE)
        future.set_result([scheduler.run([Ask(3 * name + n, 1 + n)], Limits()) for n in range(3)])

    for name in range(100):
        futures.append(Future())
        threading.Thread(target=run, args=(name, futures[-1]), daemon=True).start()
    for name, future in enumerate(futures):
        assert got(future) == [[f"of {3 * name + n}"] for n in range(3)]
    assert sorted(world.joined) == list(range(300))
    for thread in world.threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
