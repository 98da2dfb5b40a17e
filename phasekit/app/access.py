"""Who may ask the server: requests for its own address, and those with the token where one is needed."""

import ipaddress
import secrets
import socket
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Asked(NamedTuple):
    """What a request says about itself; texts are empty where a header is missing."""

    host: str
    origin: str = ""
    cookie: str = ""
    token: str = ""  # of the address


class Answer(NamedTuple):
    """Whether a request is served; 302 sets the cookie and takes the token out of the address."""

    status: int
    text: str = ""


class Access:
    """Names under which the server may be asked, and its token.

    Parameters
    ----------
    host
        Address that the server is bound to.
    origins
        Further names, such as that of a proxy.
    needs_token
        Whether a token is needed on this machine, too; elsewhere it always is.
    """

    def __init__(self, host: str, *, origins: Iterable[str] = (), needs_token: bool = False) -> None:
        self.names = frozenset(name.lower() for name in (*list_names(host), *origins))
        self.token = secrets.token_urlsafe(32) if needs_token or not is_loopback(host) else ""

    def check(self, asked: Asked) -> Answer:
        """Whether a request is served."""
        # A page of another site may ask this machine under a name of its own (DNS rebinding).
        if read_name(asked.host) not in self.names:
            return Answer(403, "This name of the server is not known. Start phasekit app with --origin and the name.")
        # Browsers send the origin with each WebSocket and each upload; pages of other sites are refused by it.
        if asked.origin and urlsplit(asked.origin).netloc.lower() != asked.host.lower():
            return Answer(403, "Pages of other sites may not ask phasekit app.")
        if not self.token or self._is_token(asked.cookie):
            return Answer(200)
        if self._is_token(asked.token):
            return Answer(302)
        return Answer(403, "This page needs its token. Open the whole address that phasekit app printed.")

    def _is_token(self, text: str) -> bool:
        # In constant time: the time of an answer must not tell how many letters are right.
        return bool(text) and secrets.compare_digest(text.encode("utf-8", "replace"), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def list_names(host: str) -> list[str]:
    """Names under which a browser asks a server that is bound to an address."""
    # Under whichever of these names a browser asks, it is this machine.
    if is_loopback(host):
        return [*_LOOPBACK, host]
    names = [host, socket.gethostname()]
    if host in ("", "0.0.0.0", "::"):
        import psutil  # type: ignore[import-untyped]

        # Asked of this machine, not of a name server.
        cards = psutil.net_if_addrs().values()
        names += [str(one.address).split("%", 1)[0] for card in cards for one in card]
        names += _LOOPBACK
    return names


def read_name(host: str) -> str:
    """Name in a ``Host`` header, without its port.

    Examples
    --------
    >>> read_name("localhost:5006"), read_name("[::1]:5006"), read_name("Example")
    ('localhost', '::1', 'example')
    """
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # a broken IPv6 address
        return ""
