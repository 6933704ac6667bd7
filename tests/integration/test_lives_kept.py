"""The same lives on a real database: what is written stays, and what must not be is refused.

``FENGHUO_LIVES`` says how many lives are lived here, 15 without it.
"""

import asyncio
import datetime as dt
import itertools
import os
import uuid
from typing import Any, ClassVar

import msgspec
import psycopg
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from alerts import regions
from alerts.bureau.policy import Approval, Automatic
from alerts.life import diary, ledger
from alerts.life.acts import HANDS, begin, perform
from alerts.life.changes import ActError, Changes
from alerts.life.evidence import LEVELS, Case
from alerts.life.warning import ENDING, Act, TransitionError
from alerts.people import subscribers
from alerts.regions import Region
from alerts.rights import Person, RightsError
from server.decision import decide
from tests.samples import REGION, SEAL, case, desk, later

LIVES = int(os.environ.get("FENGHUO_LIVES", "15"))
PEOPLE = [
    Person(id=1, name="chen", title="Chen", roles=frozenset({"forecaster"})),
    Person(id=2, name="wang", title="Wang", roles=frozenset({"approver"})),
    Person(id=3, name="zhao", title="Zhao", roles=frozenset({"forecaster", "approver"})),
]
BASE = desk("sms")

TAMPERING = [
    "UPDATE message SET cap = cap || ' '",
    "UPDATE message SET exercise = NOT exercise",
    "DELETE FROM message",
    "UPDATE script SET body = 'something else'",
    "UPDATE warning SET exercise = NOT exercise",
    "UPDATE warning SET version = version - 1",
    "UPDATE warning SET ended = NULL, state = 'issued' WHERE ended IS NOT NULL",
    "UPDATE delivery SET exercise = NOT exercise",
    "UPDATE delivery SET channel = 'sms' WHERE exercise",
    "UPDATE warning_act SET name = 'nobody'",
    "DELETE FROM warning_act",
]

COPY = """
    INSERT INTO delivery (
        message, subscriber, contact, channel, way, language, tier, exercise, priority, due,
        expires, changed
    )
    SELECT message, subscriber, contact, 'sms', 'sms', language, tier, {exercise}, 0, due,
        expires, changed
    FROM delivery WHERE exercise AND way = 'sms'
"""
"""What would make real ones of an exercise's deliveries."""


class Kept(RuleBasedStateMachine):
    """One place for each life; the database is the same for all of them."""

    url: ClassVar[str]
    births: ClassVar = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.at = later(0) + dt.timedelta(days=next(self.births))
        self.region: Region = msgspec.structs.replace(REGION, id=f"r{next(self.births)}")
        self.said: dict[uuid.UUID, tuple[Any, ...]] = {}
        self.run(self.open())

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    async def open(self) -> None:
        self.conn = await psycopg.AsyncConnection.connect(self.url)
        await regions.save(self.conn, [self.region])
        people = subscribers.sample([self.region])
        await subscribers.save(self.conn, people, seal=SEAL, at=self.at)
        await self.conn.commit()

    @initialize(
        automatic=st.sampled_from([(), LEVELS]),
        veto=st.sampled_from(["0m", "30m"]),
        two=st.sampled_from([(), ("orange", "red")]),
    )
    def policy(self, automatic: tuple[Any, ...], veto: str, two: tuple[Any, ...]) -> None:
        policy = msgspec.structs.replace(
            BASE.policy,
            automatic=Automatic(levels=automatic, veto=veto),
            approval=Approval(two=two),
        )
        self.desk = msgspec.structs.replace(BASE, policy=policy)

    # What happens.

    @rule(
        level=st.sampled_from(["", *LEVELS]),
        door=st.sampled_from(["observed", "expected"]),
        minutes=st.integers(0, 200),
        killed=st.booleans(),
    )
    def moment(self, level: str, door: Any, minutes: int, killed: bool) -> None:
        self.at += dt.timedelta(minutes=minutes)
        found = case(level, door=door, region=self.region.id, at=self.at) if level else None
        if found is not None and door == "expected":
            found = msgspec.structs.replace(found, onset=self.at + dt.timedelta(hours=3))
        if killed:
            self.run(self.decide(found))
            self.run(self.conn.rollback())
        self.run(self.decide(found))
        self.run(self.conn.commit())

    async def decide(self, found: Case | None) -> None:
        await decide(
            self.conn,
            {} if found is None else {(found.hazard, found.region): found},
            at=self.at,
            as_exercise=False,
            desk=self.desk,
            heard=lambda _: True,
        )

    @rule(
        by=st.sampled_from(PEOPLE),
        level=st.sampled_from(LEVELS),
        exercise=st.booleans(),
        killed=st.integers(0, 4).map(lambda n: n == 0),
    )
    def draft(self, *, by: Person, level: str, exercise: bool, killed: bool) -> None:
        self.run(self.begin(by, level, exercise=exercise, killed=killed))

    async def begin(self, by: Person, level: str, *, exercise: bool, killed: bool) -> None:
        there = await diary.standing(
            self.conn, hazard="rainstorm", region=self.region.id, exercise=exercise
        )
        step = begin(
            id=uuid.UUID(int=next(self.births)),
            hazard="rainstorm",
            region=self.region.id,
            level=level,
            exercise=exercise,
            by=by,
            at=self.at,
            terms=self.desk.policy.terms("rainstorm"),
        )
        try:
            await ledger.record(self.conn, step, desk=self.desk)
        except (psycopg.errors.UniqueViolation, psycopg.errors.IntegrityError) as error:
            note(f"{error}")
            await self.conn.rollback()
            return
        assert there is None, "two events at once"
        await (self.conn.rollback() if killed else self.conn.commit())

    @rule(
        by=st.sampled_from(PEOPLE),
        act=st.sampled_from([*HANDS, Act.APPROVE, Act.SUBMIT]),
        exercise=st.booleans(),
        level=st.none() | st.sampled_from(LEVELS),
        killed=st.integers(0, 4).map(lambda n: n == 0),
    )
    def hand(
        self, *, by: Person, act: Act, exercise: bool, level: str | None, killed: bool
    ) -> None:
        self.run(self.try_out(by, act, level, exercise=exercise, killed=killed))

    async def try_out(
        self, by: Person, act: Act, level: str | None, *, exercise: bool, killed: bool
    ) -> None:
        warning = await diary.standing(
            self.conn, hazard="rainstorm", region=self.region.id, exercise=exercise
        )
        if warning is not None:
            try:
                steps = perform(
                    warning,
                    act,
                    version=warning.version,
                    by=by,
                    at=self.at,
                    terms=self.desk.policy.terms("rainstorm"),
                    two=self.desk.policy.approval.two,
                    changes=Changes(level=level) if level else Changes(),
                    led="hand",
                )
            except (TransitionError, RightsError, ActError) as error:
                note(f"{error}")
            else:
                await ledger.record_all(self.conn, steps, desk=self.desk)
                written = await diary.hold(self.conn, warning.id)
                assert written == steps[-1].warning
        await (self.conn.rollback() if killed else self.conn.commit())

    @rule(
        statement=st.sampled_from([*TAMPERING, COPY]), exercise=st.sampled_from(["true", "false"])
    )
    def tamper(self, statement: str, exercise: str) -> None:
        """The database itself keeps what is said, and an exercise what it is."""
        self.run(self.try_to(statement.format(exercise=exercise)))

    async def try_to(self, statement: str) -> None:
        try:
            cursor = await self.conn.execute(statement)
            assert cursor.rowcount == 0, "the database let it happen"
        except psycopg.errors.IntegrityError as error:
            note(f"{error}")
        await self.conn.rollback()

    # What can never happen.

    @invariant()
    def what_was_said_stays_and_no_exercise_is_real(self) -> None:
        self.run(self.look())

    async def look(self) -> None:
        cursor = await self.conn.execute(
            "SELECT id, number, act, level, exercise, sent, onset, expires, md5(cap) FROM message"
            " WHERE warning IN (SELECT id FROM warning WHERE region = %s)",
            (self.region.id,),
        )
        rows = {row[0]: row for row in await cursor.fetchall()}
        assert self.said.items() <= rows.items()
        self.said = rows
        cursor = await self.conn.execute(
            "SELECT count(*) FROM delivery JOIN message ON message.id = message"
            " JOIN warning ON warning.id = warning"
            " WHERE (warning.exercise OR message.exercise OR delivery.exercise)"
            " AND NOT (warning.exercise AND message.exercise AND delivery.exercise"
            " AND delivery.channel = 'exercise')"
        )
        assert await cursor.fetchone() == (0,)
        await self.conn.rollback()

    def teardown(self) -> None:
        try:
            if hasattr(self, "desk"):
                self.run(self.finish())
        finally:
            self.run(self.conn.close())
            self.runner.close()

    async def finish(self) -> None:
        """With no more weather and nobody at the desk, everything ends, and is heard to end."""
        for _ in range(16):
            self.at += dt.timedelta(hours=3)
            await self.decide(None)
            await self.conn.commit()
        left = await ledger.running(self.conn)
        assert [each for each in left if each.region == self.region.id] == []
        events: dict[uuid.UUID, list[str]] = {}
        cursor = await self.conn.execute(
            "SELECT message.warning, act FROM message JOIN warning ON warning.id = message.warning"
            " WHERE region = %s ORDER BY message.warning, message.number",
            (self.region.id,),
        )
        for warning, act in await cursor.fetchall():
            events.setdefault(warning, []).append(act)
        for warning, acts in events.items():
            ends = {*map(str, ENDING), "withdraw"}
            assert acts[-1] in ends, acts
            assert acts.count("issue") <= 1
            cursor = await self.conn.execute(
                "WITH chain AS (SELECT * FROM message WHERE warning = %s), heard AS ("
                " SELECT DISTINCT subscriber FROM delivery JOIN chain ON chain.id = message"
                " WHERE state NOT IN ('failed', 'expired', 'superseded', 'muted')"
                "), told AS (SELECT subscriber FROM delivery JOIN chain ON chain.id = message"
                " WHERE number = (SELECT max(number) FROM chain))"
                " SELECT count(*) FROM heard WHERE subscriber NOT IN (SELECT * FROM told)",
                (warning,),
            )
            assert await cursor.fetchone() == (0,), acts


def test_lives_on_a_real_database(plain_database: str) -> None:
    Kept.url = plain_database
    run_state_machine_as_test(
        Kept,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
