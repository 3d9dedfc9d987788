"""What a graph would do on a GPU, found out without one: where each node runs, in whose memory its tensors are.

    strategy = tf.distribute.MirroredStrategy(GPUS[:2])     # logical CPUs stand for the GPUs; CPU:0 is the host
    found = walk(function.get_concrete_function(...))
    found.without_kernel                                    # {"Timestamp": 2}: nodes for a GPU that only a CPU can run
    found.copies                                            # tensors that go from the GPU's memory to the host's

TensorFlow registers for every operation which kernels there are, by device and types, and which of their inputs and
outputs are in the host's memory, as those of 32-bit whole numbers mostly are. A node goes to the device that its scope
names; without one, to a GPU if it has a kernel there. A copy to the host waits for all work that was queued before.
Functions that XLA compiles are one node: their arguments and results are on the device. Loops and branches keep a
tensor where it began, whole numbers of 32 bits in the host's memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

GPUS = ("CPU:1", "CPU:2", "CPU:3")
HOST, DEVICE = "host", "device"
WHILE, IF = ("While", "StatelessWhile"), ("If", "StatelessIf")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
RESOURCE_READS = ("Placeholder", "_Arg")


@dataclass
class Found:
    """What a walk found; the names of copied tensors begin with the functions that they are in."""

    without_kernel: Counter[str] = field(default_factory=Counter)
    copies: dict[str, str] = field(default_factory=dict)  # tensor -> the first operation that wants it on the host
    compiled: set[str] = field(default_factory=set)  # functions of XLA
    nodes: int = 0
    _root: Any = None  # the graph that knows all functions
    _library: dict[str, Any] = field(default_factory=dict)

    def copies_in(self, part: str) -> list[str]:
        """Copies within a function whose path contains `part`."""
        return [name for name in self.copies if part in name]

    def function(self, op: Any, attribute: str) -> Any:
        """Return the graph of a function that a node calls."""
        from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

        with self._root.as_default():
            return function_def_to_graph(self._library[op.get_attr(attribute).name])

    def is_compiled(self, op: Any) -> bool:
        """Tell whether XLA compiles the function that a node calls."""
        marked = self._library[op.get_attr("f").name].attr.get("_XlaMustCompile")
        return bool(marked and marked.b)


def walk(function: Any, *, device: str = "") -> Found:
    """Walk through a concrete function and all that it calls. `device` is where it runs, if its nodes do not say."""
    graph = function.graph
    found = Found(_root=graph, _library={each.signature.name: each for each in graph.as_graph_def().library.function})
    given = {tensor.name: _begins(tensor) for tensor in graph.inputs}
    _walk(graph, given, [tensor.name for tensor in graph.outputs], device, "", found)
    return found


def _begins(tensor: Any) -> str:
    return HOST  # what a program is given is the host's; variables and iterators are handles


def _walk(graph: Any, memory: dict[str, str], outputs: list[str], device: str, path: str, found: Found) -> list[str]:
    """Place all nodes of a graph; return where its outputs are. `memory` says where tensors are, and is filled."""
    for op in graph.get_operations():
        if all(tensor.name in memory for tensor in op.outputs) and op.outputs and op.type in RESOURCE_READS:
            continue
        found.nodes += 1
        _place(op, memory, op.device or device, path, found)
    return [memory[name] for name in outputs]


def _place(op: Any, memory: dict[str, str], device: str, path: str, found: Found) -> None:
    if op.type in WHILE:
        results = _loop(op, memory, device, path, found)
    elif op.type in IF:
        results = _branches(op, memory, device, path, found)
    elif op.type in CALLS:
        results = _call(op, memory, device, path, found)
    else:
        wanted, results = _kernel(op, device, found)
        for tensor, place in zip(op.inputs, wanted, strict=True):
            _want(tensor, place, op.type, memory, path, found)
    for tensor, place in zip(op.outputs, results, strict=True):
        memory[tensor.name] = place


def _want(tensor: Any, place: str, by: str, memory: dict[str, str], path: str, found: Found) -> None:
    if place == HOST and memory[tensor.name] == DEVICE and tensor.dtype.name not in ("resource", "variant"):
        found.copies.setdefault(f"{path}/{tensor.name}", by)


def _loop(op: Any, memory: dict[str, str], device: str, path: str, found: Found) -> list[str]:
    """A loop's tensors stay where they begin; what its body leaves elsewhere is brought there."""
    begin = [_kept(tensor.dtype, memory[tensor.name]) for tensor in op.inputs]
    for tensor, place in zip(op.inputs, begin, strict=True):
        _want(tensor, place, op.type, memory, path, found)
    for name in ("cond", "body"):
        graph = found.function(op, name)
        inside = dict(zip((tensor.name for tensor in graph.inputs), begin, strict=True))
        here = f"{path}/{op.name} {name}"
        _walk(graph, inside, [], device, here, found)
        places = [HOST] if name == "cond" else begin
        for tensor, place in zip(graph.outputs, places, strict=True):
            _want(tensor, place, f"{op.type} {name}", inside, here, found)
    return begin


def _branches(op: Any, memory: dict[str, str], device: str, path: str, found: Found) -> list[str]:
    condition, *given = op.inputs
    _want(condition, HOST, op.type, memory, path, found)
    own = HOST if _on_host(device) else DEVICE
    results = [_kept(tensor.dtype, own) for tensor in op.outputs]
    for name in ("then_branch", "else_branch"):
        graph = found.function(op, name)
        inside = {inner.name: memory[outer.name] for inner, outer in zip(graph.inputs, given, strict=True)}
        here = f"{path}/{op.name} {name}"
        _walk(graph, inside, [], device, here, found)
        for tensor, place in zip(graph.outputs, results, strict=True):
            _want(tensor, place, f"{op.type} {name}", inside, here, found)
    return results


def _call(op: Any, memory: dict[str, str], device: str, path: str, found: Found) -> list[str]:
    graph = found.function(op, "f")
    if found.is_compiled(op):
        found.compiled.add(graph.name)
        return [DEVICE] * len(op.outputs)
    inside = {inner.name: memory[outer.name] for inner, outer in zip(graph.inputs, op.inputs, strict=True)}
    return _walk(graph, inside, [tensor.name for tensor in graph.outputs], device, f"{path}/{op.name}", found)


def _kept(dtype: Any, place: str) -> str:
    return HOST if dtype.name in ("int32", "resource", "variant", "string") else place


def _on_host(device: str) -> bool:
    return device.upper().endswith("CPU:0")


def _on_gpu(device: str) -> bool:
    return device.upper().endswith(GPUS)


def _kernel(op: Any, device: str, found: Found) -> tuple[list[str], list[str]]:
    """Where a node wants its inputs, and where its outputs are."""
    if _on_host(device):
        return [HOST] * len(op.inputs), [HOST] * len(op.outputs)
    kernel = _of_gpu(op)
    if kernel is None:
        if _on_gpu(device):
            found.without_kernel[op.type] += 1
        return [HOST] * len(op.inputs), [HOST] * len(op.outputs)
    on_host = set(kernel.host_memory_arg)
    inputs = [HOST if name in on_host else DEVICE for name in _names(op, op.op_def.input_arg, len(op.inputs))]
    outputs = [HOST if name in on_host else DEVICE for name in _names(op, op.op_def.output_arg, len(op.outputs))]
    return inputs, outputs


def _names(op: Any, arguments: Any, count: int) -> list[str]:
    """The argument's name of each tensor; one argument may stand for several."""
    names: list[str] = []
    for argument in arguments:
        many = 1
        if argument.number_attr:
            many = op.get_attr(argument.number_attr)
        elif argument.type_list_attr:
            many = len(op.get_attr(argument.type_list_attr))
        names += [argument.name] * many
    assert len(names) == count, f"{op.type}: {names} for {count} tensors"
    return names


@cache
def _kernels(operation: str) -> tuple[Any, ...]:
    from tensorflow.python.framework import kernels

    of_gpu = [k for k in kernels.get_registered_kernels_for_op(operation).kernel if k.device_type in ("GPU", "DEFAULT")]
    return tuple(sorted(of_gpu, key=lambda kernel: -kernel.priority))


def _of_gpu(op: Any) -> Any:
    """The kernel that a GPU would run a node by; None if there is none."""
    return next((kernel for kernel in _kernels(op.type) if _fits(op, kernel)), None)


def _fits(op: Any, kernel: Any) -> bool:
    for constraint in kernel.constraint:
        found = op.get_attr(constraint.name)
        types = set(constraint.allowed_values.list.type)
        wanted = found if isinstance(found, list | tuple) else [found]
        if not all(each.as_datatype_enum in types for each in wanted):
            return False
    return True
