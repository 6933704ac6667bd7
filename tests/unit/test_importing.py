"""Lists as offices keep them."""

import datetime as dt
import io
import zipfile
from typing import Any

import openpyxl
import pytest

from alerts.catalogue import Catalogue
from alerts.people import headers, importing, tables
from alerts.people.headers import FIELDS, Field
from alerts.people.importing import Defaults, Plan
from alerts.people.places import Places
from alerts.people.tables import TableError
from alerts.regions import Region

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def region(number: str, zh: str, en: str, *, east: float = 0) -> Region:
    ring = [[x + east, y] for x, y in SQUARE]
    return Region(id=number, zh=zh, en=en, boundary={"type": "Polygon", "coordinates": [ring]})


PLACES = Places(
    [
        region("130202", "路南区", "Lunan District"),
        region("130203", "路北区", "Lubei District", east=1),
        region("130224-101", "倴城镇", "Bencheng", east=2),
    ]
)

LIST = """\
唐山市气象信息员名单,,,,,,,
序号,姓名*,手机号码（必填）,单位,职务,区县,乡镇,所属群组
1,王芳,19900000042,水务局,副局长,路南,,防汛
2,李强,199 0000 0043,,,路北区,,防汛、学校
3,赵敏,1990000004,,,路北区,,
4,钱伟,19900000045,,,滦南县,倴城,防汛
5,孙丽,19900000042,,,路南,,
6,周杰,19900000047,,,路东区,,
,,,,,,,
7,吴刚,0315-2820000,,,路南区,,
"""


def made(text: str | bytes, **values: Any) -> Plan:
    data = text.encode() if isinstance(text, str) else text
    given = {"defaults": Defaults(tier="officer"), **values}
    return importing.plan(tables.read(data, name="list.csv"), places=PLACES, **given)


def test_a_list_is_read_and_every_line_that_cannot_be_used_is_named() -> None:
    found = made(LIST)
    assert dict(found.columns)["手机号码（必填）"] == "phone"
    people = [(one.name, one.post, one.regions, one.groups, one.turn) for one in found.people]
    assert people == [
        ("王芳", "水务局 副局长", ("130202",), ("防汛",), 1),
        ("李强", "", ("130203",), ("防汛", "学校"), 2),
        ("钱伟", "", ("130224-101",), ("防汛",), 3),
        ("吴刚", "", ("130202",), (), 1),
    ]
    reached = [(one.addresses[0].channel, one.addresses[0].text) for one in found.people]
    assert reached[0] == ("sms", "+8619900000042")
    assert reached[3] == ("voice", "+863152820000")
    near = found.faults[-1].values["near"]
    faults = [(fault.line, fault.column, fault.code, fault.values) for fault in found.faults]
    assert faults == [
        (5, "手机号码（必填）", "address_mobile", {}),
        (7, "手机号码（必填）", "twice", {"other": 3}),
        (8, "区县", "region", {"said": "路东区", "near": near}),
    ]
    assert near in {"路南区", "路北区"}
    assert not found.remarks


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "，"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_any_delimiter_in_any_encoding(delimiter: str, encoding: str) -> None:
    text = LIST.replace(",", delimiter)
    assert [one.name for one in made(text.encode(encoding)).people] == [
        "王芳",
        "李强",
        "钱伟",
        "吴刚",
    ]


def workbook(rows: list[list[object]], *, title: str = "名单") -> bytes:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = title
    for row in rows:
        page.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_an_excel_file_with_numbers_as_numbers() -> None:
    data = workbook(
        [
            ["姓名", "手机", "邮箱", "级别", "区县", "灾种", "免打扰"],
            ["王芳", 19900000042, "w@example.cn", "橙色", "路南区", "暴雨、大风", "22:00-06:00"],
            ["=1+1", 19900000043.0, None, "红", "全部", None, None],
        ]
    )
    found = made(data)
    assert dict(found.columns)["级别"] == "lowest"
    first, second = found.people
    assert [address.channel for address in first.addresses] == ["sms", "email"]
    assert first.lowest == "orange"
    assert first.hazards == ("rainstorm", "gale")
    assert (first.quiet_from, first.quiet_until) == (dt.time(22), dt.time(6))
    # The formula was never computed, so there is no name: the line is known by its hint.
    assert (second.name, second.lowest) == ("…0043", "red")
    assert second.regions == ("130202", "130203", "130224-101")


def test_the_same_header_means_the_tier_where_tiers_stand_below_it() -> None:
    found = made("姓名,手机,级别,区县\n王芳,19900000042,县级,路南\n", defaults=Defaults())
    assert dict(found.columns)["级别"] == "tier"
    assert found.people[0].tier == "official"


def test_a_guess_is_corrected() -> None:
    text = "姓名,紧急联系,手机,区县\n王芳,19900000042,19900000043,路南\n"
    assert made(text).people[0].addresses[0].text == "+8619900000043"
    mapping: dict[str, Field] = {"紧急联系": "phone", "手机": "voice"}
    reached = {one.channel: one.text for one in made(text, mapping=mapping).people[0].addresses}
    assert reached == {"sms": "+8619900000042", "voice": "+8619900000043"}


def test_one_bad_address_does_not_lose_a_line_that_has_a_good_one() -> None:
    text = "姓名,手机,邮箱,区县\n王芳,19900000042/19900000043,nobody,路南\n"
    found = made(text)
    assert [address.text for address in found.people[0].addresses] == ["+8619900000042"]
    assert [remark.code for remark in found.remarks] == ["second", "address_email"]
    assert not found.faults


def test_whoever_is_to_be_called_is_called_at_the_mobile() -> None:
    text = "姓名,手机,固话,区县\n王芳,19900000042,,路南\n李强,19900000043,0315-2820000,路南\n"
    found = made(text, defaults=Defaults(tier="officer", call=True))
    reached = [[(one.channel, one.text) for one in person.addresses] for person in found.people]
    assert reached[0] == [("sms", "+8619900000042"), ("voice", "+8619900000042")]
    assert reached[1] == [("sms", "+8619900000043"), ("voice", "+863152820000")]


CELLS = [
    ("姓名,手机,区县,语言\n王芳,19900000042,路南,法语\n", "language"),
    ("姓名,手机,区县,最低级别\n王芳,19900000042,路南,紫色\n", "lowest"),
    ("姓名,手机,区县,灾种\n王芳,19900000042,路南,龙卷\n", "hazards"),
    ("姓名,手机,区县,免打扰\n王芳,19900000042,路南,晚上\n", "quiet"),
    ("姓名,手机,区县,叫应顺序\n王芳,19900000042,路南,第一\n", "turn"),
    ("姓名,手机,区县\n王芳,19900000042,\n", "no_region"),
    ("姓名,手机,区县\n王芳,,路南\n", "no_address"),
    ("姓名,手机,区县,类别\n王芳,19900000042,路南,路人\n", "tier"),
    ("姓名,手机,区县\n王芳,1.99E+10,路南\n", "address_rounded"),
]


@pytest.mark.parametrize(("text", "code"), CELLS)
def test_each_cell_that_says_nothing_is_named(text: str, code: str) -> None:
    defaults = Defaults(tier=None if code == "tier" else "public")
    found = made(text, defaults=defaults)
    assert not found.people
    assert [(fault.line, fault.code) for fault in found.faults] == [(2, code)]
    words = Catalogue.load()
    for language in words.languages:
        assert words.text(f"people.fault.{code}", language, **found.faults[0].values)


@pytest.mark.parametrize(
    ("data", "values", "code"),
    [
        (b"", {}, "no_headers"),
        ("王芳,19900000042".encode(), {}, "no_headers"),
        ("姓名,区县\n王芳,路南".encode(), {}, "no_address"),
        ("姓名,手机,区县\n".encode(), {"defaults": Defaults()}, "no_tier"),
        ("姓名,手机\n".encode(), {"mapping": {"电话": "phone"}}, "no_column"),
        ("姓名,手机\n".encode() + b"\xff\xfe\xfa", {}, "encoding"),
        (b"\xd0\xcf\x11\xe0old", {}, "old_excel"),
        (b"PK\x03\x04broken", {}, "excel"),
        ("姓名,手机\n".encode() + b"a" * 600, {}, "cell"),
        (b"a" * (tables.LONGEST + 1), {}, "file_long"),
    ],
)
def test_a_file_that_is_no_list_is_refused(data: bytes, values: dict[str, Any], code: str) -> None:
    with pytest.raises(TableError) as wrong:
        made(data, **values)
    assert wrong.value.code == code
    words = Catalogue.load()
    for language in words.languages:
        assert words.text(f"people.table.{code}", language, **wrong.value.values)


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS", 3)
    with pytest.raises(TableError) as wrong:
        made(LIST)
    assert wrong.value.code == "rows"


def _replaced(data: bytes, part: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return out.getvalue()


def test_an_excel_file_that_defines_entities_or_swells_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = workbook([["姓名", "手机", "区县"], ["王芳", 19900000042, "路南"]])
    evil = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    with pytest.raises(TableError, match="document type"):
        made(_replaced(data, "xl/worksheets/sheet1.xml", evil))
    monkeypatch.setattr(tables, "UNPACKED", 1_000)
    with pytest.raises(TableError, match="file_long"):
        made(data)


def test_a_sheet_is_chosen_by_name() -> None:
    data = workbook([["姓名", "手机", "区县"]], title="二〇二六")
    assert [row.cells for row in tables.read(data, name="a.xlsx", sheet="二〇二六")]
    with pytest.raises(TableError, match="no_sheet"):
        list(tables.read(data, name="a.xlsx", sheet="名单"))


def test_what_we_write_opens_no_programme_and_is_read_again() -> None:
    cells = ["=cmd|'/c calc'!A1", "+8619900000042", "-1", "@SUM(A1)", "王芳", 'a"b,c', "\t=1"]
    text = tables.write([cells])
    for cell in text.removeprefix("\ufeff").strip().split(","):
        assert not cell.startswith(("=", "+", "-", "@", "\t"))
    (row,) = tables.read(text.encode(), name="list.csv")
    assert list(row.cells) == [cell.strip() for cell in cells]


def test_every_header_of_the_book_is_a_field() -> None:
    for text, field in [
        ("联系人手机号", "phone"),
        (" E-Mail ", "email"),
        ("所在单位名称", "unit"),
        ("应急责任人姓名", "name"),
        ("Office Phone", "voice"),
        ("村（社区）", "village"),
    ]:
        assert headers.guess(text) == field
    assert headers.guess("颜色") is None
    words = Catalogue.load()
    assert all(words.has(f"people.field.{field}", "zh") for field in FIELDS)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("22:00-06:00", (dt.time(22), dt.time(6))),
        ("22-6", (dt.time(22), dt.time(6))),
        ("22点至6点", (dt.time(22), dt.time(6))),
        ("23:30~24:00", (dt.time(23, 30), dt.time(0))),
        ("25:00-06:00", None),
        ("22:99-06:00", None),
        ("22:00-22:00", None),
        ("晚上", None),
    ],
)
def test_quiet_hours(text: str, hours: tuple[dt.time, dt.time] | None) -> None:
    assert importing.quiet(text) == hours


def test_a_place_is_found_by_name_and_by_position() -> None:
    assert [one.id for one in PLACES.search("路")] == ["130202", "130203"]
    assert [one.id for one in PLACES.search("lubei")] == ["130203"]
    assert [one.id for one in PLACES.search("Bencheg")] == ["130224-101"]
    assert PLACES.search("") == PLACES.search("香港") == []
    assert [one.id for one in PLACES.at(1.5, 0.5)] == ["130203"]
    assert PLACES.at(50, 50) == []
