"""`vidcam study serve`: give the page to raters and keep their answers, on this machine or in a lab's network.

The address has a secret token; without it, every answer is 404. A page may send small JSON documents at a limited rate.
Only answers to questions of its form are kept.
"""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass, field
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import BoundedSemaphore, Lock
from typing import Any

from vidcam.errors import InputError
from vidcam.pipelines.trust.answers import AnswerSheet, answer_problem
from vidcam.pipelines.trust.storage import AnswerStore
from vidcam.system.json_files import from_json, to_json

MOST_BYTES = 64 << 10
"""Largest document that is read."""

MOST_AT_ONCE = 64
"""Connections that are open at once; others wait."""

BURST, PER_SECOND = 60.0, 10.0
"""Requests of one address: so many at once, then so many a second."""

PATIENCE_SECONDS = 10.0
"""A connection that says nothing for so long is closed."""

_RATER = re.compile(r"[a-z0-9]{4,32}")
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>')


@dataclass(frozen=True, slots=True)
class _ServedItem:
    kind: str


@dataclass(frozen=True, slots=True)
class _ServedStudy:
    """What the server reads of the page's data."""

    study: str
    items: tuple[_ServedItem, ...]
    forms: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _FormRequest:
    study: str
    rater: str


@dataclass(frozen=True, slots=True)
class ServedPage:
    """The page as the server gives it: it may connect to the server, and knows that there is one.

    Attributes:
        content: bytes of the page.
        study: name of the study.
        kinds: kind of each question.
        forms: see `design.Design`.
    """

    content: bytes
    study: str
    kinds: tuple[str, ...]
    forms: tuple[tuple[int, ...], ...]


def served_page(path: Path) -> ServedPage:
    """Read the page of a study.

    Raises:
        InputError: the file cannot be read, or is no page of `vidcam study make`.
    """
    try:
        text = path.read_text("utf-8")
        data = _DATA.search(text)
        study = from_json(data[1] if data else "", _ServedStudy)
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} is no page of `vidcam study make` ({str(exc)[:60]})") from exc
    text = text.replace("default-src &#x27;none&#x27;", "default-src &#x27;none&#x27;; connect-src &#x27;self&#x27;", 1)
    text = text.replace('<html lang="en">', '<html lang="en" data-served="true">', 1)
    return ServedPage(text.encode(), study.study, tuple(item.kind for item in study.items), study.forms)


@dataclass(slots=True)
class RateLimit:
    """Counts the requests of each address."""

    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def allows(self, address: str, now: float) -> bool:
        """Count a request; returns whether it is within the limit."""
        with self._lock:
            if len(self._left) > 10_000:
                self._left.clear()
            left, since = self._left.get(address, (BURST, now))
            left = min(BURST, left + (now - since) * PER_SECOND)
            self._left[address] = (left - 1.0 if left >= 1.0 else left, now)
            return left >= 1.0


class StudyServer(ThreadingHTTPServer):
    """The server; `serve_forever` runs it.

    Args:
        page: the page.
        store: takes the answers.
        host: address to listen on.
        port: 0 for any that is free.

    Raises:
        InputError: the address cannot be used.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, page: ServedPage, store: AnswerStore, *, host: str, port: int) -> None:
        self.page, self.store, self.rate = page, store, RateLimit()
        self._places = BoundedSemaphore(MOST_AT_ONCE)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as exc:
            raise InputError(f"--host {host} --port {port} cannot be used ({exc}); choose another port") from exc

    @property
    def address(self) -> str:
        """The address for raters."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/{self.store.token}/"

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Answer in a thread of its own, as soon as there is a place."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Give the place back at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a connection that breaks."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: StudyServer
    server_version, sys_version = "vidcam", ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Give the page."""
        if (path := self._path()) is None:
            return
        if path == "":
            self._send(200, self.server.page.content, "text/html; charset=utf-8")
        else:
            self._refuse(404, "nothing is here")

    def do_POST(self) -> None:
        """Take answers, or give a new rater a form."""
        if (path := self._path()) is None:
            return
        actions = {"form": self._give_form, "answers": self._take_answers}
        length = self.headers.get("Content-Length", "")
        if path not in actions:
            self._refuse(404, "nothing is here")
        elif not length.isdecimal():
            self._refuse(411, "the length is missing")
        elif len(length) > 9 or int(length) > MOST_BYTES:
            self._refuse(413, f"at most {MOST_BYTES} bytes are read")
        else:
            try:
                actions[path](self.rfile.read(int(length)))
            except ValueError:  # no JSON, or other fields
                self._refuse(400, "this is no answer")
            except sqlite3.Error as exc:  # such as a full disk; the page sends it again
                self._refuse(503, f"it cannot be saved ({exc})")

    def _path(self) -> str | None:
        """Return what stands behind the token; None if the request was refused."""
        if not self.server.rate.allows(self.client_address[0], time.monotonic()):
            self._refuse(429, "too many requests; wait a moment")
            return None
        token, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not compare_digest(token.encode(), self.server.store.token.encode()):
            self._refuse(404, "nothing is here")
            return None
        return rest

    def _give_form(self, body: bytes) -> None:
        request, page = from_json(body, _FormRequest), self.server.page
        if request.study != page.study or not _RATER.fullmatch(request.rater):
            raise ValueError(request.study)
        form = self.server.store.form_of(request.rater, len(page.forms))
        if form is None:
            self._refuse(503, "the study is full")
        else:
            self._send(200, to_json({"form": form}, indent=0).encode())

    def _take_answers(self, body: bytes) -> None:
        sheet, page = from_json(body, AnswerSheet), self.server.page
        if sheet.study != page.study or not _RATER.fullmatch(sheet.rater) or not 0 <= sheet.form < len(page.forms):
            raise ValueError(sheet.study)
        if any(answer_problem(row, page.forms[sheet.form], page.kinds) for row in sheet.answers):
            raise ValueError(sheet.rater)
        rows = [(row.screen, row.answer, row.seconds) for row in sheet.answers]
        if self.server.store.save(sheet.rater, sheet.form, rows):
            self._send(200, to_json({"saved": len(rows)}, indent=0).encode())
        else:
            self._refuse(409, "this rater has another form")

    def _refuse(self, code: int, reason: str) -> None:
        self.close_connection = True
        self._send(code, to_json({"error": reason}, indent=0).encode())

    def _send(self, code: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep no addresses."""
