"""Which machines train together, and which of them this one is.

    hosts = resolve(machines=2, given="a:2222,b:2222", rank=0, environ=os.environ)
    hosts.addresses, hosts.rank, hosts.is_chief         # ("a:2222", "b:2222"), 0, True
    hosts.control                                       # ("a", 2223): where the chief listens

Sources, the first that speaks: `given`, which is --hosts; TF_CONFIG, as Kubernetes' training operators set it; the
variables of a Slurm step. The rank comes with the source, or from mpirun's variables, or is given by --rank. One
process runs on each machine and uses all its GPUs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PORT, LAST_PORT = 2222, 65_535
SLURM_PORTS = (20_000, 10_000)
"""The first port of Slurm's steps and how many there are: two jobs that share a node take others, by their numbers."""

RANKS = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")
CHIEFS = ("chief", "master")
KINDS = (*CHIEFS, "worker")
"""The tasks of a TF_CONFIG that train, in the order of their ranks; master is what TensorFlow 1 called the chief."""

WAY_OUT = "give --hosts a:2222,b:2222 --rank N on each (HOSTS= RANK=), or start one process a machine with srun"


class HostsError(ValueError):
    """The machines of a run are not known, or contradict the platform; the message says what was found and expected."""


LIMIT_S = 600.0
"""How long hosts wait for one another unless asked otherwise."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The machines of a run as "host:port", the chief first, and the rank of this one. `source` is who named them."""

    addresses: tuple[str, ...]
    rank: int
    source: str = ""

    def __post_init__(self) -> None:
        for address in self.addresses:
            _split(address)
        if twice := {each for each in self.addresses if self.addresses.count(each) > 1}:
            raise HostsError(f"{self.source}: {', '.join(sorted(twice))} comes twice; expected a port for each process")
        if not 0 <= self.rank < len(self.addresses):
            raise HostsError(f"rank is {self.rank}; expected 0 to {len(self.addresses) - 1}, one for each host")

    @property
    def count(self) -> int:
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        return self.rank == 0

    def name(self, rank: int) -> str:
        """Return a host as messages name it: "host 1 (b:2222)"."""
        return f"host {rank} ({self.addresses[rank]})"

    @property
    def control(self) -> tuple[str, int]:
        """Host and port at which the chief listens: the first port after its own that no other process there has."""
        host, port = _split(self.addresses[0])
        taken = {_split(each)[1] for each in self.addresses if _split(each)[0] == host}
        free = next(p for p in range(port + 1, port + 2 + len(taken)) if p not in taken)
        if free > LAST_PORT:
            raise HostsError(
                f"{self.addresses[0]}: no port above {port} is free, and the chief listens at the one after its own; "
                f"expected at most {LAST_PORT - len(taken)}"
            )
        return host, free


def resolve(*, machines: int, given: str | None, rank: int | None, environ: Mapping[str, str]) -> Hosts | None:
    """Find out who trains together; None on one machine.

    Raises:
        HostsError: nothing says who they are, sources contradict, or they are not as many as the platform has.
    """
    if machines == 1:
        if given:
            raise HostsError(
                "--hosts, but the platform has 1 machine; expected [hardware] machines of as many as hosts"
            )
        if rank is not None:
            raise HostsError(
                f"--rank {rank}, but the platform has 1 machine; expected --rank with --hosts, and a platform whose "
                f"[hardware] machines are as many"
            )
        return None
    hosts = _found(given, rank, environ)
    if hosts is None:
        raise HostsError(f"the platform has {machines} machines, and nothing says which: {WAY_OUT}")
    if rank is not None and rank != hosts.rank:
        raise HostsError(f"--rank {rank}, but {hosts.source} says {hosts.rank}; expected one of them: leave --rank out")
    if hosts.count != machines:
        raise HostsError(
            f"{hosts.source} names {hosts.count} hosts, and the platform has {machines} machines; expected as many, "
            f"with one process a machine"
        )
    return hosts


def _found(given: str | None, rank: int | None, environ: Mapping[str, str]) -> Hosts | None:
    if given:
        addresses = tuple(_address(each) for each in given.replace(" ", "").split(",") if each)
        own = rank if rank is not None else _rank(environ)
        if own is None:
            raise HostsError("--hosts without --rank; expected which of them this machine is, from 0")
        return Hosts(addresses=addresses, rank=own, source="--hosts")
    if environ.get("TF_CONFIG", "").strip():
        return _of_tf_config(environ["TF_CONFIG"])
    if "SLURM_PROCID" in environ and (environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST")):
        return _of_slurm(environ)
    return None


def _of_tf_config(text: str) -> Hosts:
    source = "TF_CONFIG"
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kinds = [kind for kind in KINDS if kind in cluster]  # the chief, if there is one, is rank 0
        addresses = tuple(str(address) for kind in kinds for address in cluster[kind])
        before = [len(cluster[kind]) for kind in kinds[: kinds.index(task["type"])]]
        rank = sum(before) + int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostsError(
            f'{source} is {text[:80]!r}: {error!s:.80}; expected {{"cluster": {{"worker": ["a:2222", "b:2222"]}}, '
            f'"task": {{"type": "worker", "index": 0}}}}'
        ) from None
    if other := sorted({*cluster} - {*KINDS}) or [kind for kind in kinds[:2] if {*CHIEFS} <= {*kinds}]:
        raise HostsError(
            f"{source} has {' and '.join(other)} in its cluster; expected workers, and a chief (or master, its older "
            f"name) at most: every machine of a run trains"
        )
    return Hosts(addresses=addresses, rank=rank, source=source)


def _of_slurm(environ: Mapping[str, str]) -> Hosts:
    nodes = expand(environ.get("SLURM_STEP_NODELIST") or environ["SLURM_JOB_NODELIST"])
    tasks = environ.get("SLURM_STEP_NUM_TASKS") or environ.get("SLURM_NTASKS") or str(len(nodes))
    if tasks != str(len(nodes)):
        raise HostsError(
            f"Slurm runs {tasks} tasks on {len(nodes)} nodes; expected one a node: srun --ntasks-per-node=1"
        )
    first, ports = SLURM_PORTS
    job = environ.get("SLURM_JOB_ID", "0")
    port = first + 2 * (int(job) if job.isdigit() else 0) % ports
    addresses = tuple(f"{node}:{port}" for node in nodes)
    return Hosts(addresses=addresses, rank=int(environ["SLURM_PROCID"]), source="Slurm")


def expand(nodes: str) -> list[str]:
    """Return the names in a node list of Slurm: "gpu[1-2,07],login" are gpu1, gpu2, gpu07 and login.

    Raises:
        HostsError: it is not a node list.
    """
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodes)
    if not parts or ",".join(parts) != nodes:
        raise HostsError(f"Slurm's node list {nodes!r:.80}; expected names such as gpu[1-4,7]")
    return [name for part in parts for name in _expanded(part, nodes)]


def _expanded(part: str, nodes: str) -> list[str]:
    """Return the names of one part of a node list, which may have several brackets."""
    head, bracket, rest = part.partition("[")
    if not bracket:
        return [head]
    numbers, _, tail = rest.partition("]")
    names = []
    for each in numbers.split(","):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", each)
        if not ends or int(ends[2] or ends[1]) < int(ends[1]):
            raise HostsError(f"Slurm's node list {nodes!r:.80} has {each!r}; expected numbers and ranges such as 1-4")
        first, last = ends[1], ends[2] or ends[1]
        names += [f"{head}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    return [name + end for name in names for end in _expanded(tail, nodes)]


def _rank(environ: Mapping[str, str]) -> int | None:
    return next((int(environ[name]) for name in RANKS if environ.get(name, "").isdigit()), None)


def _address(text: str) -> str:
    host, port = _split(text if {":", "["} & set(text) else f"{text}:{PORT}")
    return f"{host}:{port}"


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if "[" in address or host.count(":"):
        raise HostsError(f"{address!r} is an IPv6 address; expected a name, or an IPv4 address, with a port: gpu1:2222")
    if port.isdigit() and not 0 < int(port[:9]) <= LAST_PORT:
        raise HostsError(f"{address!r} has port {port:.9}; expected 1 to {LAST_PORT}, such as {host or 'gpu1'}:{PORT}")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host) or not port.isdigit():
        raise HostsError(f"{address!r} is no host; expected name:port, such as gpu1:2222")
    return host, int(port)


def described(hosts: Sequence[str]) -> str:
    """Return hosts as text, cut if they are many."""
    return ", ".join(hosts) if len(hosts) <= 8 else f"{', '.join(hosts[:8])} and {len(hosts) - 8} more"
