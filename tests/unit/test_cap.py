"""CAP: what it says, and what the rules refuse."""

import datetime as dt

import msgspec
import pytest
from lxml import etree

from alerts import cap
from alerts.cap import rules
from alerts.catalogue import Catalogue
from alerts.life.course import advance
from alerts.life.message import Message, compose
from alerts.life.warning import Act, Step, Terms
from alerts.texts.wording import Bureau, Writer
from tests.samples import BUREAU, REGION, case, later, step

CATALOGUE = Catalogue.load()
NAMES = {"c": cap.NAMESPACE}


def built(given: Step, *earlier: Message, bureau: Bureau = BUREAU) -> str:
    message = compose(given)
    bulletins = {
        language: Writer(
            given.warning,
            act=given.act,
            at=message.sent,
            region=REGION,
            bureau=bureau,
            catalogue=CATALOGUE,
            language=language,
        ).bulletin()
        for language in ("zh", "en")
    }
    return cap.build(
        message,
        warning=given.warning,
        predecessors=earlier,
        region=REGION,
        bureau=bureau,
        bulletins=bulletins,
    )


def said(xml: str, path: str) -> list[str]:
    found = etree.fromstring(xml).findall(path, NAMES)
    return [element.text or "" for element in found]


def event() -> list[Step]:
    """Issue, upgrade, cancel."""
    steps = [step("yellow")]
    for hour, level in ((1, "orange"), (3, "")):
        now = case(level, at=later(hour)) if level else None
        found = advance(
            steps[-1].warning, now, at=later(hour), complete=True, terms=Terms(), exercise=True
        )
        assert found is not None
        steps.append(found)
    return steps


def test_an_exercise_says_so() -> None:
    xml = built(step("orange"))
    assert said(xml, "c:status") == ["Exercise"]
    assert "演练" in said(xml, "c:note")[0]
    assert all(text.startswith(("【演练】", "EXERCISE")) for text in said(xml, "c:info/c:headline"))


def test_a_real_one_does_not() -> None:
    xml = built(step("orange", exercise=False))
    assert said(xml, "c:status") == ["Actual"]
    assert said(xml, "c:note") == []
    assert "演练" not in xml


def test_codes_times_and_place() -> None:
    xml = built(step("orange"))
    assert said(xml, "c:sent") == ["2016-07-20T08:00:00+08:00"]
    assert said(xml, "c:info/c:language") == ["zh-CN", "en-US"]
    assert said(xml, "c:info/c:eventCode/c:value")[:2] == ["11B03", "p0002002"]
    assert said(xml, "c:info/c:severity") == ["Severe"] * 2
    assert said(xml, "c:info/c:urgency") == ["Immediate"] * 2
    assert said(xml, "c:info/c:certainty") == ["Observed"] * 2
    assert said(xml, "c:info/c:expires") == ["2016-07-20T14:00:00+08:00"] * 2
    polygon = said(xml, "c:info/c:area/c:polygon")[0].split()
    assert polygon[0] == polygon[-1] == "39.9,116.2"
    assert said(xml, "c:info/c:area/c:geocode/c:value") == ["54399"] * 2


def test_a_chain_refers_to_all_that_still_counts() -> None:
    first, second, end = event()
    one, two = compose(first), compose(second)
    assert said(built(first), "c:msgType") == ["Alert"]
    update = built(second, one)
    assert said(update, "c:msgType") == ["Update"]
    assert said(update, "c:references") == [f"{BUREAU.sender},{one.id},2016-07-20T08:00:00+08:00"]
    cancel = built(end, one, two)
    assert end.act is Act.CANCEL
    assert said(cancel, "c:msgType") == ["Cancel"]
    assert len(said(cancel, "c:references")[0].split()) == 2
    assert said(cancel, "c:info/c:responseType") == ["AllClear"] * 2
    for xml in (built(first), update, cancel):
        assert rules.check(xml) == []


def test_what_has_expired_is_not_referred_to() -> None:
    first, second, _ = event()
    old = msgspec.structs.replace(compose(first), expires=later(1))
    assert len(said(built(second, old), "c:references")[0].split()) == 1  # the newest, always
    older = msgspec.structs.replace(old, number=0)
    assert len(said(built(second, older, old), "c:references")[0].split()) == 1


def test_utc_is_written_as_cap_wants_it() -> None:
    assert cap.moment(later(0), dt.UTC) == "2016-07-20T00:00:00-00:00"
    utc = msgspec.structs.replace(BUREAU, zone="UTC")
    assert rules.check(built(step(), bureau=utc)) == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<sent>2016-07-20T08:00:00+08:00", "<sent>2016-07-20T00:00:00Z", "sent is not a time"),
        ("14:00:00+08:00</expires>", "07:00:00+08:00</expires>", "expires before it is sent"),
        ("08:00:00+08:00</effective>", "07:00:00+08:00</effective>", "before it is sent"),
        ("39.9,116.2</polygon>", "39.9,116.3</polygon>", "not closed"),
        ("<polygon>39.9,116.2 ", "<polygon>39.9;116.2 ", "pairs of latitude,longitude"),
        ("<note>", "<source>", "must say in its note"),
        ("<msgType>Alert", "<msgType>Update", "must refer to earlier"),
        ("<msgType>Alert", "<msgType>Cancel", "must refer to earlier"),
        ("<incidents>", "<references>", "refers to nothing"),
        ("<sender>warnings@", "<sender>the warnings@", "sender is empty or has a space"),
        ("<language>en-US", "<language>zh-CN", "two info blocks in one language"),
        ("<severity>Severe</severity>", "<severity>Minor</severity>", "severity differs"),
        ("<expires>", "<nothing>", "no expires"),
        ("<headline>", "<nothing>", "no headline"),
        ("<scope>Public", "<scope>Private", "needs addresses"),
        ("<alert ", "<alarm ", "not XML"),
    ],
)
def test_broken_rules_are_named(old: str, new: str, reason: str) -> None:
    xml = built(step("orange"))
    assert old in xml
    broken = xml.replace(old, new, 1)
    if old.startswith("<") and new.startswith("<") and old.endswith(">"):
        broken = broken.replace(old.replace("<", "</"), new.replace("<", "</"), 1)
    problems = rules.check(broken)
    assert any(reason in problem.text("en") for problem in problems), problems
    assert all(problem.text("zh") != problem.text("en") for problem in problems)


@pytest.mark.parametrize(
    ("polygon", "reason"),
    [
        ("116.2,39.9 116.4,39.9 116.4,40.1 116.2,39.9", "swapped"),
        ("39.9,116.2 39.9,116.4 39.9,116.2", "at least four"),
        ("0,0 1,1 1,0 0,1 0,0", "crosses itself"),
        ("0,0 0,181 1,181 0,0", "longitude beyond"),
    ],
)
def test_broken_polygons_are_named(polygon: str, reason: str) -> None:
    xml = built(step())
    good = said(xml, "c:info/c:area/c:polygon")[0]
    problems = rules.check(xml.replace(good, polygon))
    assert any(reason in problem.text("en") for problem in problems), problems
    assert all(problem.text("zh") != problem.text("en") for problem in problems)


def test_entities_are_not_followed() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><alert>&x;</alert>'
    assert rules.check(bomb)
