"""An objective's terms and gradients by CUDA graphs: a step is one launch in place of thousands.

What is replayed was recorded once, with tensors that keep their places: arguments are copied into these before a
replay, and gradients are found where the recording left them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

WARM_UP = 3  # runs before the recording, in which libraries choose their kernels
Objective = Callable[..., dict[str, Tensor]]


class Replayed:
    """A recording for each set of arguments that are not tensors; of these it keeps the last alone.

    objective: given arguments of equal shapes at each call, the terms, "loss" among them.
    """

    def __init__(self, objective: Objective, parameters: Sequence[nn.Parameter]) -> None:
        self._objective, self._parameters = objective, list(parameters)
        self._key: tuple[Any, ...] | None = None
        self._places, self._terms = list[Tensor](), dict[str, Tensor]()
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *arguments: Any) -> dict[str, Tensor]:
        """The terms, detached; gradients of the loss are in the parameters."""
        leaves, form = pytree.tree_flatten(arguments)
        key = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if self._graph is None or key != self._key:
            self._key, self._graph, self._terms = key, None, {}
            self._places = [tensor.clone() for tensor in tensors]
            places = iter(self._places)
            kept = [next(places) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            self._record(pytree.tree_unflatten(kept, form))
        assert self._graph is not None
        for place, tensor in zip(self._places, tensors, strict=True):
            place.copy_(tensor)
        self._graph.replay()
        return self._terms

    def _record(self, arguments: tuple[Any, ...]) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._forget()
                self._objective(*arguments)["loss"].backward()
        torch.cuda.current_stream().wait_stream(side)
        self._forget()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            terms = self._objective(*arguments)
            terms["loss"].backward()
            self._terms = {name: term.detach() for name, term in terms.items()}
        self._graph = graph

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
