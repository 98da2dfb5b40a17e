"""The server itself, asked without a browser."""

import http.client
import re
import signal
import socket
from urllib.parse import urlsplit

import pytest

import phasekit as pk
from phasekit.cli import main

from .serving import LIMIT, make_root, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = make_root(tmp_path_factory.mktemp("app"))
    with serve(root, "--token", "--max-upload", "0.3MB") as (address, process):
        yield urlsplit(address), process, root


def ask(server, path, *, method="GET", body=None, with_token=True, **headers):
    """Status, headers and text of an answer."""
    address = server[0]
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    cookie = {"Cookie": f"phasekit_{address.port}={address.query.removeprefix('token=')}"} if with_token else {}
    connection.request(method, path, body=body, headers={**cookie, **headers})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, answer.headers, text


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/static/js/bokeh.min.js", "/upload?key=x", "/?token=wrong", "/autoload.js"]
)
def test_without_the_token_nothing_is_served(server, path):
    status, _, text = ask(server, path, with_token=False)
    assert status == 403
    assert "address that phasekit app printed" in text


def test_the_token_goes_from_the_address_into_a_cookie(server):
    status, headers, _ = ask(server, f"/?{server[0].query}&file=a%2Fb.nc", with_token=False)
    assert status == 302
    assert headers["Location"] == "/?file=a%2Fb.nc"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]


def test_the_page_has_no_address_of_another_machine(server):
    status, headers, text = ask(server, "/")
    assert status == 200
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_other_names_and_sites_are_refused(server, headers):
    assert ask(server, "/", **headers)[0] == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert ask(server, "/ws", **upgrade, **{"Sec-WebSocket-Key": "x" * 22 + "=="}, **headers)[0] == 403


def test_an_upload_without_an_open_page_is_refused(server):
    status, _, text = ask(server, "/upload?key=guess&name=a.h5", method="POST", body=b"1234")
    assert status == 403
    assert "no open page" in text


def test_other_requests_may_send_little(server):
    with socket.create_connection((server[0].hostname, server[0].port), timeout=20) as raw:
        cookie = f"phasekit_{server[0].port}={server[0].query.removeprefix('token=')}"
        lines = ["POST / HTTP/1.1", f"Host: 127.0.0.1:{server[0].port}", f"Cookie: {cookie}"]
        raw.sendall(("\r\n".join([*lines, f"Content-Length: {LIMIT}", "", ""])).encode())
        # Answered although not one byte of the body was sent.
        assert raw.recv(100).startswith(b"HTTP/1.1 4")


def test_ctrl_c_ends_quietly_and_removes_the_uploads(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with serve(root) as (address, process):
        assert "token" not in address
        assert list(tmp_path.glob("phasekit-app-*"))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert (tmp_path / "app.log").read_text(encoding="utf-8") == ""
    assert not list(tmp_path.glob("phasekit-app-*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.nc"], "no such file"),
        (["--root", "none"], "no such folder"),
        (["--max-upload", "many"], "needs a number with its unit"),
        (["../x.nc", "--root", "."], "data root"),
        (["--host", "203.0.113.1"], "no address of this machine"),
    ],
)
def test_a_wrong_command_is_told_at_once(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path.parent / "x.nc").touch()
    assert main(["app", "--no-browser", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(server, capsys, tmp_path):
    words = ["app", "--no-browser", "--port", str(server[0].port), "--root", str(tmp_path)]
    assert main(words) == 2
    assert "is taken" in capsys.readouterr().err


def test_the_help_has_an_example_that_can_be_pasted(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["app", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    made, opened = [line.split() for line in text.splitlines() if line.startswith("  phasekit ")]
    # The sample itself is made by the tests of `phasekit batch --help`.
    assert made[1:3] == ["samples", "make"]
    assert made[3] in pk.samples.names()
    assert opened[1:] == ["app", f"{made[5]}/{made[3]}.nc"]
