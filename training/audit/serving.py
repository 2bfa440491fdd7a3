"""The audit's page on this machine alone: `python -m training.audit serve` writes the file as a person decides.

It listens on 127.0.0.1 only, and answers only to the address that the command prints: its path begins with a random
token, which other programs and other pages in the browser don't know.
"""

import hashlib
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from training.common.command import TrainingError
from training.common.files import write_whole, writing
from training.data.rows.corrections import COLUMNS, parse_corrections, read_corrections

PAGE_NAME: Final = "suspects.html"
CORRECTIONS_NAME: Final = "corrections.csv"
"""What the page calls the file of its decisions."""
_HOST: Final = "127.0.0.1"
_LARGEST: Final = 32 * 2**20  # Bytes of a corrections file; CEDR's rows all together are 2 MB.
_EMPTY: Final = (",".join(COLUMNS) + "\r\n").encode()
_SECONDS: Final = 30.0


class AuditServer(ThreadingHTTPServer):
    """Serves one page and one corrections file.

    Args:
        audit: the directory that `training.audit suspects` wrote.
        corrections: the file to carry on, or to begin.
        port: 0 for any free one.

    Raises:
        TrainingError: there is no page, the corrections file is not as it should be, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, audit: Path, corrections: Path, port: int = 0) -> None:
        try:
            self.page = (audit / PAGE_NAME).read_bytes()
        except OSError as error:
            raise TrainingError(
                f"{audit / PAGE_NAME} cannot be read ({error.strerror}): `python -m training.audit suspects` makes it"
            ) from error
        self.corrections = corrections
        if corrections.exists():
            read_corrections(corrections)
        self.token = secrets.token_urlsafe(24)
        self.writing = threading.Lock()
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise TrainingError(f"{_HOST}:{port} cannot be listened on ({error}): name another --port") from error

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{_HOST}:{self.server_port}/{self.token}/"

    def content(self) -> tuple[bytes, str]:
        """The corrections file as it is, and its version; a header alone if there is none yet."""
        content = self.corrections.read_bytes() if self.corrections.exists() else _EMPTY
        return content, f'"{hashlib.sha256(content).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    server: AuditServer
    timeout = _SECONDS

    def do_GET(self) -> None:
        """The page, or the corrections file."""
        path = self._path()
        if path == "":
            self._answer(HTTPStatus.OK, self.server.page, "text/html")
        elif path == CORRECTIONS_NAME:
            content, version = self.server.content()
            self._answer(HTTPStatus.OK, content, "text/csv", etag=version)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "open the address that the command printed")

    def do_PUT(self) -> None:
        """The corrections file, checked as training checks it, and written whole."""
        if self._path() != CORRECTIONS_NAME:
            self._refuse(HTTPStatus.NOT_FOUND, "open the address that the command printed")
            return
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a corrections file has {_LARGEST:,} bytes at most")
            return
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            return  # Whoever sent it has gone.
        server = self.server
        with server.writing:
            if self.headers.get("if-match") != server.content()[1]:
                self._refuse(
                    HTTPStatus.PRECONDITION_FAILED,
                    f"not saved: {server.corrections} was changed elsewhere: load the page again",
                )
                return
            try:
                found = parse_corrections(content, server.corrections)
                with writing(server.corrections):
                    write_whole(server.corrections, content)
            except TrainingError as error:
                self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, f"not saved: {error}")
                return
            version = server.content()[1]
        said = f"{len(found)} corrections are in {server.corrections}"
        self._answer(HTTPStatus.OK, said.encode(), "text/plain", etag=version)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing: the address with its token belongs in no log."""

    def _path(self) -> str | None:
        """What follows the token; None without it, or asked under another name than our own (DNS rebinding)."""
        if self.headers.get("host") != f"{_HOST}:{self.server.server_port}":
            return None
        token, _, rest = self.path.removeprefix("/").partition("/")
        return rest if secrets.compare_digest(token.encode(), self.server.token.encode()) else None

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._answer(status, reason.encode(), "text/plain")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        fixed = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
        for name, value in {**fixed, **headers}.items():
            self.send_header(name, value)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve_audit(audit: Path, corrections: Path, port: int) -> None:
    """Serve until Ctrl-C; arguments and errors as `AuditServer`."""
    with AuditServer(audit, corrections, port) as server:
        print(f"open {server.url}\ndecisions go into {corrections}; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"\n{corrections} is as it was last saved" if corrections.exists() else "\nnothing was decided")
