"""What everybody sees: pages, the widget, radio and TV, screens in a browser, own links."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from alerts import regions
from alerts.faces import screens
from alerts.faces.screens import Wanted
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.warning import Step, Terms
from alerts.people import acknowledge, contacts, officers, subscribers
from alerts.people.subscribers import Subscriber
from server import main
from server.chain import StartError
from server.settings import Settings, Store
from server.terminal import Terminal
from server.web.pages import POLICY
from tests.accounts import bearer
from tests.samples import REGION, SEAL, START, Fixed, case, desk, later, prepare, step
from tests.scene import START as EVENT_START
from tests.scene import Scene
from tests.website import Website, website

OTHER = regions.Region(id="54398", zh="顺义", en="Shunyi", boundary=REGION.boundary, sample=True)


@asynccontextmanager
async def centre(url: str, clock: Fixed | None = None) -> AsyncIterator[Website]:
    async with website(url, clock=clock or Fixed(later(0.1))) as site:
        yield site


async def issue(
    conn: psycopg.AsyncConnection[Any],
    level: str = "orange",
    *channels: str,
    hazard: str = "rainstorm",
    exercise: bool = False,
) -> Step:
    given = step(level, hazard=hazard, exercise=exercise)
    await ledger.record(conn, given, desk=desk(*(channels or ("sms",))))
    await conn.commit()
    return given


async def end(conn: psycopg.AsyncConnection[Any], given: Step, *, hour: float = 3) -> None:
    over = advance(
        given.warning, None, at=later(hour), complete=True, terms=Terms(),
        exercise=given.warning.exercise,
    )  # fmt: skip
    assert over is not None
    assert over.act == "cancel"
    await ledger.record(conn, over, desk=desk("sms"))
    await conn.commit()


async def screen(conn: psycopg.AsyncConnection[Any], name: str = "hall", **changes: Any) -> str:
    values = {"title": "镇政府大厅", "regions": (REGION.id,), **changes}
    key = await screens.add(conn, Wanted(name=name, **values), seal=SEAL, at=START)
    await conn.commit()
    return key


async def text(site: Website, path: str, status: int = 200, **headers: str) -> str:
    answer = await site.client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.text


async def test_the_page_of_a_place_and_the_life_of_a_warning(plain_database: str) -> None:
    clock = Fixed(later(0.1))
    async with await prepare(plain_database) as conn, centre(plain_database, clock) as site:
        await regions.save(conn, [OTHER])
        given = await issue(conn)
        gale = await issue(conn, "blue", hazard="gale")
        whole = await text(site, "/?lang=en")
        # Several at once are all shown, the gravest first.
        assert whole.index("Orange rainstorm warning") < whole.index("Blue gale warning")
        assert "2 warnings in force" in whole
        here = await text(site, f"/?lang=en&place={REGION.id}")
        assert "Orange rainstorm" in here
        assert f'value="{REGION.id}" selected' in here
        assert "No warning signal is in force for Shunyi" in await text(
            site, f"/?lang=en&place={OTHER.id}"
        )
        assert "There is no place “nowhere”" in await text(site, "/?lang=en&place=nowhere")
        own = f"/w/{given.warning.id}"
        assert "In force" in await text(site, f"{own}?lang=en")

        clock.time = later(3.1)
        await end(conn, given)
        assert "Orange rainstorm" not in await text(site, "/?lang=en")
        over = await text(site, f"{own}?lang=en")
        assert "Cancelled (2016-07-20 11:00)" in over
        assert over.count("<li>") == 2  # the chain: what was said, and that it is over
        assert "In force" not in over
        # What ran out without anybody ending it is shown by nobody either.
        clock.time = later(12)
        assert "gale" not in await text(site, "/?lang=en")
        assert "nothing was said after it" in await text(site, f"/w/{gale.warning.id}?lang=en")
        for unknown in (uuid.uuid4(), "x"):
            assert "There is no such warning" in await text(site, f"/w/{unknown}?lang=en", 404)


async def test_what_is_a_drill_is_shown_to_nobody_in_a_real_centre(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        drill = await issue(conn, "red", exercise=True)
        key = await screen(conn)
        for path in ("/?lang=en", "/air/script.txt?lang=en", "/air/crawl.txt?lang=en", "/widget"):
            said = await text(site, path)
            assert "rainstorm" not in said
            assert "暴雨" not in said
        await text(site, f"/w/{drill.warning.id}", 404)
        assert (await site.get("/widget.json"))["warnings"] == []
        beat = await site.client.post("/display/hall/beat", json={"key": key})
        assert beat.json()["warnings"] == []


async def test_pages_are_not_sent_twice_to_whoever_has_them(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        await issue(conn)
        for path in ("/", "/widget.json", "/widget.js", "/air/crawl.json", "/air/script.ssml"):
            first = await site.client.get(path)
            assert first.status_code == 200
            again = await site.client.get(path, headers={"if-none-match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        crawl = await site.client.get("/air/crawl.txt")
        old = {"if-modified-since": crawl.headers["last-modified"]}
        assert (await site.client.get("/air/crawl.txt", headers=old)).status_code == 304
        assert (
            await site.client.get("/air/crawl.txt", headers={"if-modified-since": "x"})
        ).is_success


async def test_only_the_widget_may_stand_in_others_pages(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        await issue(conn)
        policy = "content-security-policy"
        framed = await site.client.get(f"/widget?lang=en&region={REGION.id}")
        assert "frame-ancestors *" in framed.headers[policy]
        assert "Orange rainstorm warning" in framed.text
        assert (await site.client.get("/")).headers[policy] == POLICY
        data = await site.client.get("/widget.json", params={"region": OTHER.id, "lang": "en"})
        assert data.headers["access-control-allow-origin"] == "*"
        assert data.json()["warnings"] == []
        (item,) = (await site.get("/widget.json", lang="zh"))["warnings"]
        assert (item["title"], item["shape"]) == ("暴雨橙色预警", "hexagon")
        assert (await site.client.get("/widget.js")).headers["access-control-allow-origin"] == "*"


async def test_a_station_comes_for_what_it_reads_out(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        key = await screen(conn, "radio", kind="broadcast", title="县广播站")
        await issue(conn, "orange", "broadcast")
        await conn.execute("UPDATE delivery SET state = 'accepted' WHERE channel = 'broadcast'")
        await conn.commit()
        named = {"station": "radio", "key": key}
        old = await site.client.get("/air/crawl.txt", params={**named, "encoding": "gb18030"})
        assert old.headers["content-type"] == "text/plain; charset=gb18030"
        assert old.content.decode("gb18030").startswith("【暴雨橙色预警】")
        state = "SELECT state, acknowledged_by FROM delivery WHERE channel = 'broadcast'"
        assert await rows(conn, state) == [("delivered", None)]
        script = (await site.client.get("/air/script.txt", params=named)).text
        assert script.startswith("听众朋友，示范气象台提醒您注意。")
        messages = [line["message"] for line in (await site.get("/air/crawl.json"))["lines"]]
        said = await site.client.post("/air/confirm", json={**named, "messages": messages})
        assert said.status_code == 204, said.text
        assert await rows(conn, state) == [("delivered", "县广播站")]
        for wrong in ({"station": "radio", "key": "x"}, {"station": "nobody", "key": key}):
            assert (await site.client.get("/air/script.txt", params=wrong)).status_code == 403


async def test_a_screen_in_a_browser_says_what_it_shows(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        key = await screen(conn)
        given = await issue(conn, "red", "display")
        await conn.execute("UPDATE delivery SET state = 'accepted' WHERE channel = 'display'")
        await conn.commit()
        first = await text(site, f"/display/hall?key={key}")
        assert "暴雨红色预警" in first
        assert "密钥有误" in await text(
            site, "/display/hall?key=x", 403, **{"accept-language": "zh"}
        )
        beat = await site.client.post("/display/hall/beat", json={"key": key})
        (item,) = beat.json()["warnings"]
        assert item["warning"] == str(given.warning.id)
        state = "SELECT state, acknowledged_by FROM delivery WHERE channel = 'display'"
        assert await rows(conn, state) == [("accepted", None)]
        stranger = str(uuid.uuid4())
        await site.client.post(
            "/display/hall/beat", json={"key": key, "shown": [item["message"], stranger]}
        )
        assert await rows(conn, state) == [("delivered", "镇政府大厅")]
        known = await screens.find(conn, "hall")
        assert known is not None
        assert known.shown == (uuid.UUID(item["message"]),)
        assert known.seen is not None
        assert known.alive(known.seen + screens.ALIVE / 2)
        assert not known.alive(known.seen + screens.ALIVE)
        refused = await site.client.post("/display/hall/beat", json={"key": "x"})
        assert refused.status_code == 403
        assert await screens.remove(conn, "hall", at=later(1))
        await conn.commit()
        await text(site, f"/display/hall?key={key}", 403)
        # The name is free again, for another screen with another key.
        assert await screen(conn) != key


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a/b"}, "letters"),
        ({"regions": ("nowhere",)}, "nowhere"),
        ({"regions": ()}, "region"),
        ({"name": "hall"}, "already"),
    ],
)
async def test_a_screen_that_cannot_be_is_refused(
    plain_database: str, changes: dict[str, Any], says: str
) -> None:
    async with await prepare(plain_database) as conn:
        await screen(conn)
        wanted = {"name": "other", "title": "x", "regions": (REGION.id,), **changes}
        with pytest.raises(screens.ScreenError, match=says):
            await screens.add(conn, Wanted(**wanted), seal=SEAL, at=START)


async def test_the_own_link_shows_first_and_takes_a_name(plain_database: str) -> None:
    clock = Fixed(later(0.1))
    async with await prepare(plain_database) as conn, centre(plain_database, clock) as site:
        await issue(conn)
        await conn.execute("UPDATE delivery SET state = 'accepted'")
        await conn.commit()
        ids = [row[0] for row in await rows(conn, "SELECT id FROM delivery ORDER BY id")]
        path = acknowledge.link(ids[0], SEAL)
        assert len(path) == len("/a/") + 16
        asked = await text(site, f"{path}?lang=en")
        assert "I have read it" in asked
        assert "暴雨" in asked
        answered = (
            "SELECT id, acknowledged_by, acknowledgement FROM delivery WHERE state = 'delivered'"
        )
        assert await rows(conn, answered) == []  # looking is not answering
        assert "give your name" in await post(site, path, 400, name=" ", note="kept <b>")
        assert await rows(conn, answered) == []
        done = await post(site, path, name="李 队长", note="正在转移<script>")
        assert "Confirmed by 李 队长" in done
        assert "&lt;script&gt;" in done
        assert await rows(conn, answered) == [(ids[0], "李 队长", "正在转移<script>")]
        assert "Already confirmed by 李 队长" in await post(site, path, name="somebody else")
        assert await rows(conn, answered) == [(ids[0], "李 队长", "正在转移<script>")]

        clock.time = later(7)
        late = acknowledge.link(ids[1], SEAL)
        assert "not valid any more" in await text(site, f"{late}?lang=en", 410)
        assert "not valid any more" in await post(site, late, 410, name="too late")
        assert len(await rows(conn, answered)) == 1
        forged = path[:-2] + ("AA" if path[-2:] != "AA" else "BB")
        for wrong in (forged, "/a/x", f"/a/{'A' * 16}", f"/a/{'%00' * 8}"):
            assert "This link is not valid" in await text(site, f"{wrong}?lang=en", 404)


async def test_the_own_link_of_a_mail_shows_what_people_read(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        official = Subscriber(
            name="x",
            addresses=(contacts.read("email", "duty@example.cn"),),
            tier="official",
            regions=(REGION.id,),
        )
        await subscribers.save(conn, [official], seal=SEAL, at=START)
        await issue(conn, "orange", "email")
        await conn.execute("UPDATE delivery SET state = 'accepted'")
        ((delivery,),) = await rows(conn, "SELECT id FROM delivery")
        asked = await text(site, acknowledge.link(delivery, SEAL))
        said = asked.partition("<blockquote")[2].partition("</blockquote>")[0]
        assert "发布海淀暴雨橙色预警" in said
        assert "{" not in said


async def post(site: Website, path: str, status: int = 200, **form: str) -> str:
    answer: httpx.Response = await site.client.post(f"{path}?lang=en", data=form)
    assert answer.status_code == status, answer.text
    return answer.text


async def rows(conn: psycopg.AsyncConnection[Any], query: str) -> list[tuple[Any, ...]]:
    found = await (await conn.execute(query)).fetchall()
    await conn.commit()
    return found


def officer(number: int, *, turn: int, groups: tuple[str, ...] = ("一村",)) -> Subscriber:
    return Subscriber(
        name=f"officer {number}",
        addresses=(contacts.read("sms", f"+861990001{number:04}"),),
        tier="officer",
        regions=(REGION.id,),
        groups=groups,
        turn=turn,
    )


async def village(conn: psycopg.AsyncConnection[Any], *people: Subscriber) -> dict[int, uuid.UUID]:
    """Give the deliveries of a warning to these officers, by the end of their number."""
    await conn.execute("DELETE FROM contact")
    await conn.execute("DELETE FROM subscriber")
    await subscribers.save(conn, people, seal=SEAL, at=START)
    await issue(conn)
    found = await rows(
        conn, "SELECT hint, delivery.id FROM delivery JOIN contact ON contact.id = contact"
    )
    return {int(hint[-1]): delivery for hint, delivery in found}


WAITS = """
    SELECT extract(epoch FROM due - sent)::integer / 60 FROM delivery
    JOIN message ON message.id = message ORDER BY due
"""


async def test_officers_are_told_in_turn_until_one_answers(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        sent = await village(
            conn, officer(1, turn=1), officer(2, turn=2), officer(3, turn=3),
            officer(4, turn=2, groups=("二村",)), officer(5, turn=2, groups=("一村", "二村")),
            officer(6, turn=1, groups=("二村",)), officer(7, turn=0),
        )  # fmt: skip
        waits = await rows(conn, WAITS)
        assert [wait for (wait,) in waits] == [0, 0, 0, 5, 5, 5, 10]
        await conn.execute("UPDATE delivery SET state = 'accepted' WHERE due <= %s", (START,))
        contacts_of = dict(await rows(conn, "SELECT id, contact FROM delivery"))
        done = await acknowledge.by_contact(
            conn, contact=contacts_of[sent[1]], at=later(0.05), note="1"
        )
        assert done == [sent[1]]
        state = dict(await rows(conn, "SELECT id, state FROM delivery"))
        # Of the other village, and of both, nobody has answered yet.
        assert [state[sent[number]] for number in (2, 3, 4, 5)] == [
            "superseded", "superseded", "queued", "queued",
        ]  # fmt: skip
        assert (
            await acknowledge.by_contact(conn, contact=contacts_of[sent[1]], at=later(0.06)) == []
        )
        await acknowledge.by_delivery(conn, delivery=sent[6], at=later(0.06), name="六")
        state = dict(await rows(conn, "SELECT id, state FROM delivery"))
        assert {state[sent[number]] for number in (2, 3, 4, 5)} == {"superseded"}
        assert await acknowledge.by_delivery(conn, delivery=uuid.uuid4(), at=later(1)) is None


async def test_the_desk_sees_the_group_of_which_nobody_answers(plain_database: str) -> None:
    after = dt.timedelta(minutes=5)
    async with await prepare(plain_database) as conn:
        sent = await village(
            conn, officer(1, turn=1), officer(2, turn=2), officer(3, turn=1, groups=("二村",))
        )
        await conn.execute("UPDATE delivery SET state = 'accepted'")
        silent = [
            [item.group for item in await officers.silent(conn, now=later(hours), after=after)]
            for hours in (0.05, 0.1, 0.2)
        ]
        assert silent == [[], ["二村"], ["二村", "一村"]]
        await acknowledge.by_delivery(conn, delivery=sent[2], at=later(0.2), name="二")
        (left,) = await officers.silent(conn, now=later(0.2), after=after)
        assert (left.group, left.people, left.reached) == ("二村", 1, 1)
        assert await officers.silent(conn, now=later(24), after=after) == []  # it is over


async def test_the_raising_of_a_level_starts_the_turns_anew(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await village(conn, officer(1, turn=1), officer(2, turn=2))
        await conn.execute("UPDATE delivery SET state = 'accepted' WHERE due <= %s", (START,))
        (running,) = await ledger.running(conn)
        raised = advance(
            running, case("red", at=later(0.5)), at=later(0.5), complete=True, terms=Terms(),
            exercise=False,
        )  # fmt: skip
        assert raised is not None
        await ledger.record(conn, raised, desk=desk("sms"))
        states = await rows(conn, "SELECT state FROM delivery JOIN message ON message.id = message"
                                  " ORDER BY number, due")  # fmt: skip
        assert [row[0] for row in states] == ["accepted", "superseded", "queued", "queued"]


async def test_an_admin_adds_and_takes_away_screens(plain_database: str) -> None:
    async with await prepare(plain_database) as conn, centre(plain_database) as site:
        wanted = {"name": "hall", "title": "大厅", "regions": [REGION.id]}
        path = "/api/v1/screens"
        assert (await site.client.post(path, json=wanted)).status_code == 401
        officer_only = await bearer(plain_database, "officer", name="wang")
        assert (await site.client.post(path, json=wanted, headers=officer_only)).status_code == 403
        admin = await bearer(plain_database, "admin")
        added = await site.client.post(path, json=wanted, headers=admin)
        assert added.status_code == 201, added.text
        assert (await site.client.get(added.json()["address"])).is_success
        again = await site.client.post(path, json=wanted, headers=admin)
        assert (again.status_code, "already" in again.json()["detail"]) == (400, True)
        (known,) = (await site.client.get(path, headers=admin)).json()["screens"]
        assert (known["name"], known["alive"], known["age"]) == ("hall", False, None)
        assert "key" not in known
        silent = await site.client.get("/api/v1/officers/silent", headers=officer_only)
        assert silent.json()["silent"] == []
        gone = await site.client.delete(f"{path}/hall", headers=admin)
        assert gone.status_code == 204
        assert (await site.client.delete(f"{path}/hall", headers=admin)).status_code == 404
        written = await rows(conn, "SELECT act, subject FROM audit ORDER BY id DESC LIMIT 2")
        assert written == [("screen.remove", "hall"), ("screen.add", "hall")]


async def test_the_command_for_screens(
    plain_database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:  # fmt: skip
    async with await prepare(plain_database):
        pass

    async def run(*words: str) -> tuple[int, str]:
        arguments = main.parser().parse_args(["screen", *words])
        settings = Settings(data=str(tmp_path), store=Store(url=plain_database))
        code = await arguments.work(arguments, settings, Terminal(language="en"))
        return code, capsys.readouterr().out

    add = ("add", "hall", "--title", "Hall", "--region", REGION.id)
    assert await run("list") == (0, "no screens\n")
    code, said = await run(*add)
    assert code == 0
    assert "/display/hall?key=" in said
    assert "hall\tdisplay\tzh" in (await run("list"))[1]
    with pytest.raises(StartError):
        await run(*add)
    assert (await run("remove", "hall"))[0] == 0
    assert await run("remove", "hall") == (1, "there is no screen hall\n")


async def test_where_all_is_an_exercise_every_face_says_so(plain_database: str) -> None:
    scene = Scene(plain_database)
    await scene.open(now=START)
    place = "beijing-aotizhongxin"
    await scene.warn(place, "orange", at=EVENT_START)
    async with website(plain_database) as site:
        async with await psycopg.AsyncConnection.connect(plain_database) as conn:
            key = await screen(conn, regions=(place,))
        page = await text(site, "/?lang=en")
        assert "EXERCISE: this page" in page
        assert "Orange rainstorm" in page
        assert "This is an exercise, not a real warning." in await text(
            site, "/air/script.txt?lang=en"
        )
        assert (await text(site, "/air/crawl.txt?lang=en")).startswith("EXERCISE Orange")
        assert (await site.get("/widget.json", lang="en"))["mark"] == "EXERCISE"
        beat = await site.client.post("/display/hall/beat", json={"key": key})
        assert beat.json()["mark"] == "演练"
        assert beat.json()["warnings"][0]["exercise"] is True
