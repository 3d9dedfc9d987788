"""Who takes part in a run, from options and from the variables of launchers."""

import json

import pytest

from benchmark.run.prepare.hosts import Hosts, HostsError, expand, resolve

TF_CONFIG = json.dumps({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}})
SLURM = {
    "SLURM_PROCID": "1",
    "SLURM_STEP_NODELIST": "gpu[1-2]",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_JOB_ID": "70012",
}


def found(given=None, rank=None, machines=2, **environ):
    return resolve(machines=machines, given=given, rank=rank, environ=environ)


def test_hosts_are_given_with_a_rank_and_the_usual_port():
    hosts = found("a,b:77", rank=1)
    assert (hosts.addresses, hosts.rank, hosts.is_chief) == (("a:2222", "b:77"), 1, False)


def test_options_go_before_tf_config_which_goes_before_slurm():
    assert found("x,y", rank=0, TF_CONFIG=TF_CONFIG, **SLURM).addresses == ("x:2222", "y:2222")
    assert found(TF_CONFIG=TF_CONFIG, **SLURM) == Hosts(addresses=("a:1", "b:2"), rank=1, source="TF_CONFIG")
    # 20000 + 2 x 70012 mod 10000 = 20024
    assert found(**SLURM) == Hosts(addresses=("gpu1:20024", "gpu2:20024"), rank=1, source="Slurm")


def test_the_chief_of_a_tf_config_has_rank_0():
    config = {"cluster": {"worker": ["b:2", "c:3"], "chief": ["a:1"]}, "task": {"type": "worker", "index": 1}}
    hosts = found(machines=3, TF_CONFIG=json.dumps(config))
    assert (hosts.addresses, hosts.rank) == (("a:1", "b:2", "c:3"), 2)


def test_a_master_is_the_chief_of_tensorflow_1():
    config = {"cluster": {"master": ["a:1"], "worker": ["b:2", "c:3"]}, "task": {"type": "worker", "index": 1}}
    hosts = found(machines=3, TF_CONFIG=json.dumps(config))
    assert (hosts.addresses, hosts.rank) == (("a:1", "b:2", "c:3"), 2)
    first = {**config, "task": {"type": "master", "index": 0}}
    assert found(machines=3, TF_CONFIG=json.dumps(first)).is_chief


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"worker": ["a:1", "b:2"], "ps": ["c:3"]}, "TF_CONFIG has ps in its cluster; expected workers"),
        ({"worker": ["a:1"], "evaluator": ["b:2"]}, "TF_CONFIG has evaluator in its cluster"),
        ({"worker": ["a:1"], "chief": ["b:2"], "master": ["c:3"]}, "TF_CONFIG has chief and master in its cluster"),
    ],
)
def test_tasks_of_a_tf_config_that_do_not_train_are_refused_by_name(cluster, said):
    with pytest.raises(HostsError, match=said):
        found(TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}}))


def test_mpirun_says_the_rank():
    assert found("a,b", OMPI_COMM_WORLD_RANK="1").rank == 1
    assert found("a,b", rank=0, OMPI_COMM_WORLD_RANK="1").rank == 0


def test_the_chief_listens_at_a_port_that_no_other_host_there_has():
    assert Hosts(addresses=("a:5", "b:6"), rank=0).control == ("a", 6)
    assert Hosts(addresses=("a:5", "a:6", "a:7"), rank=0).control == ("a", 8)


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ("node1", ["node1"]),
        ("gpu[1-3],login", ["gpu1", "gpu2", "gpu3", "login"]),
        ("node[1-2,07-09],gpu3", ["node1", "node2", "node07", "node08", "node09", "gpu3"]),
        ("r[1-2]n[3,5].x", ["r1n3.x", "r1n5.x", "r2n3.x", "r2n5.x"]),
    ],
)
def test_node_lists_are_expanded_as_slurm_does(nodes, names):
    assert expand(nodes) == names


def test_ours_expands_as_tensorflows_does():
    from features.jobs.process import import_tensorflow

    import_tensorflow()
    from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist

    for nodes in ("node1", "gpu[1-3],login", "node[1-2,07-09],gpu3"):
        assert expand(nodes) == expand_hostlist(nodes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (lambda: found(), "has 2 machines, and nothing says which: give --hosts a:2222,b:2222 --rank N on each"),
        (lambda: found("a,b,c", rank=0), "--hosts names 3 hosts, and the platform has 2 machines"),
        (lambda: found("a,b"), "--hosts without --rank"),
        (lambda: found("a,b", rank=2), "rank is 2; expected 0 to 1"),
        (lambda: found("a,a", rank=0), "a:2222 comes twice; expected a port for each process"),
        (lambda: found("a:x,b", rank=0), "'a:x' is no host; expected name:port"),
        (lambda: found("a:65536,b", rank=0), "'a:65536' has port 65536; expected 1 to 65535, such as a:2222"),
        (lambda: found("a:0,b", rank=0), "'a:0' has port 0; expected 1 to 65535"),
        (lambda: found("[::1]:2222,b", rank=0), "'[::1]:2222' is an IPv6 address; expected a name, or an IPv4"),
        (lambda: found("[::1],b", rank=0), "'[::1]' is an IPv6 address"),
        (lambda: found("::1,b", rank=0), "'::1' is an IPv6 address"),
        (
            lambda: found("a:65535,b", rank=0).control,
            "no port above 65535 is free, and the chief listens at the one after its own; expected at most 65534",
        ),
        (lambda: found("a,b", rank=0, machines=1), "--hosts, but the platform has 1 machine"),
        (lambda: found(rank=1, machines=1), "--rank 1, but the platform has 1 machine; expected --rank with --hosts"),
        (lambda: found(rank=0, TF_CONFIG=TF_CONFIG), "--rank 0, but TF_CONFIG says 1; expected one of them"),
        (lambda: found(rank=0, **SLURM), "--rank 0, but Slurm says 1"),
        (lambda: found(TF_CONFIG="{}"), "TF_CONFIG is '{}': 'cluster'; expected"),
        (lambda: found(TF_CONFIG="nonsense"), "TF_CONFIG is 'nonsense'"),
        (lambda: found(**SLURM | {"SLURM_STEP_NUM_TASKS": "4"}), "Slurm runs 4 tasks on 2 nodes; expected one a node"),
        (lambda: expand("gpu[1-"), "node list 'gpu[1-'"),
        (lambda: expand("gpu[2-1]"), "has '2-1'; expected numbers and ranges"),
        (lambda: expand(""), "expected names"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(asked, says):
    with pytest.raises(HostsError) as error:
        asked()
    assert says in str(error.value)


def test_one_machine_needs_nothing_whatever_the_environment_says():
    assert found(machines=1, TF_CONFIG=TF_CONFIG, **SLURM) is None
