"""Whatever people type, send or upload is read, or refused with a reason."""

import contextlib
import io
import zipfile

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.people import contacts, importing, replies, tables
from alerts.people.contacts import CHANNELS, ContactError
from alerts.people.headers import columns
from alerts.people.importing import Defaults
from alerts.people.places import Places
from alerts.people.tables import TableError
from alerts.regions import Region
from server.web.people.wishes import Form, WishError

RING = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
PLACES = Places(
    [Region(id="1", zh="路南区", en="Lunan", boundary={"type": "Polygon", "coordinates": [RING]})]
)
CELL = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["路南", "19900000042", "全部", "橙色", "暴雨", "22:00-06:00", "=1", "官员", "1"]
    ),
)
HEADERS = st.lists(
    st.sampled_from(
        ["姓名", "手机", "区县", "级别", "灾种", "免打扰", "分组", "顺序", "邮箱", "?"]
    ),
    min_size=1,
    max_size=8,
)


@given(channel=st.sampled_from(CHANNELS), text=st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_an_address_is_read_or_refused_and_reading_it_again_changes_nothing(
    channel: str, text: str
) -> None:
    with contextlib.suppress(ContactError):
        found = contacts.read(channel, text)
        assert contacts.read(channel, found.text) == found


@given(headers=HEADERS, rows=st.lists(st.lists(CELL, max_size=9), max_size=6))
@settings(max_examples=150, deadline=None)
def test_every_line_of_a_list_becomes_a_person_or_a_fault(
    headers: list[str], rows: list[list[str]]
) -> None:
    data = tables.write([headers, *rows]).encode()
    with contextlib.suppress(TableError):
        read = list(tables.read(data, name="list.csv"))
        found = importing.plan(read, places=PLACES, defaults=Defaults(tier="public"))
        bad = {fault.line for fault in found.faults}
        head, _ = columns(read, {})
        assert len(found.people) + len(bad) == len(read) - head - 1
        assert all(person.addresses and person.regions for person in found.people)


@given(data=st.binary(max_size=400), name=st.sampled_from(["", "xl/workbook.xml", "a.rels"]))
@settings(max_examples=150, deadline=None)
def test_a_file_is_a_table_or_refused(data: bytes, name: str) -> None:
    if name:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as book:
            book.writestr(name, data)
        data = out.getvalue()
    with contextlib.suppress(TableError):
        list(tables.read(data, name="list"))


@given(text=st.text(max_size=600))
@settings(max_examples=200, deadline=None)
def test_a_reply_means_something(text: str) -> None:
    assert replies.parse(text).kind in {"join", "leave", "read", "help"}
    PLACES.search(text)
    PLACES.named(text)


FIELD = st.sampled_from(["region", "lowest", "which", "hazard", "quiet", "quiet_from", "language"])


@given(fields=st.dictionaries(FIELD, st.lists(st.text(max_size=12), min_size=1, max_size=3)))
@settings(max_examples=150, deadline=None)
def test_a_form_is_wishes_or_says_what_is_wrong(fields: dict[str, list[str]]) -> None:
    with contextlib.suppress(WishError):
        wanted = Form.read({**fields, "region": ["1"]}).wishes(PLACES)
        assert wanted.regions == ("1",)
