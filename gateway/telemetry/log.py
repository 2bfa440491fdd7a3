"""The log: a line of JSON, or of text for people, for each event. No text of a client is ever in it."""

import json
import logging
import os
import sys
import time
from typing import Final, Literal

REQUEST_FIELDS: Final = "request"
"""Name of the attribute, given as `extra`, that holds what is known of a request."""


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.gmtime(record.created)
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, REQUEST_FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        known = getattr(record, REQUEST_FIELDS, None)
        return f"{line} ({', '.join(f'{key} {value}' for key, value in known.items())})" if known else line


def set_up_log(kind: Literal["json", "text"]) -> None:
    """Everything to standard error; of the libraries, what matters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if kind == "json" else _TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # uvicorn says "Started server process" and the like; its errors are wanted. A malformed
    # request is a warning to it, and anybody can send any number of them.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # gRPC's core writes lines of its own; what they say comes with the failed call as well.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
