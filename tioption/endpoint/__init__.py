"""The reference endpoint: a small sans-IO TCP, the isolation boundary on it, a host, and links to run it on.

The names below load on first use, so that importing a part of the package does not load asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tioption.endpoint.aio import AsyncHost, FlowServer, FlowWriter, open_connection, start_server
    from tioption.endpoint.config import FlowConfig, StackConfig, TcpConfig
    from tioption.endpoint.connection import Connection
    from tioption.endpoint.isolation import IsolationBoundary
    from tioption.endpoint.link import Network
    from tioption.endpoint.log import EventLog
    from tioption.endpoint.memory import MemoryPath, VirtualTimeLoop
    from tioption.endpoint.stack import Stack

_HOMES = {
    "AsyncHost": "aio",
    "FlowServer": "aio",
    "FlowWriter": "aio",
    "open_connection": "aio",
    "start_server": "aio",
    "FlowConfig": "config",
    "StackConfig": "config",
    "TcpConfig": "config",
    "Connection": "connection",
    "IsolationBoundary": "isolation",
    "Network": "link",
    "EventLog": "log",
    "MemoryPath": "memory",
    "VirtualTimeLoop": "memory",
    "Stack": "stack",
}

__all__ = [
    "AsyncHost",
    "Connection",
    "EventLog",
    "FlowConfig",
    "FlowServer",
    "FlowWriter",
    "IsolationBoundary",
    "MemoryPath",
    "Network",
    "Stack",
    "StackConfig",
    "TcpConfig",
    "VirtualTimeLoop",
    "open_connection",
    "start_server",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tioption.endpoint.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
