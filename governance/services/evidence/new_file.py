"""Files that appear whole under their name, or not at all, and never in the place of another."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from governance.errors import BadInput


@contextmanager
def new_file(target: Path, what: str) -> Iterator[BinaryIO]:
    """A binary file of mode 0600 that gets the name `target` when the block ends well, for evidence and what is as
    sensitive.

    It has no name before, so that nothing of it is left when the process ends, whatever ends it. Where the file system
    knows no such files, it has a hidden name meanwhile. Raises `BadInput`, which calls it `what`, where something has
    that name already, before the block where that can be known, and where the file cannot be written.
    """
    _refuse_taken(target)
    try:
        with _begun(target.absolute().parent, target.name) as (file, part):
            yield file
            file.flush()
            os.fsync(file.fileno())
            _publish(file, part, target)
    except OSError as error:
        raise _unwritable(target, what, error) from None


def _refuse_taken(target: Path) -> None:
    if target.is_dir():
        raise BadInput(f"{target} is a folder.", advice="Name a file.")
    if os.path.lexists(target):
        raise BadInput(f"{target} exists already; nothing is written over.", advice="Name another file.")


@contextmanager
def _begun(folder: Path, name: str) -> Iterator[tuple[BinaryIO, Path | None]]:
    """A new file of mode 0600, and its name where it has to have one; such a one is removed at the end."""
    part: Path | None = None
    try:
        handle = os.open(folder, os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE, 0o600)
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise
        handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        part = Path(path)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, part
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _publish(file: BinaryIO, part: Path | None, target: Path) -> None:
    """Gives the file of `_begun` its name, unless something has it by now. Raises `BadInput` then, else `OSError`."""
    try:
        if part is not None:
            os.link(part, target)
            return
        folder = os.open(target.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # with a folder's descriptor Python follows the link to the file, without one it would link the link
            os.link(f"/proc/self/fd/{file.fileno()}", target.name, dst_dir_fd=folder)
        finally:
            os.close(folder)
    except FileExistsError:
        _refuse_taken(target)
        raise
    except OSError:
        # A file system without links: the name is taken first, then the file moved over it, or copied into it.
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            _refuse_taken(target)
            raise
        try:
            with os.fdopen(handle, "wb") as named:
                if part is not None:
                    part.replace(target)
                else:
                    file.seek(0)
                    shutil.copyfileobj(file, named)
        except OSError:
            target.unlink()
            raise


def _unwritable(target: Path, what: str, error: OSError) -> BadInput:
    reason = error.strerror or type(error).__name__
    return BadInput(f"The {what} cannot be written to {target}: {reason}.", advice="Choose another file or folder.")
