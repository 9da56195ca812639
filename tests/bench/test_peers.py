"""Other projects' modules: found, kept apart, and named where they are missing."""

from __future__ import annotations

import sys

import pytest
import torch

import fasterkan as fk
from fasterkan.bench import PEERS, Peer, PeerError


def peer(module="fasterkan.theirs", **options):
    return Peer("theirs", module, lambda m, w, k: m.Net(), "https://example.org/theirs", folder="theirs", **options)


@pytest.fixture
def checkout(tmp_path):
    """A folder with a project whose package is called as ours."""
    package = tmp_path / "theirs" / "fasterkan"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .theirs import Net\n")
    (package / "theirs.py").write_text("class Net:\n    name = 'theirs'\n")
    return tmp_path


def test_a_package_of_our_name_stays_apart(checkout):
    before, path = dict(sys.modules), list(sys.path)
    assert peer().load(checkout).Net.name == "theirs"
    assert sys.path == path
    assert sys.modules["fasterkan"] is fk and "fasterkan.theirs" not in sys.modules
    assert {n for n in sys.modules if n.startswith("fasterkan")} == {n for n in before if n.startswith("fasterkan")}


@pytest.mark.parametrize("place", [None, "empty"])
def test_missing_says_how_to_get_it(tmp_path, place):
    folder = None if place is None else tmp_path
    with pytest.raises(PeerError, match=r"theirs is not here: git clone https://example\.org/theirs PEERS/theirs"):
        peer().load(folder)
    with pytest.raises(PeerError, match="not here: pip install no-such-kan"):
        peer("no_such_kan", package="no-such-kan").load(folder)


@pytest.mark.parametrize("text", ["import no_such_module_anywhere", "def broken(:", "raise RuntimeError('no GPU')"])
def test_a_broken_import_is_told(checkout, text):
    (checkout / "theirs" / "fasterkan" / "theirs.py").write_text(text)
    with pytest.raises(PeerError, match=r"theirs cannot be imported: \w+Error: "):
        peer().load(checkout)
    assert sys.modules["fasterkan"] is fk


def test_version(checkout):
    assert peer().version(None) == "unknown"
    (checkout / "theirs" / "COMMIT").write_text("0123456789abcdef\n")
    assert peer().version(checkout) == "0123456789ab"
    assert peer(package="pytest").version(None) == pytest.__version__


def test_every_peer_says_where_it_comes_from():
    for name, one in PEERS.items():
        assert name == one.name and one.source.startswith("https://")
        assert one.package or one.folder


def test_it_is_imported_once_and_can_be_compiled(checkout):
    package = checkout / "theirs" / "fasterkan"
    (package / "inner.py").write_text("SCALE = 3.0\n\n\ndef scaled(x):\n    return SCALE * x\n")
    text = "import torch\nfrom .inner import scaled\n\n\nclass Net(torch.nn.Module):\n"
    (package / "theirs.py").write_text(text + "    def forward(self, x):\n        return scaled(x)\n")
    module = peer().load(checkout)
    assert peer().load(checkout) is module
    x = torch.arange(3.0)
    compiled = torch.compile(module.Net(), backend="eager", fullgraph=True)  # finds the globals of inner by its name
    torch.testing.assert_close(compiled(x), 3 * x, rtol=0, atol=0)
