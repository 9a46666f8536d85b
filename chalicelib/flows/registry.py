"""The flows that are deployed: every module of ``chalicelib.flows.definitions``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from chalicelib.errors import UnknownFlow
from chalicelib.flows.flow import Flow, FlowDefinitionError


class FlowRegistry(Mapping[str, Flow]):
    """Flows by name, in the order of their names."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._flows: dict[str, Flow] = {}
        for flow in sorted(flows, key=lambda flow: flow.name):
            if flow.name in self._flows:
                raise FlowDefinitionError(f"two flows are called {flow.name!r}")
            self._flows[flow.name] = flow

    @classmethod
    def discover(cls, package: ModuleType) -> FlowRegistry:
        """Load the ``flow`` of every module in a package of definitions."""
        names = [module.name for module in pkgutil.iter_modules(package.__path__)]
        return cls(_load(f"{package.__name__}.{name}") for name in names)

    def named(self, name: str) -> Flow:
        """Give the flow that a caller names, or raise UnknownFlow."""
        if name not in self._flows:
            raise UnknownFlow(f"The flows are {', '.join(self._flows)}.")
        return self._flows[name]

    def __getitem__(self, name: str) -> Flow:
        """Give the flow of that name."""
        return self._flows[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._flows)

    def __len__(self) -> int:
        """Count the flows."""
        return len(self._flows)


def _load(module: str) -> Flow:
    flow = getattr(importlib.import_module(module), "flow", None)
    if not isinstance(flow, Flow):
        raise FlowDefinitionError(f"{module} defines no flow")
    return flow
