"""Rain radar: where the rain goes, how sure that is, and what it brings to a place.

`forecast.radar.outlook` needs numpy alone; the rest needs the extra ``[radar]``.
"""
