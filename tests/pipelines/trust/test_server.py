"""The server: what it gives and keeps, what it refuses, and that a killed one has lost nothing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest

from tests.helpers.studies import answer_file, prefers
from vidcam.errors import InputError
from vidcam.pipelines.trust.answers import collect_answers
from vidcam.pipelines.trust.content import StudyKey
from vidcam.pipelines.trust.make import WrittenStudy
from vidcam.pipelines.trust.server import BURST, MOST_BYTES, PER_SECOND, RateLimit, StudyServer, served_page
from vidcam.pipelines.trust.storage import AnswerStore

Reply = tuple[int, bytes]


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    """Send a request to a server of this machine."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content


def post(port: int, path: str, document: Any) -> Reply:
    return ask(port, "POST", path, json.dumps(document).encode())


@contextmanager
def serving(written: WrittenStudy, database: Path) -> Iterator[StudyServer]:
    page = served_page(written.path)
    with AnswerStore(database, page.study) as store, StudyServer(page, store, host="127.0.0.1", port=0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(written: WrittenStudy, tmp_path: Path) -> Iterator[StudyServer]:
    """A running server with an empty database."""
    with serving(written, tmp_path / "answers.sqlite") as running:
        yield running


def test_the_page_may_talk_to_its_server_alone(server: StudyServer) -> None:
    status, content = ask(server.server_port, "GET", f"/{server.store.token}/")
    text = content.decode()
    assert status == 200
    assert "connect-src &#x27;self&#x27;" in text
    assert '<html lang="en" data-served="true">' in text
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.store.token}/"


def test_raters_get_the_forms_in_turn_and_keep_theirs(server: StudyServer) -> None:
    path, study = f"/{server.store.token}/form", server.page.study
    forms = [
        json.loads(post(server.server_port, path, {"study": study, "rater": f"rater{number}"})[1])["form"]
        for number in range(7)
    ]
    assert forms == [0, 1, 2, 3, 4, 5, 0]
    assert json.loads(post(server.server_port, path, {"study": study, "rater": "rater3"})[1]) == {"form": 3}


def test_answers_are_kept_and_can_be_corrected(
    server: StudyServer, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    sheet = json.loads(answer_file(tmp_path / "files", written, "rater1", 0, prefers(key, "gradcam")).read_text())
    path = f"/{server.store.token}/answers"
    assert post(server.server_port, path, sheet) == (200, json.dumps({"saved": 9}, separators=(",", ":")).encode())
    changed = {**sheet["answers"][0], "answer": "no"}
    assert post(server.server_port, path, {**sheet, "answers": [changed]})[0] == 200
    (collected,) = collect_answers(tmp_path, key).sheets[:1]
    ((rater, form, rows),) = server.store.sheets()
    assert (rater, form, len(rows)) == ("rater1", 0, 9)
    assert rows[0][:2] == (0, "no")
    assert collected.rater == "rater1"


def test_what_is_refused(server: StudyServer, key: StudyKey) -> None:
    port, home, study = server.server_port, f"/{server.store.token}", key.study
    sheet = {"study": study, "rater": "rater1", "form": 0, "answers": [{"screen": 0, "answer": "yes", "seconds": 1.0}]}
    assert ask(port, "GET", "/")[0] == 404
    assert ask(port, "GET", "/wrong-token/")[0] == 404
    assert ask(port, "GET", f"{home}/../../etc/passwd")[0] == 404
    assert ask(port, "GET", f"{home}/study.key.json")[0] == 404
    assert post(port, "/wrong-token/answers", sheet)[0] == 404
    assert post(port, f"{home}/other", sheet)[0] == 404
    assert ask(port, "POST", f"{home}/answers", b"{")[0] == 400
    for change in ({"study": "x"}, {"rater": "A name!"}, {"form": 99}, {"answers": [{"screen": 0}]}):
        assert post(port, f"{home}/answers", {**sheet, **change})[0] == 400
    for answer in ({"screen": 0, "answer": "left", "seconds": 1}, {"screen": 99, "answer": "yes", "seconds": 1}):
        assert post(port, f"{home}/answers", {**sheet, "answers": [answer]})[0] == 400
    assert ask(port, "POST", f"{home}/answers", b"x" * (MOST_BYTES + 1))[0] == 413
    assert ask(port, "PUT", f"{home}/answers", b"{}")[0] == 501
    assert post(port, f"{home}/answers", sheet)[0] == 200
    assert post(port, f"{home}/answers", {**sheet, "form": 1})[0] == 409
    assert len(server.store.sheets()) == 1


def test_a_length_that_is_missing_is_refused(server: StudyServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(f"POST /{server.store.token}/answers HTTP/1.0\r\n\r\n".encode())
        assert b" 411 " in connection.recv(1000)


def test_too_many_requests_are_refused() -> None:
    limit = RateLimit()
    assert all(limit.allows("one", 0.0) for _ in range(int(BURST)))
    assert not limit.allows("one", 0.0)
    assert limit.allows("another", 0.0)
    assert sum(limit.allows("one", 1.0) for _ in range(50)) == PER_SECOND


def test_the_limit_is_applied(server: StudyServer) -> None:
    codes = {ask(server.server_port, "GET", "/")[0] for _ in range(int(BURST) + 30)}
    assert codes == {404, 429}


def test_a_database_is_for_one_study(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite", "one") as store:
        token = store.token
    with AnswerStore(tmp_path / "a.sqlite", "one") as store:
        assert store.token == token  # the address is the same after a restart
    with pytest.raises(InputError, match="is for study one, not two"):
        AnswerStore(tmp_path / "a.sqlite", "two")
    with pytest.raises(InputError, match="does not exist"):
        AnswerStore(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    with pytest.raises(InputError, match="no database of answers"):
        AnswerStore(tmp_path / "text.sqlite", "one")


def test_a_page_that_is_none_is_refused(tmp_path: Path, server: StudyServer) -> None:
    (tmp_path / "page.html").write_text("<html></html>")
    with pytest.raises(InputError, match="no page of"):
        served_page(tmp_path / "page.html")
    with pytest.raises(InputError, match="cannot be used"):
        StudyServer(server.page, server.store, host="127.0.0.1", port=server.server_port)


def started(written: WrittenStudy, database: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    """Start the command line's server; returns the process and its address."""
    command = [sys.executable, "-m", "vidcam", "study", "serve", str(written.path), "--answers", str(database)]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        return process, process.stdout.readline().strip()


def send_until_killed(
    process: subprocess.Popen[str], port: int, path: str, study: str, life: int
) -> set[tuple[str, int]]:
    """Send answers one by one, and kill the server in the middle of it; returns those that it confirmed."""
    confirmed: set[tuple[str, int]] = set()
    killer = Timer(0.4, process.kill)
    killer.start()
    for number in range(10_000):
        rater, screen = f"rater{life}x{number // 3}", number % 3
        row = {"screen": screen, "answer": "yes", "seconds": 1.0}
        try:
            if post(port, path, {"study": study, "rater": rater, "form": 0, "answers": [row]})[0] == 200:
                confirmed.add((rater, screen))
        except (OSError, HTTPException):  # also in the middle of its reply
            break
    killer.join()
    process.wait()
    return confirmed


@pytest.mark.slow
def test_nothing_is_lost_when_it_is_killed(written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    """The server is killed three times; all answers that it confirmed are there, and its address is the same."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    confirmed: set[tuple[str, int]] = set()
    process, address = started(written, tmp_path / "answers.sqlite", port)
    for life in range(3):
        path = f"{address.partition(str(port))[2]}answers"
        confirmed |= send_until_killed(process, port, path, key.study, life)
        process, again = started(written, tmp_path / "answers.sqlite", port)
        assert again == address
    process.send_signal(signal.SIGINT)
    process.wait(30)
    kept = {(sheet.rater, row.screen) for sheet in collect_answers(tmp_path, key).sheets for row in sheet.answers}
    assert len({rater[:6] for rater, _ in confirmed}) == 3
    assert confirmed <= kept
    assert len(kept - confirmed) <= 3  # kept, and killed before it was confirmed
