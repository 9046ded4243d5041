"""Fetch a video from an http or https address, once, into a file of bounded size."""

from __future__ import annotations

import re
import urllib.request
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request

from vidcam import __version__
from vidcam.errors import MediaError, OutputError
from vidcam.system.progress import Progress, silent
from vidcam.video.addresses import LIMIT_VARIABLE, recording
from vidcam.video.addresses import most_bytes as usual_limit

TIMEOUT_SECONDS = 30.0

_RESERVED = "%/:=&?~#+!$,;'@()*[]"
_PLAYLISTS = (".m3u8", ".mpd")
_PIECE_BYTES = 1 << 18
_GONE = (404, 410)


def require_reachable(address: str, *, most_bytes: int | None = None) -> None:
    """Ask a server for a file's type and length, without fetching it; `most_bytes` as that of `fetch`.

    A server that does not answer HEAD requests is not refused: fetching will show whether the file is there.

    Raises:
        MediaError: there is no such file or server, or the file is a web page, a playlist or too large.
    """
    limit = usual_limit() if most_bytes is None else most_bytes
    try:
        answer = _answer(address, method="HEAD")
    except HTTPError as exc:
        with exc:
            if exc.code in _GONE:
                raise _refused(address, exc) from exc
    except (URLError, InvalidURL, ValueError) as exc:
        raise _unreachable(address, exc) from exc
    except (OSError, HTTPException):  # the server does not answer HEAD requests
        return
    else:
        with answer:
            _require_video(address, answer, limit)


def fetch(address: str, path: Path, *, most_bytes: int | None = None, progress: Progress = silent) -> None:
    """Fetch an address into a file; redirects to other protocols than http and https are refused.

    Args:
        address: http or https.
        path: where the file goes.
        most_bytes: a longer file is refused; None: see `addresses.most_bytes`.
        progress: called with the number of bytes.

    Raises:
        MediaError: the address cannot be read, or holds a web page, a playlist or too many bytes.
        OutputError: the file cannot be written.
    """
    limit = usual_limit() if most_bytes is None else most_bytes
    try:
        answer = _answer(address, method="GET")
    except HTTPError as exc:
        with exc:
            raise _refused(address, exc) from exc
    except (OSError, HTTPException, ValueError) as exc:
        raise _unreachable(address, exc) from exc
    with answer:
        _require_video(address, answer, limit)
        try:
            with path.open("wb") as file:
                _copy(address, answer, file, limit, progress)
        except OSError as exc:
            raise OutputError(
                f"{address!r} cannot be written to {str(path.parent)!r} ({exc.strerror}); set TMPDIR to another folder"
            ) from exc


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects; a HEAD request stays a HEAD request."""

    def redirect_request(  # noqa: PLR0917 - as the standard library calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.method = req.get_method()
        return following


def _answer(address: str, *, method: str) -> HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    headers = {"User-Agent": f"vidcam/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    request = Request(quote(address, safe=_RESERVED), headers=headers, method=method)  # noqa: S310
    answer: HTTPResponse = opener.open(request, timeout=TIMEOUT_SECONDS)
    return answer


def _require_video(address: str, answer: HTTPResponse, most_bytes: int) -> None:
    kind = answer.headers.get_content_type()
    if "mpegurl" in kind or "dash+xml" in kind or urlsplit(address).path.lower().endswith(_PLAYLISTS):
        raise MediaError(f"{address!r} is a playlist, not a video file; record it: {recording(address)}")
    if kind in {"text/html", "application/xhtml+xml"}:
        raise _web_page(address)
    if (length := _length(answer)) is not None and length > most_bytes:
        raise _too_large(address, most_bytes, f" has {_megabytes(length)} MB and")


def _copy(address: str, answer: HTTPResponse, file: BinaryIO, most_bytes: int, progress: Progress) -> None:
    total, done = _length(answer), 0
    stage = f"fetching {unquote(Path(urlsplit(address).path).name) or 'video'}"
    while piece := _piece(address, answer, done, total):
        if not done and piece.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
            raise _web_page(address)
        done += len(piece)
        if done > most_bytes:
            raise _too_large(address, most_bytes)
        file.write(piece)
        progress(stage, done, total)
    if total is not None and done < total:
        raise _broken(address, done, total, "it ended early")
    if not done:
        raise MediaError(f"{address!r} is empty; expected a video file; check the address")


def _piece(address: str, answer: HTTPResponse, done: int, total: int | None) -> bytes:
    try:
        return answer.read1(_PIECE_BYTES)
    except (OSError, HTTPException, ValueError) as exc:
        raise _broken(address, done, total, _reason(exc)) from exc


def _length(answer: HTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _refused(address: str, error: HTTPError) -> MediaError:
    reason = f"{error.code} {str(error.reason).partition(chr(10))[0]}".rstrip(". ")
    if error.code in _GONE:
        return MediaError(f"{address!r} does not exist ({reason}); check the address")
    return MediaError(f"{address!r} cannot be fetched ({reason}); download it yourself and pass the file")


def _unreachable(address: str, error: Exception) -> MediaError:
    return MediaError(f"{address!r} cannot be reached ({_reason(error)}); check the address and the network")


def _broken(address: str, done: int, total: int | None, reason: str) -> MediaError:
    whole = "" if total is None else f" of {_megabytes(total)}"
    return MediaError(f"{address!r}: the connection broke after {_megabytes(done)}{whole} MB ({reason}); run again")


def _web_page(address: str) -> MediaError:
    return MediaError(f"{address!r} is a web page, not a video file; pass the address of the video file itself")


def _too_large(address: str, most_bytes: int, length: str = "") -> MediaError:
    return MediaError(
        f"{address!r}{length} is larger than {_megabytes(most_bytes)} MB; download it yourself and pass the file, or "
        f"raise {LIMIT_VARIABLE}"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}" if count < 1e7 else f"{count / 1e6:,.0f}"


def _reason(error: BaseException) -> str:
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT_SECONDS:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
