"""Files that somebody else has put there: read only if they are regular, and no larger than they may be.

A FIFO in a file's place would hold its reader up for ever, a device or a file of gigabytes for seconds.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_CHUNK: Final = 1 << 20


def read_file(path: Path, most: int) -> bytes:
    """The content of a regular file of `most` bytes at most.

    Raises:
        OSError: it can't be read, is no regular file or is larger; `strerror` says which.
    """
    with _opened(path, most) as file:
        # One more than it may have: it may grow meanwhile.
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def sha256(path: Path, most: int = 1 << 32) -> str:
    """SHA-256 of a regular file of `most` bytes at most, in hexadecimal.

    Raises:
        OSError: as `read_file`.
    """
    digest, size = hashlib.sha256(), 0
    with _opened(path, most) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size > most:
                raise _too_large(path, most)
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(path: Path, most: int) -> Iterator[BinaryIO]:
    # Looked at before it is opened, since opening a device can do something, and after, since it may
    # have been replaced. Without O_NONBLOCK opening a FIFO would wait for its writer.
    _check(path, path.stat(), most)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor), most)
        yield file


def _check(path: Path, found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if found.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
