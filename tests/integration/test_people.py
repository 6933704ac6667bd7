"""People and their data in a real database: found by digest, listed, given out, erased, sealed."""

import datetime as dt
import functools
import io
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from alerts.catalogue import Catalogue
from alerts.people import contacts, privacy, subscribers
from alerts.people.sealing import Seal, SealError
from alerts.people.subscribers import Subscriber, Wishes
from server import main, sealed
from server.store.connection import connect
from server.store.database import Database
from server.terminal import Terminal
from tests.samples import REGION, SEAL, START, announce, phone, prepare

NUMBER, MAIL = "+8619900009001", "wang@example.cn"
OTHER = Seal(bytes(range(1, 33)))


def person(**values: Any) -> Subscriber:
    mine = (*phone(NUMBER), contacts.read("email", MAIL))
    given = {"name": "王芳", "tier": "public", "addresses": mine, "regions": (REGION.id,)}
    return Subscriber(**{**given, **values})


async def rows(conn: psycopg.AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


async def test_somebody_is_found_by_digest_and_nothing_is_stored_as_it_is(
    plain_database: str,
) -> None:
    async with await prepare(plain_database) as conn:
        saved = await subscribers.save(conn, [person(post="水务局")], seal=SEAL, at=START)
        for address in person().addresses:
            found = await subscribers.find(conn, address, seal=SEAL)
            assert found is not None
            assert found.subscriber == saved.ids[0]
            assert await subscribers.find(conn, address, seal=OTHER) is None
        known = await subscribers.get(conn, saved.ids[0], seal=SEAL)
        assert known is not None
        assert (known.name, known.post) == ("王芳", "水务局")
        assert [one.hint for one in known.contacts] == ["…9001", "w…@example.cn"]
        stored = str(await rows(conn, "SELECT subscriber::text FROM subscriber"))
        stored += str(await rows(conn, "SELECT contact::text FROM contact"))
        for text in ("王芳", "水务局", NUMBER, MAIL):
            assert text not in stored
            assert text.encode().hex() not in stored


async def test_saving_again_changes_and_an_address_stays_with_whoever_has_it(
    plain_database: str,
) -> None:
    async with await prepare(plain_database) as conn:
        first = await subscribers.save(conn, [person()], seal=SEAL, at=START)
        moved = person(name="王芳芳", addresses=phone("+8619900009002"))
        again = person(tier="officer", groups=("防汛",), turn=2, addresses=phone(NUMBER))
        shared = person(name="李强", addresses=(*phone("+8619900009003"), person().addresses[1]))
        later = await subscribers.save(conn, [moved, again, shared], seal=SEAL, at=START)
        assert later.added == 2
        assert later.ids[1] == first.ids[0]
        known = await subscribers.get(conn, first.ids[0], seal=SEAL)
        assert known is not None
        assert (known.tier, known.groups, known.turn) == ("officer", ("防汛",), 2)
        # The mailbox was the first one's, and still is: it is not given to a second.
        assert [one.channel for one in known.contacts] == ["sms", "email"]
        third = await subscribers.get(conn, later.ids[2], seal=SEAL)
        assert third is not None
        assert [one.channel for one in third.contacts] == ["sms"]
        # A new number in the place of the old one: known by the mailbox and the name.
        new = person(addresses=(*phone("+8619900009009"), person().addresses[1]))
        assert (await subscribers.save(conn, [new], seal=SEAL, at=START)).ids == first.ids
        assert await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL) is None
        known = await subscribers.get(conn, first.ids[0], seal=SEAL)
        assert known is not None
        assert [one.hint for one in known.contacts] == ["w…@example.cn", "…9009"]


async def test_whoever_left_stays_away_until_they_come_back(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        (number,) = (await subscribers.save(conn, [person()], seal=SEAL, at=START)).ids
        whom = {"hazard": "gale", "region": REGION.id, "level": "blue"}
        assert (await subscribers.count(conn, **whom))["public"] == 2
        assert await subscribers.leave(conn, number, at=START)
        assert not await subscribers.leave(conn, number, at=START)
        await subscribers.save(conn, [person()], seal=SEAL, at=START)
        assert (await subscribers.count(conn, **whom))["public"] == 1
        await announce(conn, exercise=False, channels=("sms",))
        assert (number,) not in await rows(conn, "SELECT subscriber FROM delivery")
        await subscribers.save(conn, [person()], seal=SEAL, at=START, rejoin=True)
        wishes = Wishes(lowest="red", quiet_from=dt.time(22), quiet_until=dt.time(6))
        assert await subscribers.change(conn, number, wishes)
        known = await subscribers.get(conn, number, seal=SEAL)
        assert known is not None
        assert (known.left_at, known.lowest, known.quiet_from) == (None, "red", dt.time(22))


async def test_everything_known_is_given_and_erased(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        (number,) = (await subscribers.save(conn, [person()], seal=SEAL, at=START)).ids
        await announce(conn, exercise=False, channels=("sms",))
        given = await privacy.export(conn, number, seal=SEAL)
        text = msgspec.json.encode(given).decode()
        assert all(known in text for known in ("王芳", NUMBER, MAIL, REGION.id))
        assert given is not None
        assert [message["act"] for message in given["messages"]] == ["issue"]
        assert given["messages"][0]["body"]
        assert await privacy.erase(conn, number, at=START)
        assert not await privacy.erase(conn, number, at=START)
        await conn.commit()
        left = await privacy.export(conn, number, seal=SEAL)
        text = msgspec.json.encode(left).decode()
        assert not any(known in text for known in ("王芳", NUMBER, MAIL, "…9001"))
        assert left is not None
        assert (left["contacts"], left["person"]["regions"]) == ([], [])
        assert [message["state"] for message in left["messages"]] == ["superseded"]
        assert await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL) is None
        # The same number may sign up anew, as somebody new.
        again = await subscribers.save(conn, [person()], seal=SEAL, at=START)
        assert again.ids[0] != number


async def test_rows_of_an_old_database_are_sealed_at_the_first_start(plain_database: str) -> None:
    async with await connect(plain_database, name="test", autocommit=True) as conn:
        for name, number in (("王芳", NUMBER), ("李强", "199 0000 9001"), ("赵敏", "not a number")):
            await conn.execute(
                "WITH one AS (INSERT INTO subscriber (name, language, tier, lowest, regions)"
                " VALUES ('\\x00' || convert_to(%s, 'UTF8'), 'zh', 'public', 'blue', '{}')"
                " RETURNING id) INSERT INTO contact (subscriber, channel, address)"
                " SELECT id, 'sms', '\\x00' || convert_to(%s, 'UTF8') FROM one",
                (name, number),
            )
    async with await Database.open(plain_database, name="test", size=2) as database:
        await sealed.prepare(database, SEAL)
        async with database.connection() as conn:
            found = await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL)
            assert found is not None
            known = await subscribers.listing(conn, seal=SEAL)
            assert [one.name for one in known] == ["王芳", "李强", "赵敏"]
            plain = "SELECT count(*) FROM contact WHERE get_byte(address, 0) <> 1"
            assert await rows(conn, plain) == [(0,)]
        await sealed.prepare(database, SEAL)
        with pytest.raises(SealError, match="another key"):
            await sealed.prepare(database, OTHER)


async def test_everything_is_sealed_anew_under_another_key(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await subscribers.save(conn, [person()], seal=SEAL, at=START)
        assert await privacy.reseal(conn, old=SEAL, new=OTHER) == 4
        assert await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL) is None
        assert await subscribers.find(conn, phone(NUMBER)[0], seal=OTHER) is not None
        with pytest.raises(SealError):
            await subscribers.listing(conn, seal=SEAL)
        names = [one.name for one in await subscribers.listing(conn, seal=OTHER)]
        assert "王芳" in names


class Centre:
    """The command line over a database of its own."""

    def __init__(
        self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caught: Any
    ) -> None:
        self.folder = folder
        self._patch = monkeypatch
        self._caught = caught
        monkeypatch.setenv("FENGHUO_STORE_URL", url)
        monkeypatch.setenv("FENGHUO_DATA", str(folder))
        monkeypatch.setenv("FENGHUO_LANGUAGE", "en")

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        self._patch.setattr(sys, "argv", ["fenghuo", "people", *arguments])
        said = io.StringIO()
        self._patch.setattr(main, "Terminal", functools.partial(Terminal, out=said))
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == code, said.getvalue()
        return self._caught.readouterr().out, said.getvalue()


LIST = """姓名,手机,区县,分组,单位
王芳,19900009001,海淀,防汛,水务局
李强,1990000900,海淀,防汛,
=1+1,19900009003,海淀,防汛,
"""


@pytest.fixture
async def region(plain_database: str) -> str:
    await (await prepare(plain_database)).close()
    return plain_database


def test_the_commands(
    region: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    centre = Centre(region, tmp_path, monkeypatch, capsys)
    file = tmp_path / "list.csv"
    file.write_bytes(LIST.encode("gbk"))
    seal = Seal.load(tmp_path / "people.key")
    with psycopg.connect(region) as conn:
        # What the fixture sealed belongs to another key; here only the list matters.
        conn.execute("UPDATE contact SET address = NULL, digest = NULL")
        conn.execute("UPDATE subscriber SET name = NULL, erased = now()")
    out, err = centre.run("import", str(file), code=1)
    assert "--tier" in err
    out, err = centre.run("import", str(file), "--tier", "officer", "--dry-run")
    assert "line 3 手机: a mobile number of mainland China has 11 digits" in out
    assert "2 people would be added, 0 changed; 1 lines" in err
    assert centre.run("list")[0] == ""
    out, err = centre.run("import", str(file), "--tier", "officer")
    assert "2 people added, 0 changed" in err
    out, err = centre.run("import", str(file), "--tier", "officer", "--map", "分组=ignore")
    assert "0 people added, 2 changed" in err
    out, _ = centre.run("list", "--tier", "officer")
    assert "王芳" in out
    assert "sms:…9001" in out
    assert "+8619900009001" not in out
    out, _ = centre.run("list", "--csv")
    assert "'=1+1" in out
    # What was written is read again, and changes nothing.
    (tmp_path / "again.csv").write_text(out, "utf-8")
    out, err = centre.run("import", str(tmp_path / "again.csv"))
    assert "0 people added, 2 changed; 0 lines" in err
    out, _ = centre.run("export", "199 0000 9001")
    assert msgspec.json.decode(out)["contacts"][0]["address"] == "+8619900009001"
    centre.run("reseal", "--new-key", str(tmp_path / "new.key"))
    out, err = centre.run("list", code=1)
    assert "another key" in err
    (tmp_path / "new.key").rename(tmp_path / "people.key")
    assert "--yes" in centre.run("erase", "19900009001", code=1)[1]
    centre.run("erase", "19900009001", "--yes")
    assert "nobody" in centre.run("export", "19900009001", code=1)[1]
    assert "王芳" not in centre.run("list")[0]
    with psycopg.connect(region) as conn:
        acts = [act for (act,) in conn.execute("SELECT act FROM audit ORDER BY id")]
    assert acts == [
        *["people.import"] * 2, "people.list", "people.import", "people.export",
        "people.reseal", "people.erase",
    ]  # fmt: skip
    assert seal.fingerprint != Seal.load(tmp_path / "people.key").fingerprint


async def test_a_hundred_thousand_are_found_by_index(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await subscribers.save(conn, [person()], seal=SEAL, at=START)
        await conn.execute(
            "INSERT INTO contact (subscriber, channel, digest)"
            " SELECT 1, 'sms', sha256(n::text::bytea) FROM generate_series(1, 100000) AS n"
        )
        await conn.execute("ANALYZE contact")
        async with conn.cursor() as cursor:
            values = {"channel": "sms", "digest": phone(NUMBER)[0].digest(SEAL)}
            await cursor.execute(f"EXPLAIN {subscribers._sql.find}".encode(), values)
            plan = str(await cursor.fetchall())
        assert "Index Scan" in plan
        assert await subscribers.find(conn, phone(NUMBER)[0], seal=SEAL) is not None


def test_sample_people_are_marked_as_such() -> None:
    found = subscribers.sample([REGION], catalogue=Catalogue.load())
    assert [(one.tier, one.source) for one in found] == [
        ("official", "sample"), ("officer", "sample"), ("public", "sample"),
    ]  # fmt: skip
