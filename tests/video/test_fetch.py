"""A video at an http address is fetched once, whole, bounded, and only where that is asked for."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.helpers.odd import COUNT, h264, level
from tests.helpers.web import Page, Site, serving
from vidcam.errors import MediaError, OutputError
from vidcam.video import fetch as fetching
from vidcam.video import open_video
from vidcam.video.fetch import fetch, require_reachable
from vidcam.video.source import check_source

HTML = b"\n  <!DOCTYPE html><html><body>a player</body></html>"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = h264(tmp_path / "served.mp4").read_bytes()
    pages = {
        "/clips/video.mp4": Page(content),
        "/a%20clip.mp4?token=a/b.c": Page(content),
        "/no-length": Page(content, headers={"Content-Length": ""}),
        "/no-head.mp4": Page(content, head_code=405),
        "/moved": Page(code=302, headers={"Location": "/clips/video.mp4"}),
        "/round": Page(code=302, headers={"Location": "/round"}),
        "/ftp": Page(code=302, headers={"Location": "ftp://127.0.0.1/a.mp4"}),
        "/file": Page(code=302, headers={"Location": "file:///etc/passwd"}),
        "/page": Page(HTML, kind="text/html; charset=utf-8"),
        "/page.mp4": Page(HTML),
        "/text.mp4": Page(b"no video"),
        "/live.m3u8": Page(b"#EXTM3U"),
        "/live": Page(b"#EXTM3U", kind="application/vnd.apple.mpegurl"),
        "/empty.mp4": Page(b""),
        "/short.mp4": Page(content, headers={"Content-Length": str(2 * len(content))}),
        "/secret.mp4": Page(code=403),
        "/gone.mp4": Page(code=410),
        "/broken.mp4": Page(code=500),
        "/long.mp4": Page(bytes(3000)),
        "/endless": Page(bytes(3000), headers={"Content-Length": ""}),
    }
    with serving(pages) as running:
        yield running


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize("path", ["/clips/video.mp4", "/a clip.mp4?token=a/b.c", "/no-length", "/moved"])
def test_it_is_fetched_once_and_deleted_in_the_end(path: str, site: Site, temporary: Path) -> None:
    address, steps = f"{site.address}{path}", []
    with open_video(address, fetch=True, progress=lambda *step: steps.append(step)) as reader:
        (copy,) = reader.info.files
        assert copy.is_relative_to(temporary)
        assert (reader.info.path, reader.info.is_local, reader.info.has_name) == (address, False, True)
        found = [float(frame.mean()) for _, frame in reader.frames()]
        size = copy.stat().st_size
    np.testing.assert_allclose(found, [level(index) for index in range(COUNT)], atol=2)
    assert not list(temporary.iterdir())
    assert site.count("GET") == (2 if path == "/moved" else 1)
    assert steps[-1][1:] == (size, None if path == "/no-length" else size)
    assert steps[-1][0] == f"fetching {path.rpartition('/')[2] if '?' not in path else 'a clip.mp4'}"


BAD = {
    "/nothing.mp4": r"/nothing\.mp4' does not exist \(404 Not Found\); check the address",
    "/gone.mp4": r"does not exist \(410 Gone\)",
    "/secret.mp4": r"cannot be fetched \(403 Forbidden\); download it yourself and pass the file",
    "/broken.mp4": r"cannot be fetched \(500 ",
    "/round": r"cannot be fetched \(302 ",
    "/ftp": "cannot be reached .*unknown url type: ftp",
    "/file": "cannot be fetched .*302",
    "/page": "is a web page, not a video file; pass the address of the video file itself",
    "/page.mp4": "is a web page, not a video file",
    "/text.mp4": "cannot be read as video",
    "/live.m3u8": r"is a playlist, not a video file; record it: ffmpeg -i http://127.*m3u8 -t 60 -c copy clip\.mp4",
    "/live": "is a playlist, not a video file",
    "/empty.mp4": "is empty; expected a video file",
    "/short.mp4": r"the connection broke after .* MB \(it ended early\); run again",
}


@pytest.mark.parametrize("path", BAD)
def test_what_cannot_be_fetched_is_one_sentence(path: str, site: Site, temporary: Path) -> None:
    with pytest.raises(MediaError, match=BAD[path]) as caught:
        open_video(f"{site.address}{path}", fetch=True)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(site.address) == (2 if "playlist" in BAD[path] else 1)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("path", ["/long.mp4", "/endless"])
def test_the_size_is_bounded(path: str, site: Site, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"is larger than 0\.0 MB; download it yourself and pass the file"):
        fetch(f"{site.address}{path}", tmp_path / "copy", most_bytes=2999)
    fetch(f"{site.address}{path}", tmp_path / "copy", most_bytes=3000)
    assert (tmp_path / "copy").read_bytes() == bytes(3000)


def test_the_size_is_known_before_anything_is_fetched(site: Site, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"/long\.mp4' has 0\.0 MB and is larger than"):
        require_reachable(f"{site.address}/long.mp4", most_bytes=2999)
    assert site.requests == [("HEAD", "/long.mp4")]


@pytest.mark.parametrize("path", ["/nothing.mp4", "/gone.mp4", "/page", "/live"])
def test_what_can_be_refused_before_fetching(path: str, site: Site) -> None:
    with pytest.raises(MediaError, match=BAD[path]) as caught:
        check_source(f"{site.address}{path}")
    assert str(caught.value).count(site.address) == (2 if "playlist" in BAD[path] else 1)
    assert site.count("GET") == 0


@pytest.mark.parametrize("path", ["/clips/video.mp4", "/no-head.mp4", "/secret.mp4", "/moved"])
def test_what_is_only_known_when_it_is_fetched(path: str, site: Site) -> None:
    check_source(f"{site.address}{path}")
    assert site.count("GET") == 0


def test_nothing_is_fetched_unless_asked_for(site: Site) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        open_video(f"{site.address}/clips/video.mp4")
    assert site.requests == []


def test_an_address_that_became_a_path(site: Site) -> None:
    address = f"{site.address}/clips/video.mp4"
    with open_video(Path(address), fetch=True) as reader:
        assert reader.info.path == address


def test_servers_that_are_not_there(temporary: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for ask in (check_source, lambda address: open_video(address, fetch=True)):
        with pytest.raises(MediaError, match=r"cannot be reached \(Connection refused\); check the address"):
            ask(f"http://127.0.0.1:{port}/a.mp4")
        with pytest.raises(MediaError, match="cannot be reached"):
            ask("http://127.0.0.1:port/a.mp4")
        with pytest.raises(MediaError, match="cannot be reached"):
            ask("http:///a.mp4")
    assert not list(temporary.iterdir())


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.mp4"
        with pytest.raises(MediaError, match=r"cannot be reached \(no answer for 0\.05 s\)"):
            open_video(address, fetch=True)


def test_a_server_that_refuses_questions_may_still_be_fetched_from() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.close()

        thread = Thread(target=hang_up)
        thread.start()
        check_source(f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4")
        thread.join()


def test_an_interruption_leaves_no_copy(site: Site, temporary: Path) -> None:
    def interrupt(*_: object) -> None:
        assert len(list(temporary.iterdir())) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_video(f"{site.address}/clips/video.mp4", fetch=True, progress=interrupt)
    assert not list(temporary.iterdir())


def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=rf"cannot be written to '{re.escape(str(tmp_path / 'no'))}'.*set TMPDIR"):
        fetch(f"{site.address}/clips/video.mp4", tmp_path / "no" / "copy")


LIVE = ["rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "RTSP", "mms"]


@pytest.mark.parametrize("scheme", LIVE)
def test_live_streams_are_refused_with_the_command_that_records_them(scheme: str) -> None:
    address = f"{scheme}://camera.local:554/1?a=b&c"
    sentence = rf"is a live stream; record a part of it: ffmpeg -i '{re.escape(address)}' -t 60 -c copy clip\.mp4"
    for ask in (check_source, open_video, lambda source: open_video(Path(source))):
        with pytest.raises(MediaError, match=sentence):
            ask(address)
