"""ONNX graphs, made node by node of ONNX's own operations, opset 17.

graph = Graph()
graph.add("Exp", "x", to="y")                           # the name of its output
proto = graph.model("exponential", takes={"x": (FLOAT, ["batch"])}, gives={"y": (FLOAT, ["batch"])})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.portable import PortableError

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # of that opset: older runtimes read it too
FLOAT, INT64, FLOAT16, DOUBLE = 1, 7, 10, 11  # onnx.TensorProto's numbers

Tensors = Mapping[str, tuple[int, Sequence[int | str]]]
"""Names of tensors to their type and shape; a size that varies is a word."""


class Graph:
    """Nodes and weights as they are added; `add` returns the name of a node's output.

    Raises:
        PortableError: onnx is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError:
            raise PortableError("onnx is not here; pip install '.[export]', or pip install onnx onnxruntime") from None
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name, number = to or f"{kind.lower()}{len(self._nodes)}", len(self._nodes)
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=f"node{number}", **attributes))
        return name

    def weight(self, name: str, value: np.ndarray) -> str:
        if name not in self._weights:
            self._weights[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def whole(self, value: int) -> str:
        return self.weight(f"whole{value}", np.array(value, np.int64))

    def axes(self, *axes: int) -> str:
        return self.weight(f"axes{axes}", np.array(axes, np.int64))

    def number(self, value: float) -> str:
        return self.weight(f"number{value:g}", np.array(value, np.float32))

    def cast(self, x: str, to_type: int, *, to: str = "") -> str:
        name = to or f"cast{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node("Cast", [x], [name], name=f"node{len(self._nodes)}", to=to_type))
        return name

    def size(self, x: str, axis: int) -> str:
        """Return the size of an axis, int64 []."""
        return self.add("Squeeze", self.add("Shape", x, start=axis, end=axis + 1), self.axes(0))

    def below(self, lengths: str, most: str) -> str:
        """Return which places are below each length: [B] and [] -> bool [B, most]."""
        places = self.add("Range", self.whole(0), most, self.whole(1))
        return self.add(
            "Less", self.add("Unsqueeze", places, self.axes(0)), self.add("Unsqueeze", lengths, self.axes(1))
        )

    def floored(self, x: str, by: int) -> str:
        """Divide whole numbers, and round down: ONNX rounds towards zero."""
        rest = self.add("Mod", x, self.whole(by))  # of the divisor's sign
        return self.add("Div", self.add("Sub", x, rest), self.whole(by))

    def model(self, name: str, *, takes: Tensors, gives: Tensors) -> Any:
        """Return the onnx.ModelProto, checked."""
        helper = self._onnx.helper
        taken, given = (
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in each.items()]
            for each in (takes, gives)
        )
        proto = helper.make_model(
            helper.make_graph(self._nodes, name, taken, given, list(self._weights.values())),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="speech-tta",
        )
        self._onnx.checker.check_model(proto, full_check=True)
        return proto
