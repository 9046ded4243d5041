"""A web server on this machine that answers as it is told, and notes what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True, slots=True)
class Page:
    """What stands at an address.

    Attributes:
        body: sent as it is.
        kind: its content type.
        code: of the answer.
        headers: further ones; 'Content-Length' replaces the true one, '' leaves it out.
        head_code: of the answer to a HEAD request; None: as `code`.
    """

    body: bytes = b""
    kind: str = "video/mp4"
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    head_code: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A running server.

    Attributes:
        address: 'http://127.0.0.1:PORT'.
        requests: (method, path) in their order.
    """

    address: str
    requests: list[tuple[str, str]]

    def count(self, method: str) -> int:
        """How many requests of a method came."""
        return sum(asked == method for asked, _ in self.requests)


@contextmanager
def serving(pages: Mapping[str, Page]) -> Iterator[Site]:
    """Serve pages by their path, '/a.mp4'; anything else is 404."""
    requests: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            requests.append(("HEAD", self.path))
            page = pages.get(self.path, Page(code=404))
            self._begin(page, page.code if page.head_code is None else page.head_code)

        def do_GET(self) -> None:
            requests.append(("GET", self.path))
            page = pages.get(self.path, Page(code=404))
            self._begin(page, page.code)
            self.wfile.write(page.body)

        def _begin(self, page: Page, code: int) -> None:
            self.send_response(code)
            headers = {"Content-Type": page.kind, "Content-Length": str(len(page.body)), **page.headers}
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}", requests)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
