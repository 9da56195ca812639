from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fasterkan.data import DataError
from fasterkan.data.download import download
from fasterkan.data.sources import load_source

NAME = "train-labels-idx1-ubyte"


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def babbling() -> Iterator[str]:
    """The address of a server that does not speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            call, _ = server.accept()
            with call:
                call.recv(4096)
                call.sendall(b"220 mail here\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


@pytest.fixture(params=["dead", "silent", "babbling", "404", "html", "cut", "corrupt", "empty", "other", "huge"])
def bad(request: pytest.FixtureRequest, mini, mirror) -> tuple[str, str]:
    """The address of a mirror that fails in one way, and the reason that should be given."""
    whole = gzip.compress(mini.contents[NAME])
    url = f"{mirror.url}bad/"
    path = f"bad/{NAME}.gz"
    match request.param:
        case "dead":
            return "http://127.0.0.1:1/", "refused"
        case "silent":
            return request.getfixturevalue("silent"), "timed out"
        case "babbling":
            return request.getfixturevalue("babbling"), "220 mail here"
        case "404":
            return url, "HTTP 404 Not Found"
        case "html":
            mirror.put(path, b"<!DOCTYPE html>")
            return url, "is not gzip: it starts with b'<!DOCTYP'"
        case "cut":
            mirror.put(path, whole[:-4], length=len(whole))
            return url, "truncated|IncompleteRead"
        case "corrupt":
            mirror.put(path, whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])
            return url, "the gzip stream is damaged"
        case "empty":
            mirror.put(path, b"")
            return url, "is empty"
        case "other":
            mirror.put(path, gzip.compress(mini.contents[NAME][:-1] + b"\7"))
            return url, "sha256 of the decompressed file is [0-9a-f]{64}, expected"
        case _:
            mirror.put(path, gzip.compress(bytes(10_000_000)))
            return url, "has more than 14 bytes decompressed, expected 14"


def test_keeps_what_it_got_and_asks_no_more(mini, mirror, machine: Path) -> None:
    source = replace(mini.source, mirrors=(mirror.serve("good", mini),))
    first = load_source(source, "train", None, download=True)
    assert mirror.asked == ["good/train-images-idx3-ubyte.gz", "good/train-labels-idx1-ubyte.gz"]
    cache = machine / "cache" / "fasterkan" / "mini"
    assert listing(cache) == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    again = load_source(source, "train", None, download=False)
    assert len(mirror.asked) == 2
    assert first.labels.tolist() == again.labels.tolist() == list(mini.contents[NAME][8:])


def test_download_is_asked_for(mini, mirror, machine: Path) -> None:
    source = replace(mini.source, mirrors=(mirror.serve("good", mini),))
    with pytest.raises(DataError, match="found neither"):
        load_source(source, "train", None, download=False)
    assert mirror.asked == []


def test_a_root_is_only_read(mini, mirror, machine: Path) -> None:
    source = replace(mini.source, mirrors=(mirror.serve("good", mini),))
    with pytest.raises(DataError, match="found neither"):
        load_source(source, "train", machine / "mine", download=True)
    assert mirror.asked == []


def test_only_the_missing_file_is_downloaded(mini, mirror, machine: Path) -> None:
    mini.write(machine / "system" / "mini")
    (machine / "system" / "mini" / f"{NAME}.gz").unlink()
    source = replace(mini.source, mirrors=(mirror.serve("good", mini),))
    assert len(load_source(source, "train", None, download=True)) == 6
    assert mirror.asked == [f"good/{NAME}.gz"]


def test_a_second_mirror_helps(mini, mirror, bad: tuple[str, str], tmp_path: Path, caplog) -> None:
    url, _ = bad
    mirrors = (url, mirror.serve("good", mini))
    assert download(mini.source.train[1], mirrors, tmp_path / "kept", timeout=0.5) == mini.contents[NAME]
    assert gzip.decompress((tmp_path / "kept" / f"{NAME}.gz").read_bytes()) == mini.contents[NAME]
    assert listing(tmp_path / "kept") == [f"{NAME}.gz"]
    assert f"because {url}{NAME}.gz: " in caplog.text


def test_a_bad_mirror_leaves_nothing_and_says_why(mini, bad: tuple[str, str], tmp_path: Path) -> None:
    url, reason = bad
    with pytest.raises(DataError, match=reason) as caught:
        download(mini.source.train[1], (url,), tmp_path / "kept", timeout=0.5)
    assert str(caught.value).startswith(f"no mirror gave {NAME}.gz: {url}{NAME}.gz: ")
    assert listing(tmp_path / "kept") == []


def test_all_mirrors_dead_names_each_and_how_to_get_it(mini, machine: Path) -> None:
    source = replace(mini.source, mirrors=("http://127.0.0.1:1/", "http://127.0.0.1:2/"))
    with pytest.raises(DataError) as caught:
        load_source(source, "train", None, download=True)
    first, failed, looked, expected, remedy = str(caught.value).splitlines()
    assert first == "mini: found neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte"
    assert failed.startswith(
        "  downloading failed: no mirror gave train-images-idx3-ubyte.gz: http://127.0.0.1:1/train"
    )
    assert "http://127.0.0.1:2/train-images-idx3-ubyte.gz: " in failed
    assert str(machine / "system" / "mini") in looked
    assert source.train[0].sha256 in expected
    assert "`apt-get install dataset-mini`" in remedy
    assert listing(machine / "cache") == []


def test_a_folder_that_cannot_be_written_costs_a_warning_only(mini, mirror, tmp_path: Path, caplog) -> None:
    (tmp_path / "file").touch()
    content = download(mini.source.train[1], (mirror.serve("good", mini),), tmp_path / "file" / "folder")
    assert content == mini.contents[NAME]
    assert f"{NAME}.gz could not be stored in {tmp_path}/file/folder and will be downloaded again" in caplog.text


def test_threads_at_once(mini, mirror, machine: Path) -> None:
    source = replace(mini.source, mirrors=(mirror.serve("good", mini),))
    with ThreadPoolExecutor(16) as pool:
        sets = list(pool.map(lambda _: load_source(source, "train", None, download=True), range(16)))
    assert {tuple(data.labels.tolist()) for data in sets} == {tuple(mini.contents[NAME][8:])}
    assert listing(machine / "cache" / "fasterkan" / "mini") == ["train-images-idx3-ubyte.gz", f"{NAME}.gz"]


SCRIPT = """
import sys
from pathlib import Path
from fasterkan.data.download import download
from fasterkan.data.known import KnownFile

name, sha256, mirror, folder = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    download(KnownFile(name, (6,), sha256), (mirror,), Path(folder))
"""


def test_processes_at_once(mini, mirror, machine: Path) -> None:
    file = mini.source.train[1]
    folder = machine / "shared"
    command = [sys.executable, "-c", SCRIPT, NAME, file.sha256, mirror.serve("good", mini), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        for process in (first, second):
            assert process.stdout.readline() == b"ready\n"
        for process in (first, second):
            process.stdin.write(b"\n")
            process.stdin.flush()
        seen = set()
        while first.poll() is None or second.poll() is None:
            if (folder / f"{NAME}.gz").exists():
                seen.add((folder / f"{NAME}.gz").read_bytes())
        assert [(process.returncode, process.stderr.read()) for process in (first, second)] == [(0, b""), (0, b"")]
    assert seen == {mirror.bodies[f"good/{NAME}.gz"][0]}
    assert listing(folder) == [f"{NAME}.gz"]
