"""Host names of a server that listens on this machine alone: browsers send them, and the site of their page."""

import json

import pytest
from hand_made import write_digits
from messages import assert_mentions
from served import serving

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
PATHS = ("/v1/models/m", "/", "/v2/health/live", "/metrics")
OTHERS = (
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.0.1",
    "[::2]",
    "user@evil.example",
    "localhost@evil.example",
    "evil.example#localhost",
    "[",
    "",
    "example.org",
)
LOCAL = (
    "localhost",
    "localhost:9",
    "LOCALHOST",
    "127.0.0.1",
    "127.0.0.1:80",
    "[::1]",
    "[::1]:8000",
)
X = [[[[1.0]] * 8] * 8]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("names") / "m")


@pytest.fixture(scope="module")
def server(digits, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server"), digits, env={"KZOO_TOKEN": ""}) as running:
        yield running


def status(server, path="/v1/models/m", **header):
    """Return the status of a response, which has its reason in a line where it is a refusal."""
    response = server.get(path, headers={"Host": f"127.0.0.1:{server.port}"} | header)
    if response.status_code != 200:
        reason = response.json()["error"]
        assert_mentions(reason, *header, "localhost", "127.0.0.1", "--allow-host NAME")
        assert len(reason.splitlines()) == 1
    return response.status_code


@pytest.mark.parametrize("name", OTHERS)
def test_another_name_is_refused(server, name):
    assert [status(server, path, Host=name) for path in PATHS] == [403] * len(PATHS)
    response = server.post(
        "/v1/models/m:predict", json.dumps({"instances": X}), headers={"Host": name}
    )
    assert response.status_code == 403


@pytest.mark.parametrize("name", LOCAL)
def test_a_name_of_this_machine_is_answered(server, name):
    assert [status(server, path, Host=name) for path in PATHS] == [200] * len(PATHS)
    assert status(server, Origin=f"http://{name}") == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://evil.example:8000", "null", "localhost", ""]
)
def test_a_page_of_another_site_is_refused(server, origin):
    assert status(server, Origin=origin) == 403
    body = json.dumps({"instances": X})
    header = {"Origin": origin, "Content-Type": "text/plain"}
    assert server.post("/v1/models/m:predict", body, headers=header).status_code == 403


def test_a_program_that_sends_no_name_is_answered(server):
    with server.connect() as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_two_names_are_refused(server):
    with server.connect() as connection:
        connection.sendall(
            b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n"
        )
        assert connection.recv(65536)[9:10] == b"4"


def test_the_name_of_a_proxy_is_allowed_by_an_option(digits, tmp_path):
    words = ("--allow-host", "Example.org", "--allow-host", "other.example")
    with serving(tmp_path, digits, *words, env={"KZOO_TOKEN": ""}) as server:
        assert status(server, Host="example.org", Origin="https://example.org") == 200
        assert status(server, Host="other.example:80") == status(server, Host="localhost") == 200
        assert (
            status(server, Host="evil.example")
            == status(server, Origin="http://evil.example")
            == 403
        )


def test_with_a_token_any_name_is_answered(digits, tmp_path):
    with serving(tmp_path, digits, env={"KZOO_TOKEN": "a-token-of-tests"}) as server:
        assert status(server, Host="example.org", Authorization="Bearer a-token-of-tests") == 200
