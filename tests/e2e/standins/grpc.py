"""One gRPC call at a time over a Unix socket, on top of the h2 library.

Only the hosts have h2, so it is imported when a call is made: tests of what is above this run without it.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any


class RpcError(Exception):
    """The other side answered with a status that is not OK, or not at all."""


def call(address: Path, method: str, request: bytes, timeout: float = 120) -> bytes:
    """Call /package.Service/Method with an encoded message; returns the encoded answer.

    Raises RpcError with the status message; "not there" and "refused" are told apart from it by their text.
    """
    from h2.config import H2Configuration  # type: ignore[import-not-found]
    from h2.connection import H2Connection  # type: ignore[import-not-found]

    connection = H2Connection(H2Configuration(client_side=True))
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(timeout)
        try:
            channel.connect(str(address))
            connection.initiate_connection()
            stream = connection.get_next_available_stream_id()
            headers = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", method),
                (":authority", "localhost"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ]
            connection.send_headers(stream, headers)
            connection.send_data(stream, struct.pack(">BI", 0, len(request)) + request, end_stream=True)
            channel.sendall(connection.data_to_send())
            return _answer(connection, channel)
        except OSError as broken:
            raise RpcError(f"rpc error: transport: {address}: {broken}") from broken


def _answer(connection: Any, channel: socket.socket) -> bytes:
    from h2 import events  # type: ignore[import-not-found]

    body = b""
    status: dict[str, str] = {}
    while data := channel.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, events.DataReceived):
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (events.ResponseReceived, events.TrailersReceived)):
                status |= {_text(name): _text(value) for name, value in event.headers}
            elif isinstance(event, (events.StreamEnded, events.StreamReset)):
                if status.get("grpc-status", "2") != "0":
                    raise RpcError(f"rpc error: code = {status.get('grpc-status')} desc = {status.get('grpc-message')}")
                return body[5:]
        channel.sendall(connection.data_to_send())
    raise RpcError("rpc error: connection closed before the answer")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
