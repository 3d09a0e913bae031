"""The parser of addresses: what is accepted, and refusals on one line without a secret."""

import pickle
from pathlib import Path

import pytest
from messages import assert_mentions

from kzoo.utils.address import HubPath, hub_path, is_hub_address, parse_hub_address, parse_place
from kzoo.utils.errors import KzooError


@pytest.mark.parametrize(
    ("word", "scheme", "path", "name", "revision"),
    [
        ("hub:models/iris", "folder", "models", "iris", None),
        ("hub:/srv/me@host/iris@3", "folder", "/srv/me@host", "iris", "3"),
        ("hub:/iris", "folder", "/", "iris", None),
        ("hub:../up/iris-2.b@0a1b2c3", "folder", "../up", "iris-2.b", "0a1b2c3"),
        ("hub:~/m/iris", "folder", str(Path("~/m").expanduser()), "iris", None),
        ("hub:https://h.org:8443/a/b/iris@12", "https", "h.org:8443/a/b", "iris", "12"),
        ("hub:HTTP://localhost:8000/iris", "http", "localhost:8000", "iris", None),
        ("hub:hf://someone/iris@main", "hf", "someone", "iris", "main"),
    ],
)
def test_parts_of_an_address(word, scheme, path, name, revision):
    address = parse_hub_address(word)
    assert (address.place.scheme, address.place.path) == (scheme, path)
    assert (address.name, address.revision) == (name, revision)
    assert parse_hub_address(str(address)) == address


def test_a_stored_address_has_no_folders_of_this_machine(tmp_path):
    address = parse_hub_address(f"hub:{tmp_path / 'models'}/iris@3")
    assert address.stored == "hub:models/iris@3"
    remote = parse_hub_address("hub:https://example.org/models/iris@3")
    assert remote.stored == str(remote)


BAD = [
    ("hub:", ["place"]),
    ("hub:iris", ["hub:./iris"]),
    ("hub:models/", ["name"]),
    ("hub:models/..", ["'..'"]),
    ("hub:models/a b", ["'a b'"]),
    ("hub:models/.iris", [".iris"]),
    ("hub:models/iris.", ["iris."]),
    ("hub:models/con", ["con"]),
    ("hub:models/Nul.txt", ["Nul.txt"]),
    (f"hub:models/{'a' * 97}", ["96"]),
    ("hub:models/iris@", ["''", "iris@3"]),
    ("hub:models/iris@..", ["'..'"]),
    ("hub:models/iris@a b", ["a b"]),
    ("hub:a\nb/iris", ["place"]),
    ("hub:ftp://host/iris", ["ftp://", "https://"]),
    ("hub:file:///srv/iris", ["file://", "folder"]),
    ("hub:https://host", ["name of a model"]),
    ("hub:https:///x/iris", ["host"]),
    ("hub:https://host:abc/iris", ["host"]),
    ("hub:https://host/a/../b/iris", ["'..'"]),
    ("hub:https://host/a//b/iris", ["'//'"]),
    ("hub:https://host/a%2e%2e/iris", ["'%'"]),
    ("hub:hf://a/b/iris", ["a/b", "hub:hf://USER/NAME"]),
    ("models/iris", ["hub:PLACE/NAME"]),
]


@pytest.mark.parametrize(("word", "parts"), BAD, ids=[word[:30] for word, _ in BAD])
def test_bad_addresses_are_refused_in_one_line(word, parts):
    with pytest.raises(KzooError) as caught:
        parse_hub_address(word)
    assert "\n" not in str(caught.value)
    assert_mentions(str(caught.value), *parts)


@pytest.mark.parametrize(
    "word",
    [
        "hub:https://ann:s3cret@host/models/iris",
        "hub:https://ann:s3/cret@host/iris",
        "hub:https://host/models?key=s3cret/iris",
        "hub:https://host/models#s3cret/iris",
    ],
)
def test_a_password_or_a_key_is_refused_and_not_repeated(word):
    with pytest.raises(KzooError) as caught:
        parse_hub_address(word)
    assert "s3" not in str(caught.value) and "cret" not in str(caught.value)
    assert_mentions(str(caught.value), "https://")


def test_places():
    assert str(parse_place("models/")) == "models"
    assert str(parse_place("hub:https://h.org/a/")) == "https://h.org/a"
    assert parse_place("https://h.org/a").url("iris", "1", "a b.txt") == (
        "https://h.org/a/iris/1/a%20b.txt"
    )
    with pytest.raises(KzooError, match="folder"):
        parse_place(" ")


def test_a_folder_or_another_object_is_no_address(tmp_path):
    assert not any(map(is_hub_address, ["./hub:models/iris", "iris", Path("hub:a/b"), 3, None]))
    assert is_hub_address("hub:a/b")


def test_a_path_of_the_cache_knows_its_address_also_in_another_process(tmp_path):
    address = parse_hub_address("hub:models/iris@3")
    path = pickle.loads(pickle.dumps(hub_path(tmp_path, address, "ab")))
    assert isinstance(path, HubPath) and path == tmp_path
    assert (path.address, path.sha256) == (address, "ab")
    assert (path / "kzoo.json").address is None
