"""Tables as offices keep them: CSV in UTF-8, UTF-16 or GBK with any delimiter, and Excel.

Rows come one after the other, as text. Nothing in a table is ever evaluated: of a formula its
last stored value counts, macros and links are not looked at, and what could open a programme in
somebody else's spreadsheet is made harmless where we write one.
"""

import csv
import datetime as dt
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

LONGEST = 20 * 1024 * 1024
"""Bytes of a file."""

UNPACKED = 200 * 1024 * 1024
"""Bytes of the parts of an Excel file once unpacked."""

ROWS = 200_000
"""Rows of a table."""

COLUMNS = 64
"""Columns of a table; what stands further right is not read."""

CELL = 500
"""Characters of a cell."""

DELIMITERS = ",;\t|，；"
"""What may stand between two cells of a CSV file."""

_ACTIVE = ("=", "+", "-", "@", "\t", "\r")
_PROLOG = 4_096


class TableError(Exception):
    """The file cannot be read as a table; ``code`` and ``values`` name the reason."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(f"{code}: {values}")
        self.code = code
        self.values = values


class Row(msgspec.Struct, frozen=True):
    """A row that is not empty. number: of its line in the file, the first is 1."""

    number: int
    cells: tuple[str, ...]


def read(data: bytes, *, name: str, sheet: str | None = None) -> Iterator[Row]:
    """Give the rows of a file; ``name`` is what it was called.

    sheet: of an Excel file; its first one when None. Raises TableError, also while rows are read.
    """
    if len(data) > LONGEST:
        raise TableError("file_long", most=LONGEST // 1024 // 1024)
    if data.startswith(b"PK\x03\x04"):
        rows = _excel(data, sheet)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        raise TableError("old_excel")
    elif sheet is not None:
        raise TableError("no_sheet", sheet=sheet)
    else:
        rows = _csv(_text(data, name))
    return _bounded(rows)


def _bounded(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Row]:
    for number, cells in rows:
        if number > ROWS:
            raise TableError("rows", most=ROWS)
        kept = tuple(_cell(cell, number) for cell in cells[:COLUMNS])
        if any(kept):
            yield Row(number, kept)


def _cell(text: str, number: int) -> str:
    if len(text) > CELL:
        raise TableError("cell", line=number, most=CELL)
    # The apostrophe is how a spreadsheet, or our own export, marks a text as a text.
    return text.replace("\x00", "").strip().removeprefix("'").strip()


def _text(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TableError("encoding", name=name)


def _csv(text: str) -> Iterator[tuple[int, list[str]]]:
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise TableError("csv", line=reader.line_num, reason=error) from None


def _delimiter(text: str) -> str:
    """Give what most often stands between the cells of the first lines."""
    head = list(itertools.islice(io.StringIO(text), 20))
    counts = {mark: sum(line.count(mark) for line in head) for mark in DELIMITERS}
    return max(counts, key=lambda mark: counts[mark])


def _excel(data: bytes, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    _inspect(data)
    try:
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False, keep_vba=False
        )
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise TableError("excel", reason=error) from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise TableError("no_sheet", sheet=sheet)
        page = book[sheet] if sheet is not None else book.worksheets[0]
        # The size a file claims to have is a claim.
        page.reset_dimensions()
        for number, cells in enumerate(page.iter_rows(max_col=COLUMNS, values_only=True), start=1):
            yield number, [_plain(value) for value in cells]
    except (KeyError, ValueError, TypeError, IndexError, SyntaxError) as error:
        raise TableError("excel", reason=error) from None
    finally:
        book.close()


def _inspect(data: bytes) -> None:
    """Refuse a file that unpacks to too much, or whose parts define entities of their own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > UNPACKED:
                raise TableError("file_long", most=UNPACKED // 1024 // 1024)
            for part in parts.infolist():
                if part.filename.endswith((".xml", ".rels")):
                    with parts.open(part) as stream:
                        head = stream.read(_PROLOG)
                    if b"<!DOCTYPE" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
                        raise TableError("excel", reason=f"a document type in {part.filename}")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise TableError("excel", reason=error) from None


def _plain(value: object) -> str:
    """Give a cell as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "是" if value else "否"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
    return str(value)


def write(rows: Iterable[Sequence[str]]) -> str:
    """Give rows as CSV that a spreadsheet opens in Chinese and in which nothing is a formula."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(text: str) -> str:
    """Give a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_ACTIVE) else text
