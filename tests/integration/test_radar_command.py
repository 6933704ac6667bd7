"""`fenghuo radar` as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import xarray as xr

CUTS = Path(__file__).parents[1] / "data/radar"


def fenghuo(*words: str, language: str = "en", block: str = "") -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules[{block!r}] = None\n" if block else ""
    code += "from server.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "radar", *words],
        env={**os.environ, "FENGHUO_LANGUAGE": language},
        capture_output=True,
        text=True,
        check=False,
    )


def test_frames_become_a_dataset_a_picture_and_a_summary(tmp_path: Path) -> None:
    frames = [str(path) for path in sorted(CUTS.glob("*.h5"))]
    out, png = tmp_path / "out.nc", tmp_path / "out.png"
    done = fenghuo(
        "--frames", *frames, "--out", str(out), "--png", str(png), "--members", "4", "--json"
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["time"] == "2010-08-26T02:20:00"
    assert summary["motion"] == "measured"
    assert [lead["minutes"] for lead in summary["leads"]] == list(range(5, 61, 5))
    assert png.read_bytes()[:4] == b"\x89PNG"
    with xr.open_dataset(out) as dataset:
        assert dataset["rainfall_rate"].dims == ("lead", "y", "x")
        assert dataset["rainfall_rate"].attrs["units"] == "mm h-1"
        assert dataset["crs"].attrs["grid_mapping_name"] == "polar_stereographic"
        assert float(dataset["probability_rate"].min()) >= 0
        assert float(dataset["probability_rate"].max()) <= 1.0


def test_what_is_wrong_is_said_in_both_languages(tmp_path: Path) -> None:
    blocked = fenghuo("--frames", str(CUTS), block="cv2")
    assert blocked.returncode == 1
    assert "fenghuo[radar]" in blocked.stderr
    assert "Traceback" not in blocked.stderr
    empty = fenghuo("--frames", str(tmp_path), language="zh")
    assert empty.returncode == 1
    assert "没有可读的资料" in empty.stderr
