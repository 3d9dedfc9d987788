"""The channel between hosts, both ends in one process."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ports import free_ports

from benchmark.run.machines import channel
from benchmark.run.machines.channel import LOST, Caller, Chief, MissingError, check_port
from benchmark.run.prepare.hosts import Hosts


def addresses(count: int) -> tuple[str, ...]:
    return tuple(f"127.0.0.1:{port}" for port in free_ports(count))


class Left:
    """What stands in for ending the process: remembers the status."""

    def __init__(self):
        self.status, self.happened = None, threading.Event()

    def __call__(self, status):
        self.status = status
        self.happened.set()


@pytest.fixture
def company():
    """A chief and two callers, and what each would have left with."""
    names, left = addresses(3), [Left() for _ in range(3)]
    hosts = [Hosts(addresses=names, rank=rank) for rank in range(3)]
    with ThreadPoolExecutor(3) as pool:
        sides = [Chief(hosts[0], limit_s=20, leave=left[0])]
        sides += [Caller(host, limit_s=20, leave=each) for host, each in zip(hosts[1:], left[1:], strict=True)]
        list(pool.map(lambda side: side.__enter__(), sides))
    yield sides, left
    sides[0]._ending = True
    for side in sides[1:]:
        side._peer.close()
    sides[0].__exit__()


def test_orders_reach_all_and_answers_come_back_by_rank(company):
    (chief, *callers), _ = company
    chief.tell({"do": "make"})
    assert [caller.hear() for caller in callers] == [{"do": "make"}] * 2
    for caller in callers:
        caller.answer({"done": caller.hosts.rank})
    assert chief.answers() == {1: {"done": 1}, 2: {"done": 2}}


def test_what_is_promised_may_come_late_and_in_any_order(company):
    (chief, *callers), _ = company
    first, second = chief.promised(1), chief.promised(2)
    for number in (2, 1):
        for caller in callers:
            caller.promise(number, {"said": [caller.hosts.rank, number]})
    assert [future.result(5)["said"] for future in first + second] == [[1, 1], [2, 1], [1, 2], [2, 2]]


def test_the_chiefs_clock_is_told_to_within_half_the_way_there_and_back(company):
    (chief, caller, _), _ = company
    began = time.monotonic() - 100
    chief.elapsed = lambda: time.monotonic() - began
    told_s, error_s = caller.clock()
    assert abs(told_s - chief.elapsed()) <= error_s + 0.1 and 100 <= told_s < 110


def test_a_signal_to_one_is_passed_to_the_chief(company):
    (chief, caller, _), _ = company
    heard = threading.Event()
    chief.signal = lambda number: heard.set() if number == 15 else None
    caller.answer({"signal": 15})
    assert heard.wait(5)


def test_the_end_reaches_all_with_status_and_reason(company):
    (chief, *callers), left = company
    threading.Thread(target=chief.end, args=(3, "it diverged"), daemon=True).start()
    for caller in callers:
        assert caller.hear() is None and (caller.status, caller.sentence) == (3, "it diverged")
        caller._peer.close()  # as the end of a process does
    assert not any(each.happened.is_set() for each in left)


def test_a_host_that_fails_ends_the_run_for_all(company, capsys):
    (chief, caller, other), left = company
    caller.fail(2, "the disk is full")
    assert other.hear() is None and other.status == 2
    assert other.sentence == f"host 1 ({chief.hosts.addresses[1]}): the disk is full"
    caller._peer.close()
    other._peer.close()
    assert left[0].happened.wait(15) and left[0].status == 2
    assert "benchmark: host 1 (127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize("rank", [0, 1])
def test_a_connection_that_ends_means_a_lost_host(company, capsys, rank):
    (chief, caller, _), left = company
    side = (chief._peers[1], caller._peer)[rank]  # as the death of a process: the other end sees the socket close
    side._over.set()
    side._socket.shutdown(socket.SHUT_RDWR)
    assert left[1 - rank].happened.wait(5) and left[1 - rank].status == LOST
    said = capsys.readouterr().err
    assert f"host {1 if rank else 0} (127.0.0.1:" in said and "give the command again on all hosts" in said


def test_silence_means_a_lost_host(monkeypatch, capsys):
    """As when a cable is pulled: nothing comes, and nothing says so."""
    monkeypatch.setattr(channel, "SILENCE_S", 0.5)
    left = Left()
    names = addresses(2)
    chief = Chief(Hosts(addresses=names, rank=0), limit_s=20, leave=left)
    with ThreadPoolExecutor(1) as pool:
        entered = pool.submit(chief.__enter__)
        host, port = chief.hosts.control
        with socket.create_connection((host, port), timeout=10) if _listens(host, port) else None as mute:
            hello = f'{{"hello": "speech-tta", "hosts": {list(names)}, "rank": 1}}\n'.replace("'", '"')
            mute.sendall(hello.encode())
            entered.result(10)
            assert left.happened.wait(5) and left.status == LOST
    assert "it was silent for 0.5 s" in capsys.readouterr().err


def _listens(host: str, port: int) -> bool:
    for _ in range(100):
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def test_who_does_not_come_is_named():
    names = addresses(3)
    with pytest.raises(MissingError) as error:
        Chief(Hosts(addresses=names, rank=0), limit_s=0.2).__enter__()
    assert f"host 1 ({names[1]}), host 2 ({names[2]}) did not call at 127.0.0.1:" in str(error.value)
    with pytest.raises(MissingError) as error:
        Caller(Hosts(addresses=names, rank=1), limit_s=0.2).__enter__()
    assert f"host 0 ({names[0]}) does not answer at 127.0.0.1:" in str(error.value)


@pytest.mark.parametrize(
    ("stranger", "says"),
    [
        (
            lambda names: Hosts(addresses=(names[0], "127.0.0.1:9", names[2]), rank=1),
            "expected the same list everywhere",
        ),
        (lambda names: Hosts(addresses=names, rank=1), "rank 1 is taken"),
    ],
)
def test_a_caller_that_does_not_belong_is_told_why(stranger, says):
    names = addresses(3)
    chief = Chief(Hosts(addresses=names, rank=0), limit_s=2, leave=Left())
    first = Caller(Hosts(addresses=names, rank=1), limit_s=5, leave=Left())
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(chief.__enter__)
        pool.submit(first.__enter__)
        until = time.monotonic() + 5
        while 1 not in chief._peers and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(MissingError) as error:
            Caller(stranger(names), limit_s=5, leave=Left()).__enter__()
        assert says in str(error.value)
        with pytest.raises(MissingError):  # host 2 never came
            waiting.result()
    first._peer.close()


def test_a_port_that_is_taken_is_named_before_tensorflow_is_asked():
    names = addresses(2)
    check_port(Hosts(addresses=names, rank=1))
    held = socket.create_server(("127.0.0.1", int(names[1].rpartition(":")[2])))
    with held, pytest.raises(MissingError) as error:
        check_port(Hosts(addresses=names, rank=1))
    assert f"host 1 ({names[1]}): its port cannot be used here (Address already in use)" in str(error.value)


def test_a_chief_whose_name_means_the_loopback_listens_where_the_others_call(monkeypatch):
    """Debian and Ubuntu write 127.0.1.1 HOSTNAME into /etc/hosts."""
    monkeypatch.setattr(socket, "gethostbyname", lambda name: {"rig1": "127.0.1.1"}[name])
    with channel._listening("rig1", 0) as server:
        assert server.getsockname()[0] == "0.0.0.0"
    with channel._listening("127.0.0.1", 0) as server:
        assert server.getsockname()[0] == "127.0.0.1", "asked for by its address, the loopback alone"


def test_noise_at_the_port_is_not_a_host():
    names = addresses(2)
    chief = Chief(Hosts(addresses=names, rank=0), limit_s=2, leave=Left())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(chief.__enter__)
        assert _listens(*chief.hosts.control)
        for noise in (b"GET / HTTP/1.0\r\n\r\n", b"{}\n", b'{"hello": "speech-tta", "rank": "x"}\n', b"[1]\n"):
            with socket.create_connection(chief.hosts.control, timeout=5) as one:
                one.sendall(noise)
        with pytest.raises(MissingError):
            waiting.result()
