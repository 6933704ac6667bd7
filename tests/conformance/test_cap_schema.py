"""Every alert we can write validates against the standard's schema and our own rules."""

from pathlib import Path

import pytest
from lxml import etree

from alerts.cap import rules
from alerts.cap.examination import examine
from alerts.life.evidence import Door
from tests.samples import SIGNALS, step
from tests.unit.test_cap import built, compose, event

FOLDER = Path(__file__).parents[2].parent / "shared" / "conformance" / "cap"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the schema of CAP 1.2 is not beside the project"
)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(FOLDER / "CAP-v1.2.xsd"))


def test_there_are_44_levels() -> None:
    assert len(SIGNALS) == 44


@pytest.mark.parametrize("exercise", [True, False], ids=["exercise", "actual"])
@pytest.mark.parametrize("door", ["observed", "expected"])
def test_all_levels(schema: etree.XMLSchema, door: Door, exercise: bool) -> None:
    for hazard, level in SIGNALS:
        xml = built(step(level, hazard=hazard, door=door, exercise=exercise))
        schema.assertValid(etree.fromstring(xml))
        assert rules.check(xml) == [], (hazard, level)


def test_a_whole_event(schema: etree.XMLSchema) -> None:
    steps = event()
    for number, given in enumerate(steps):
        xml = built(given, *(compose(earlier) for earlier in steps[:number]))
        schema.assertValid(etree.fromstring(xml))
        assert rules.check(xml) == []


def test_samples_of_others(schema: etree.XMLSchema) -> None:
    valid = (FOLDER / "bf_valid.xml").read_bytes()
    # Other offices choose their tags; times that make sense and closed polygons are for all.
    assert rules.check(valid) == []
    assert not schema.validate(etree.parse(FOLDER / "bf_invalid_schema.xml"))


def test_broken_samples_are_refused_for_the_right_reason() -> None:
    assert examine((FOLDER / "bf_valid.xml").read_bytes()).valid
    digest = examine((FOLDER / "bf_invalid_digest.xml").read_bytes())
    assert digest.signature
    assert not digest.schema
    broken = examine((FOLDER / "bf_invalid_schema.xml").read_bytes())
    assert "severity" in broken.schema[0]
    for sample in sorted((FOLDER.parents[1] / "data" / "cap").glob("*.xml")):
        assert examine(sample.read_bytes()).valid, sample.name
