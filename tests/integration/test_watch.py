"""The watch on a real database: readings in, warnings and messages out, once each."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence

import pytest

from agent.elements import ELEMENTS
from alerts import ledger, regions
from alerts.catalogue import Catalogue
from alerts.policy import Policy
from alerts.wording import Bureau
from forecast.criteria import Criteria
from server.clock import EventClock
from server.store import stations
from server.store.database import Database
from server.watch import Watch
from tests.rows import store

START = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
