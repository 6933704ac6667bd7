"""A database of the time before recipients had contacts: nothing of it is lost or made up."""

import datetime as dt

from server.store.connection import connect
from server.store.migrations import history, migrate
from tests.samples import SEAL
from tests.servers.databases import Server

OLD = """
INSERT INTO region VALUES ('r', '海淀', 'Haidian', '{}', NULL, true);
INSERT INTO warning VALUES (
    '00000000-0000-0000-0000-000000000001', 'gale', 'r', 'issued', 'blue', 'observed', true,
    now(), now(), now(), now(), now(), now() + interval '1 hour', NULL, 1, '{}'
);
INSERT INTO message VALUES (
    '00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 1, 'issue',
    'blue', 'observed', true, now(), now(), now() + interval '1 hour', '[]', '<alert/>'
);
INSERT INTO subscriber (name, phone, language, tier, lowest, regions) VALUES
    ('李', '+8619900000001', 'zh', 'official', 'blue', '{r}'),
    ('Ann', '+8619900000002', 'en', 'public', 'red', '{r}'),
    ('Bo', '+8619911111113', 'en', 'public', 'red', '{r}');
INSERT INTO delivery (
    message, subscriber, channel, exercise, address, body, segments, priority, state, due, expires,
    changed
)
SELECT '00000000-0000-0000-0000-000000000002', id, 'exercise', true, phone,
    CASE name WHEN '李' THEN '大风' WHEN 'Ann' THEN 'Gale' ELSE '大风 (was zh then)' END,
    2, 30, 'delivered', now(), now() + interval '1 hour', now()
FROM subscriber;
"""


async def test_old_rows_are_carried_over(plain_server: Server) -> None:
    with plain_server.fresh(migrated=False) as url:
        await migrate(url, known=tuple(step for step in history() if step.number < 6))
        async with await connect(url, name="test") as conn:
            await conn.execute(OLD)
        await migrate(url)
        async with await connect(url, name="test") as conn:
            cursor = await conn.execute(
                "SELECT name, address, hint, confirmed, source FROM subscriber"
                " JOIN contact ON contact.subscriber = subscriber.id ORDER BY subscriber.id"
            )
            people = await cursor.fetchall()
            cursor = await conn.execute(
                "SELECT body, segments, delivery.language, way, tier, state, handed FROM delivery"
                " JOIN script ON script.message = delivery.message AND script.channel = way"
                " AND script.language = delivery.language ORDER BY subscriber"
            )
            said = await cursor.fetchall()
    assert [SEAL.open(name) for name, *_ in people] == ["李", "Ann", "Bo"]
    assert [(SEAL.open(address), hint) for _, address, hint, *_ in people] == [
        ("+8619900000001", "…0001"), ("+8619900000002", "…0002"), ("+8619911111113", "…1113")
    ]  # fmt: skip
    assert all(confirmed for *_, confirmed, _ in people)
    assert [source for *_, source in people] == ["sample", "sample", "import"]
    bodies = [(body, segments, way, tier) for body, segments, _, way, tier, *_ in said]
    assert bodies == [
        ("大风", 2, "sms", "official"),
        ("Gale", 2, "sms", "public"),
        ("大风 (was zh then)", 2, "sms", "public"),
    ]
    languages = [language for _, _, language, *_ in said]
    assert languages[0] == "zh"
    assert sorted(languages[1:]) == ["en", "en-x-2"]
    assert all(state == "delivered" and isinstance(at, dt.datetime) for *_, state, at in said)
