"""Which kind of archive lies in a folder."""

from pathlib import Path

from server.archives import mapping
from server.archives.archive import Archive, ArchiveError
from server.archives.event import EventArchive
from server.archives.grid import GridArchive
from server.archives.table import TableArchive


def archive(folder: Path, name: str) -> Archive:
    """Open a folder by its mapping (the name of one that ships, or a file).

    Without a mapping it is the folder of an event, or netCDF files with CF's standard names.
    Raises ArchiveError.
    """
    if not folder.is_dir():
        raise ArchiveError(f"{folder}: no such folder")
    if name:
        found = mapping.load(name)
        if isinstance(found, mapping.TableMapping):
            return TableArchive(folder, found)
        return GridArchive(folder, found)
    if (folder / "event.toml").is_file():
        return EventArchive(folder)
    if any(folder.glob("*.nc")):
        return GridArchive(folder, None)
    raise ArchiveError(
        f"{folder}: say how its files are written with --mapping: a file, or one of "
        f"{', '.join(mapping.shipped())}"
    )
