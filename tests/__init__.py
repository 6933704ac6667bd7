"""Tests: unit (pure), integration (real servers), browser, faults (kills), conformance, bench."""
