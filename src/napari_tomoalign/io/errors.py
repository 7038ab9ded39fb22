"""What goes wrong with files, and the one place where a library's own words become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DiskFull", "NoAngles", "ScanFileError", "reading"]


class ScanFileError(ValueError):
    """A file is not what it claims, or lacks something; the message says what to do."""


class NoAngles(ScanFileError):
    """A scan has no angles, neither in it nor in a file beside it."""


class DiskFull(OSError):
    """There is no room left for a file; the message says what was saved and what was not."""


@contextmanager
def reading(what: str | Path) -> Iterator[None]:
    """Name the file in whatever goes wrong while it is read, and say what to do.

    Every format is read by a library with exceptions of its own, and a damaged file can bring out
    any of them. All reading of files goes through here.

    Parameters
    ----------
    what : str or path
        The file, or what in it is read.

    Raises
    ------
    ScanFileError
        For whatever was raised, but for a file that is not there or may not be read. A
        `ScanFileError` stays what it is, and says the file where it did not.
    """
    try:
        yield
    except ScanFileError as error:
        if not isinstance(what, Path) or what.name in str(error):
            raise
        raise type(error)(f"{what}: {error}") from error
    except (FileNotFoundError, PermissionError):
        raise
    except MemoryError as error:
        raise ScanFileError(
            f"{what} asks for more memory than there is; if it is not damaged, read fewer rows "
            "(rows=, --rows) or a binned scan (binning=, --binning)"
        ) from error
    except Exception as error:
        words = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        said = " ".join(words.split())[:300].rstrip(". ") or type(error).__name__
        if "filter" in said and "plugin" not in said and "returned failure" not in said:
            remedy = "its compression needs a plugin: pip install hdf5plugin"
        else:
            remedy = "it seems to be truncated or damaged, copy it again from where it came"
        raise ScanFileError(f"{what} cannot be read: {said}; {remedy}") from error
