"""What can go wrong between a client and a real server: connections that break, throttling, bytes that trickle."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
PIECE_BYTES = 64 << 10


class CuttingProxy:
    """Passes bytes between clients and a server on this machine, unchanged, and counts those that come back.

    `refuse` answers the next requests itself; `cut_after` ends connections once as many bytes came back through each;
    `on_request` is called with the first line of each request, before it is passed on.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._lock = threading.Lock()
        self._refusals: list[bytes] = []
        self._cuts: list[int] = []
        self.port = int(self._listener.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.bytes_back = 0
        self.requests: list[str] = []
        self.on_request: Callable[[str], None] = lambda _: None
        self.trickles = False
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self, times: int, *, status: str = "503 Slow Down", body: bytes = SLOW_DOWN) -> None:
        """Answer the next requests with an error of S3's."""
        answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        with self._lock:
            self._refusals += [answer] * times

    def cut_after(self, size_bytes: int, *, times: int) -> None:
        """End the next connections, each after some bytes of its answers."""
        with self._lock:
            self._cuts += [size_bytes] * times

    def stop(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            while piece := client.recv(PIECE_BYTES):
                if self._refused(piece, client):
                    break
                server.sendall(piece)
            _end(server)

    def _refused(self, piece: bytes, client: socket.socket) -> bool:
        """Note a request, and answer it where it is to be refused; requests of S3's clients begin their packets."""
        line = piece.split(b"\r\n", 1)[0].decode("latin-1")
        if not line.endswith("HTTP/1.1"):
            return False
        self.on_request(line)
        with self._lock:
            self.requests.append(line)
            answer = self._refusals.pop(0) if self._refusals else None
        if answer:
            client.sendall(answer)
        return answer is not None

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with self._lock:
            left_bytes = self._cuts.pop(0) if self._cuts else None
        with suppress(OSError):
            while piece := server.recv(1 if self.trickles else PIECE_BYTES):
                piece = piece if left_bytes is None else piece[:left_bytes]
                client.sendall(piece)
                with self._lock:
                    self.bytes_back += len(piece)
                if left_bytes is not None and (left_bytes := left_bytes - len(piece)) <= 0:
                    break
        _end(client)
        _end(server)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
