"""Radar: motion, extrapolation, scales, ensemble, gauges, cells, areas, tiles and files."""

import sys
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

from forecast.radar import areas, cells, frames, merging, probability, scales, tiles
from forecast.radar.extrapolation import carry, paths
from forecast.radar.law import Law
from forecast.radar.motion import Motion, estimate
from forecast.radar.outlook import SampledOutlook
from server.radar_files import RadarError, read

CUTS = Path(__file__).parents[1] / "data/radar"
KNMI = sorted(CUTS.glob("*.h5"))
SIZE = 192
START = np.datetime64("2026-07-01T00:00", "ns")


def blobs(minutes: float, *, right: float = 0.6, down: float = -0.3) -> frames.Floats:
    """Rain that moves by so many cells a minute, mm/h."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    rain = np.zeros((SIZE, SIZE))
    random = np.random.default_rng(3)
    for _ in range(40):
        row, column, peak = random.uniform(0, SIZE), random.uniform(0, SIZE), random.uniform(1, 20)
        apart = (y - row - down * minutes) ** 2 + (x - column - right * minutes) ** 2
        rain += peak * np.exp(-apart / (2 * random.uniform(3, 9) ** 2))
    return np.where(rain < 0.1, 0, rain).astype(np.float32)


def series(*minutes: float, fields: list[frames.Floats] | None = None) -> xr.DataArray:
    made = [blobs(at) for at in minutes] if fields is None else fields
    times = np.array([START + np.timedelta64(round(at * 60), "s") for at in minutes])
    return frames.series(
        np.stack(made), times, x=np.arange(SIZE) + 0.5, y=np.arange(SIZE)[::-1] + 0.5
    )


def middle(velocity: frames.Floats) -> list[float]:
    return [float(np.median(part[6:-6, 6:-6])) for part in velocity]


def csi(one: frames.Floats, other: frames.Floats, limit: float) -> float:
    a, b = np.nan_to_num(one) >= limit, np.nan_to_num(other) >= limit
    return float((a & b).sum() / (a | b).sum())


def test_a_series_is_sorted_and_holds_each_time_once() -> None:
    made = series(10, 0, 5, 5, fields=[np.full((SIZE, SIZE), v, np.float32) for v in (3, 1, 2, 4)])
    assert made[:, 0, 0].to_numpy().tolist() == [1, 4, 3]
    with pytest.raises(ValueError, match="square"):
        frames.series(
            np.zeros((1, 3, 3)), made["time"].to_numpy()[:1], x=np.arange(3), y=np.arange(3) * 2
        )


def test_recent_leaves_out_what_is_blind_late_or_too_old() -> None:
    whole = series(0, 40, 45, 50, 55)
    whole[3] = np.nan
    chosen = frames.recent(whole)
    assert chosen.ages.tolist() == [15, 10, 0]
    assert frames.recent(whole, at=whole["time"].to_numpy()[1]).ages.tolist() == [0]
    whole[:] = np.nan
    with pytest.raises(ValueError, match="sees"):
        frames.recent(whole)


@pytest.mark.parametrize("minutes", [(0, 5, 10), (0, 15), (0, 5, 20)])
def test_motion_is_found_with_gaps_in_time(minutes: tuple[float, ...]) -> None:
    found = estimate(frames.recent(series(*minutes)))
    assert found.source == "measured"
    assert middle(found.velocity) == pytest.approx([0.6, -0.3], abs=0.03)


def test_motion_is_found_with_a_missing_sector_and_fades_in_it() -> None:
    whole = series(0, 5, 10)
    whole[:, :, :80] = np.nan
    found = estimate(frames.recent(whole)).velocity
    assert float(np.median(found[0][6:-6, 14:])) == pytest.approx(0.6, abs=0.03)
    assert float(np.abs(found[:, :, 0]).max()) < 0.1


def test_without_rain_motion_is_none_or_the_earlier_one() -> None:
    dry = frames.recent(series(0, 5, fields=[np.zeros((SIZE, SIZE), np.float32)] * 2))
    none = estimate(dry)
    assert (none.source, float(np.abs(none.velocity).max())) == ("none", 0.0)
    earlier = estimate(frames.recent(series(0, 5)))
    assert estimate(dry, earlier=earlier) == Motion(earlier.velocity, "earlier")
    forecast = scales.nowcast(series(0, 5), dry)
    assert float(forecast.rain.max()) == 0.0
    assert not np.isnan(forecast.rain).any()


def test_carrying_moves_and_never_invents() -> None:
    uniform = Motion(
        np.stack([np.full((24, 24), 0.5), np.full((24, 24), 0.25)]).astype(np.float32), "measured"
    )
    field = np.zeros((SIZE, SIZE), np.float32)
    field[100, 100], field[50, 50] = 8, np.nan
    moved = carry(field, paths(uniform, [20])[0])
    assert moved[105, 110] == pytest.approx(8, abs=1e-3)
    assert np.isnan(moved[55, 60])
    assert np.isnan(moved[:4, :]).all()
    assert carry(field, paths(uniform, [20], steering=20)[0])[102, 104] > 1


def test_a_nowcast_follows_the_rain_and_keeps_its_distribution() -> None:
    past = series(0, 5, 10)
    forecast = scales.nowcast(past, frames.recent(past), leads=(5, 15, 30))
    for lead, field in zip((5, 15, 30), forecast.rain.to_numpy(), strict=True):
        truth = blobs(10 + lead)
        assert csi(field, truth, 1.0) > csi(blobs(10), truth, 1.0)
        assert (field >= 0.1).mean() == pytest.approx((blobs(10) >= 0.1).mean(), abs=0.005)
    assert forecast.rain.attrs["units"] == "mm h-1"


def test_one_frame_and_a_sector_that_fails_are_ordinary() -> None:
    alone = scales.nowcast(series(0), frames.recent(series(0)))
    assert alone.scales.motion.source == "none"
    assert csi(alone.rain[0].to_numpy(), blobs(0), 1.0) > 0.6
    past = series(0, 5, 10)
    past[2, 60:120, 60:120] = np.nan
    filled = scales.nowcast(past, frames.recent(past)).scales.rain
    assert np.isfinite(filled).all()
    assert csi(filled, blobs(10), 1.0) > 0.9
    past[:, :30] = np.nan
    assert np.isnan(scales.nowcast(past, frames.recent(past)).rain[:, :30]).all()


def test_real_frames_with_one_missing_beat_persistence() -> None:
    whole = read(KNMI, kind="knmi")
    past = whole[:3]
    forecast = scales.nowcast(past, frames.recent(past), leads=(10,)).rain[0].to_numpy()
    truth, now = whole[3].to_numpy(), past[2].to_numpy()
    for limit in (0.1, 1.0):
        assert csi(forecast, truth, limit) > csi(now, truth, limit) + 0.02


def test_the_law_keeps_large_rain_longer_and_learns_of_long_lives() -> None:
    law = Law.load()
    kept = law.kept(30)
    assert (np.diff(kept) <= 0).all()
    assert kept[0] > 0.9
    assert kept[-1] < 0.1
    usual = np.array([scale.loss or 0.0 for scale in law.scale])
    assert law.life(usual, minutes=5) == pytest.approx(1)
    assert law.life(usual / 3, minutes=5) > 1.3
    assert (law.carried(60, over=5) >= law.carried(5, over=5)).all()


def test_members_are_repeatable_and_their_chances_are_chances() -> None:
    past = series(0, 5, 10)
    taken = scales.Scales.of(frames.recent(past))
    first = list(probability.ensemble(taken, leads=(10, 20), members=6, seed=1))
    again = list(probability.ensemble(taken, leads=(10, 20), members=6, seed=1))
    assert np.array_equal(first[1].rain, again[1].rain)
    assert not np.array_equal(first[0].rain[0], first[0].rain[1])
    chance = probability.chance(first[0].rain, 1.0, width=2)
    assert 0 <= chance.min() < 0.05
    assert 0.9 < chance.max() <= 1.0001
    truth = blobs(20) >= 1
    assert ((chance - truth) ** 2).mean() < 0.6 * truth.mean() * (1 - truth.mean())
    window = probability.window(first, rates=(1.0,), amounts=(0.5,), width=0)
    assert (window.peak[1.0] >= probability.chance(first[0].rain, 1.0) - 1e-6).all()
    total = (first[0].rain.mean(axis=0) + first[1].rain.mean(axis=0)) / 6
    assert window.mean == pytest.approx(total, abs=1e-4)


def test_the_expected_area_is_that_of_the_best_expected_index() -> None:
    chance = np.array([[0.9, 0.6, 0.4, 0.1, np.nan, 0.0]], np.float32)
    # Expected CSI of the first one, two, three, four: .45, .68, .73, .5 of 2.0 in all.
    assert probability.expected(chance).tolist() == [[True, True, True, False, False, False]]
    assert not probability.expected(np.zeros((2, 2), np.float32)).any()


def test_an_outlook_adds_up_over_any_stretch() -> None:
    rates = np.array([[[6.0, 0], [12, 0], [0, np.nan]], [[0, 0], [0, 12], [0, 0]]])
    made = SampledOutlook.of(rates, time=1_000, step=300)
    assert made.until == 900
    amount = made.amount(np.array([0, 1]), 150, 600)
    assert amount.members == pytest.approx(np.array([[1.25, 0], [0, 1]]))
    assert amount.mean == pytest.approx([0.625, 0.5])
    assert np.isnan(made.amount(np.array([1]), 0, 900).mean).all()
    assert made.amount(np.array([0]), 0, 900).mean == pytest.approx([0.75])
    assert np.isnan(made.amount(np.array([0]), 0, 901).members).all()
    with pytest.raises(ValueError, match="leads"):
        made.amount(np.array([0]), 600, 300)
    members = [probability.Frame(5.0 * n, np.full((2, 4, 4), n, np.float32)) for n in (1, 2)]
    outlook = probability.outlook(members, np.array([1, -1]), np.array([2, 0]), time=0)
    assert outlook.amount(np.array([0, 1]), 0, 600).mean == pytest.approx(
        [0.25, np.nan], nan_ok=True
    )


def test_gauges_mend_the_radar_where_no_gauge_is() -> None:
    random = np.random.default_rng(5)
    truth = blobs(0) + 2
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    radar = (truth * np.exp(-0.7 + 0.5 * np.sin(x / 40) * np.cos(y / 50))).astype(np.float32)
    row, column = random.uniform(0, SIZE - 1, (2, 50))
    gauge = merging.sample(truth, row, column) * np.exp(random.normal(0, 0.1, 50))
    gauge[0] = 300.0  # a gauge gone mad
    made = merging.left_out(radar, gauge, row, column)
    right = merging.sample(truth, row, column)[1:]
    mended = np.abs(made[1:] - right).mean()
    plain = np.abs(merging.sample(radar, row, column)[1:] - right).mean()
    flat = merging.sample(radar, row, column)[1:] * np.median(
        gauge / merging.sample(radar, row, column)
    )
    assert mended < 0.4 * plain
    assert mended < 0.8 * np.abs(flat - right).mean()
    adjusted = merging.adjustment(radar, gauge, row, column).apply(radar)
    assert np.abs(adjusted - truth).mean() < 0.4 * np.abs(radar - truth).mean()
    nothing = merging.adjustment(radar, np.full(3, np.nan), row[:3], column[:3])
    assert nothing.apply(radar) == pytest.approx(radar)


def test_cells_are_followed_and_arrive() -> None:
    fields = []
    for minutes in (0, 5, 10):
        field = np.zeros((SIZE, SIZE), np.float32)
        field[90:102, 40 + minutes : 55 + minutes] = 20
        field[20:22, 20] = 30  # too small
        fields.append(field)
    recent = frames.recent(series(0, 5, 10, fields=fields))
    east = Motion(np.stack([np.ones((24, 24)), np.zeros((24, 24))]).astype(np.float32), "measured")
    found = cells.find(recent, east)
    (cell,) = found.cells
    assert (cell.row, cell.column) == pytest.approx((95.5, 57), abs=0.1)
    assert (cell.area, cell.peak, cell.toward) == (180, 20, 90)
    assert cell.speed == pytest.approx(1000 / 60, rel=1e-3)
    assert [at[0] for at in cell.track] == [10, 5, 0]
    minutes = found.arrivals(np.array([95.0, 95, 10]), np.array([60.0, 94, 94]))
    assert minutes[0, :2].tolist() == [0, 30]
    assert np.isnan(minutes[0, 2])


def test_an_area_counts_its_share_of_each_cell() -> None:
    x, y = np.arange(4) + 0.5, np.arange(4)[::-1] + 0.5
    outer = np.array([[0.5, 0.5], [3, 0.5], [3, 3], [0.5, 3]])
    hole = np.array([[1, 1], [2, 1], [2, 2], [1, 2]])
    made = areas.area([outer, hole], x=x, y=y)
    assert made.share.sum() == pytest.approx(2.5 * 2.5 - 1)
    field = np.zeros((2, 4, 4), np.float32)
    field[1] = 4
    field[1, 3, 0] = np.nan
    assert made.mean(field).tolist() == [0, 4]
    assert made.seen(field)[1] == pytest.approx(1 - 0.25 / 5.25)
    with pytest.raises(ValueError, match="three"):
        areas.area([outer[:2]], x=x, y=y)


def test_tiles_give_the_same_as_the_whole_grid() -> None:
    past = series(0, 5, 10)
    recent = frames.recent(past)
    motion = estimate(recent)
    whole = carry(recent.newest, paths(motion, [20])[0])
    tiled = tiles.carried(recent.newest, motion, 20, tile=64, border=32).compute(scheduler="sync")
    assert np.array_equal(np.isnan(whole), np.isnan(tiled))
    assert np.nanmax(np.abs(whole - tiled)) < 1e-3
    taken = scales.Scales.of(recent, motion=motion)
    ways = paths(motion, [30], steering=taken.law.steering)
    plain = taken.field(30, ways[0])
    parts = tiles.nowcast(recent, motion, [30], life=taken.life, tile=96, border=96)
    (split,) = dask.compute(*parts, scheduler="sync")
    assert np.abs(split - plain).mean() < 0.05 * plain.mean()
    assert csi(split, plain, 1.0) > 0.95
    with pytest.raises(ValueError, match="border"):
        tiles.carried(recent.newest, motion, 60, border=32)
    with pytest.raises(ValueError, match="multiples"):
        tiles.layout((64, 64), tile=20)


def test_files_are_read_as_their_kind_says(tmp_path: Path) -> None:
    knmi = read(KNMI, kind="knmi")
    assert knmi.shape == (4, 128, 128)
    assert str(knmi["time"].to_numpy()[3]) == "2010-08-26T02:20:00.000000000"
    assert float(knmi.max()) == pytest.approx(round(float(knmi.max()) / 0.12) * 0.12, rel=1e-4)
    assert float(knmi["y"][0]) == -3950.5
    assert "stere" in knmi.attrs["projection"]
    fmi = read(sorted(CUTS.glob("*.pgm.gz")), kind="fmi")
    assert str(fmi["time"].to_numpy()[0]) == "2016-09-28T14:45:00.000000000"
    assert 0.999 < float(fmi["x"][1] - fmi["x"][0]) < 1.0
    assert 0 < float(fmi.max()) < 100
    copy = tmp_path / "copy.nc"
    knmi.to_netcdf(copy)
    assert read([copy], kind="netcdf").equals(knmi)


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("knmi", b"nothing", "unreadable"),
        ("fmi", b"P5\n# obstime 1\n1 1\n255\n1", "unreadable"),
        ("netcdf", b"nothing", "unreadable"),
        ("other", b"", "kind"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, kind: str, content: bytes, code: str) -> None:
    file = tmp_path / "frame"
    file.write_bytes(content)
    with pytest.raises(RadarError) as caught:
        read([file], kind=kind)
    assert caught.value.code == code


def test_numpy_alone_is_enough_for_an_outlook() -> None:
    source = Path(sys.modules["forecast.radar.outlook"].__file__ or "").read_text("utf-8")
    assert "forecast" not in [
        line.split()[1].split(".")[0]
        for line in source.splitlines()
        if line.startswith(("from ", "import "))
    ]
