"""Live: the page of a run on loopback while it is measured."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

_COST: Final = 20
_WATCHED_S: Final = 10.0
_LAST_S: Final = 4.0
_FIRST_S: Final = 300.0
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class LivePage:
    """Serves the newest page of a run, on loopback and to whoever knows its address.

    The page is made by whoever measures, between two trials: no measurement runs beside it. It is
    made only while somebody looks, and so seldom that it takes a twentieth of the time.

    Examples:
        >>> with LivePage() as live:
        ...     live.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(16)
        self._page, self._trials = "", 0
        self._is_there = threading.Event()
        self._seen_at = -_WATCHED_S
        self._next_at = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the page is; who does not know its token is not answered."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._token}/"

    @property
    def hosts(self) -> set[str]:
        """What a browser on this machine calls it: no other site's name leads here."""
        port = self._server.server_address[1]
        return {f"127.0.0.1:{port}", f"localhost:{port}"}

    def offer(self, make: Callable[[], tuple[int, str]], *, is_last: bool = False) -> None:
        """Make the page if somebody looks and it is time.

        Args:
            make: Says how many trials there are, and what the page shows of them.
            is_last: Whether no further one comes, so that it is time in any case.
        """
        began = time.monotonic()
        is_watched = began - self._seen_at < _WATCHED_S
        if not is_watched or (began < self._next_at and not is_last):
            return
        self._trials, self._page = make()
        self._is_there.set()
        self._next_at = time.monotonic() + _COST * (time.monotonic() - began)

    def close(self) -> None:
        """End; who is looking gets the last page before."""
        if time.monotonic() - self._seen_at < _WATCHED_S and self._is_there.is_set():
            time.sleep(_LAST_S)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Status, type and text for a path."""
        token, _, name = path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return HTTPStatus.NOT_FOUND, "text/plain", "not found\n"
        self._seen_at = time.monotonic()
        if name == "trials":
            return HTTPStatus.OK, "text/plain", str(self._trials)
        if name:
            return HTTPStatus.NOT_FOUND, "text/plain", "not found\n"
        if not self._is_there.wait(_FIRST_S):
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", "nothing was measured yet\n"
        return HTTPStatus.OK, "text/html", self._page


def _handler_of(live: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, text = HTTPStatus.FORBIDDEN, "text/plain", "not from here\n"
            if self.headers.get("Host") in live.hosts:
                status, kind, text = live.answer(self.path)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing: the terminal is the search's."""

    return Handler
