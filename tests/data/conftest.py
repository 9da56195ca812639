"""A data set of ten small images, an empty machine to find it on, and a server to download it from."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import random
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fasterkan.data import places
from fasterkan.data.known import ImageSource, KnownFile

from ..seeds import seed_of


def make_idx(shape: tuple[int, ...], values: bytes, code: int = 8) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape) + values


@dataclass
class Mini:
    """The small data set: its description and the decompressed content of each file by name."""

    source: ImageSource
    contents: dict[str, bytes]

    def write(self, folder: Path, *, compressed: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents.items():
            path = folder / (f"{name}.gz" if compressed else name)
            path.write_bytes(gzip.compress(content) if compressed else content)


@pytest.fixture
def mini() -> Mini:
    rng = random.Random(seed_of(0))
    contents = {}
    files = {}
    for split, rows in (("train", 6), ("t10k", 4)):
        images = make_idx((rows, 5, 3), rng.randbytes(rows * 15))
        labels = make_idx((rows,), bytes(rng.randrange(2) for _ in range(rows)))
        for name, shape, content in (
            (f"{split}-images-idx3-ubyte", (rows, 5, 3), images),
            (f"{split}-labels-idx1-ubyte", (rows,), labels),
        ):
            contents[name] = content
            files[name] = KnownFile(name, shape, hashlib.sha256(content).hexdigest())
    train_images, train_labels, test_images, test_labels = files.values()
    source = ImageSource(
        name="mini",
        torchvision="Mini/raw",
        classes=("no", "yes"),
        train=(train_images, train_labels),
        test=(test_images, test_labels),
        mirrors=("http://127.0.0.1:9/",),
        package="dataset-mini",
    )
    return Mini(source, contents)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine: checkout, work (current directory), cache and system folders below one temporary folder."""
    for name in ("checkout", "work", "cache", "system"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkout" / "pyproject.toml").touch()
    monkeypatch.setattr(places, "_CHECKOUT", tmp_path / "checkout")
    monkeypatch.setattr(places, "_SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FASTERKAN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@dataclass
class Mirror:
    """A server on this machine: what it answers, body and announced length, and what it was asked for."""

    url: str
    bodies: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def serve(self, folder: str, mini: Mini) -> str:
        """Offer the data set under a folder; returns its address."""
        for name, content in mini.contents.items():
            self.put(f"{folder}/{name}.gz", gzip.compress(content))
        return f"{self.url}{folder}/"

    def put(self, path: str, body: bytes, length: int | None = None) -> None:
        self.bodies[path] = (body, len(body) if length is None else length)


@pytest.fixture
def mirror(machine: Path) -> Iterator[Mirror]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            state.asked.append(path)
            if path not in state.bodies:
                self.send_error(404)
                return
            body, length = state.bodies[path]
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        state = Mirror(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()
