"""Reading the alerts of other offices: each source in its turn, until cancelled."""

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
import psycopg
import shapely
from lxml import etree

from alerts import offices
from alerts.cap import alert as documents
from alerts.cap import listing
from alerts.cap.alert import Alert, AlertError
from alerts.cap.examination import Examination, examine
from alerts.cap.listing import Entry
from alerts.offices import Problem, Source
from server.clock import Clock
from server.fetching import Fetcher, FetchError, plain
from server.store.database import Database
from server.store.errors import StoreError

_log = logging.getLogger(__name__)

READERS = 3
"""Sources that are read at once; a slow one does not hold the others up."""

TOGETHER = 4
"""Documents of one source that are fetched at once."""

REST = 5.0
"""Seconds between looks whether a source is due."""

LONGEST = 300.0
"""Seconds that one look at a source may take."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a source came to. named: documents of a feed; etag, modified: its state."""

    new: int = 0
    problem: Problem | None = None
    named: tuple[str, ...] = ()
    etag: str = ""
    modified: str = ""


async def run(database: Database, clock: Clock) -> None:
    """Read the sources as they fall due; one that fails is tried again at its next time."""
    async with asyncio.TaskGroup() as group:
        for number in range(READERS):
            group.create_task(_read(database, clock), name=f"offices {number}")


async def _read(database: Database, clock: Clock) -> None:
    while True:
        try:
            async with database.connection() as conn:
                source = await offices.claim(conn, now=clock.now())
            if source is not None:
                await look(database, source, clock)
                continue
        except (psycopg.Error, StoreError) as error:
            _log.warning("other offices wait: error=%s", error)
        await asyncio.sleep(REST)


async def look(database: Database, source: Source, clock: Clock) -> Look:
    """Read a source once, note how it went, and give that."""
    try:
        async with asyncio.timeout(LONGEST):
            found = await Reader(database, source, clock).read()
    except TimeoutError:
        found = Look(problem=Problem("problem.timeout", {"seconds": round(LONGEST), "url": ""}))
    if found.problem is not None:
        _log.warning("office source=%s problem=%s", source.name, found.problem)
    now = clock.now()
    async with database.connection() as conn:
        await offices.looked(
            conn,
            source,
            now=now,
            problem=found.problem,
            # After a document was missing, the feed is read again in full.
            etag="" if found.problem else found.etag,
            modified="" if found.problem else found.modified,
        )
        await offices.prune(conn, source, named=found.named, now=now)
    return found


class Reader:
    """One look at one source."""

    def __init__(self, database: Database, source: Source, clock: Clock) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._turn = asyncio.Semaphore(TOGETHER)

    async def read(self) -> Look:
        """Read what is new."""
        try:
            if urlsplit(self._source.url).scheme == "file":
                return await self._folder()
            async with Fetcher(self._source.url) as fetcher:
                return await self._web(fetcher)
        except (AlertError, FetchError) as error:
            return Look(problem=_problem(error))

    async def _web(self, fetcher: Fetcher) -> Look:
        """Read a feed or a single alert; raises AlertError, FetchError."""
        source = self._source
        head = await fetcher.get(
            source.url, largest=listing.LARGEST, etag=source.etag, modified=source.modified
        )
        if head is None:
            kept = await self._known()
            return Look(named=tuple(kept), etag=source.etag, modified=source.modified)
        entries = await asyncio.to_thread(listing.read, head.body, base=head.url)
        if entries is None:
            stamp = hashlib.sha256(head.body).hexdigest()
            entries = [Entry(url=source.url, stamp=stamp, alert=head.body)]
        found = await self._documents(entries, fetcher)
        return msgspec.structs.replace(found, etag=head.etag, modified=head.modified)

    async def _folder(self) -> Look:
        """Read the files of a folder; raises FetchError."""
        folder = Path(url2pathname(urlsplit(self._source.url).path))
        try:
            files = await asyncio.to_thread(_files, folder)
        except OSError as error:
            reason = error.strerror or str(error)
            raise FetchError("folder", folder=str(folder), reason=reason) from None
        return await self._documents(files, None)

    async def _documents(self, entries: Sequence[Entry], fetcher: Fetcher | None) -> Look:
        """Read those of the documents that are new or have changed."""
        known = await self._known()
        wanted = [entry for entry in entries if known.get(entry.url) != entry.stamp]
        done = await asyncio.gather(*(self._document(entry, fetcher) for entry in wanted))
        failed = [each for each in done if isinstance(each, Problem)]
        problem = None
        if failed:
            values = {"failed": len(failed), "all": len(entries)}
            problem = Problem("problem.documents", {**values, "first": failed[0]})
        return Look(
            new=sum(each for each in done if isinstance(each, int)),
            problem=problem,
            named=tuple(entry.url for entry in entries),
        )

    async def _document(self, entry: Entry, fetcher: Fetcher | None) -> int | Problem:
        """Read one; give whether it was new, or why it could not be read."""
        try:
            async with self._turn:
                return await self._take(entry, await self._body(entry, fetcher))
        except (AlertError, FetchError) as error:
            return _problem(error)
        except (etree.LxmlError, shapely.errors.ShapelyError, ValueError) as error:
            # What a stranger writes may surprise a library; the others are read all the same.
            url = plain(entry.url)
            _log.warning("office source=%s document=%s", self._source.name, url, exc_info=True)
            values = {"url": url, "reason": str(error) or type(error).__name__}
            return Problem("problem.examined", values)

    async def _body(self, entry: Entry, fetcher: Fetcher | None) -> bytes:
        if entry.alert is not None:
            return entry.alert
        if fetcher is None:
            path = Path(url2pathname(urlsplit(entry.url).path))
            return await asyncio.to_thread(_file, path)
        found = await fetcher.get(entry.url, largest=documents.LARGEST)
        if found is None:
            raise FetchError("status", url=entry.url, status=304)
        return found.body

    async def _take(self, entry: Entry, xml: bytes) -> int:
        """Keep an alert, with its examination; raises AlertError."""
        source = self._source
        read: tuple[Alert, Examination] | None = None
        try:
            read = await asyncio.to_thread(_examined, xml, source.trust)
        except AlertError as error:
            if error.key != "answer":  # what somebody says of an alert tells nobody anything
                raise
        now = self._clock.now()
        async with self._database.connection() as conn:
            new = False
            if read is not None:
                new = await offices.put(conn, source, *read, xml=xml, now=now)
            await offices.read_document(conn, source, entry.url, stamp=entry.stamp, now=now)
        return int(new)

    async def _known(self) -> dict[str, str]:
        async with self._database.connection() as conn:
            return await offices.documents(conn, self._source)


def _examined(xml: bytes, trust: str) -> tuple[Alert, Examination]:
    alert = documents.read(xml)
    if not trust:
        return alert, examine(xml)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(trust.encode())
        file.flush()
        return alert, examine(xml, trust=Path(file.name))


def _files(folder: Path) -> list[Entry]:
    """Give the newest files of a folder, each with a stamp by which a change shows."""
    found = [(path, path.stat()) for path in folder.glob("*.xml") if path.is_file()]
    found.sort(key=lambda pair: pair[1].st_mtime_ns, reverse=True)
    return [
        Entry(url=path.as_uri(), stamp=f"{state.st_mtime_ns} {state.st_size}")
        for path, state in found[: listing.MOST]
    ]


def _file(path: Path) -> bytes:
    """Read a file, of a large one only so much that it shows; raises FetchError."""
    try:
        with path.open("rb") as file:
            return file.read(documents.LARGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FetchError("folder", folder=str(path), reason=reason) from None


def _problem(error: AlertError | FetchError) -> Problem:
    topic = "refused" if isinstance(error, AlertError) else "problem"
    return Problem(f"{topic}.{error.key}", error.values)
