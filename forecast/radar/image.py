"""The few image operations that radar needs, by OpenCV, with our own types.

Fields are (rows, columns); a coarse field has one value for each square of ``factor`` cells, and
lies with the middles of its squares where they are on the full grid.
"""

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

CELL: Final = 8
"""Grid cells along a side of a cell of a coarse field, such as the motion."""

_EDGES: Final = {
    "nothing": cv2.BORDER_CONSTANT,
    "rim": cv2.BORDER_REPLICATE,
    "mirror": cv2.BORDER_DEFAULT,
}
Edge = Literal["nothing", "rim", "mirror"]


def coarse(shape: tuple[int, ...]) -> tuple[int, int]:
    """Give the shape of the coarse field of a grid."""
    return -(-shape[0] // CELL), -(-shape[1] // CELL)


def shrink(field: Floats, factor: int = CELL) -> Floats:
    """Average over squares of ``factor`` cells; the rim is repeated to fill the last."""
    rows, columns = (-side % factor for side in field.shape)
    filled = field
    if rows or columns:
        filled = np.pad(field, ((0, rows), (0, columns)), mode="edge")
    size = (filled.shape[1] // factor, filled.shape[0] // factor)
    return np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_AREA), np.float32)


def spread(field: Floats, shape: tuple[int, ...], factor: int = CELL) -> Floats:
    """Give a coarse field on the full grid, linear between the middles of its squares."""
    size = (field.shape[1] * factor, field.shape[0] * factor)
    large = cv2.resize(np.ascontiguousarray(field), size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(large[: shape[0], : shape[1]], np.float32)


def blur(field: Floats, width: float, *, edge: Edge = "mirror") -> Floats:
    """Average with a Gaussian of a standard deviation in cells."""
    made = cv2.GaussianBlur(field, (0, 0), width, borderType=_EDGES[edge])
    return np.asarray(made, np.float32)


def take(
    field: Floats, rows: Floats, columns: Floats, *, edge: Edge = "nothing", outside: float = 0.0
) -> Floats:
    """Give a field at points, linear between four cells; nan where one of the four is nan."""
    made = cv2.remap(
        np.ascontiguousarray(field),
        columns,
        rows,
        cv2.INTER_LINEAR,
        borderMode=_EDGES[edge],
        borderValue=outside,
    )
    return np.asarray(made, np.float32)


def slopes(field: Floats) -> tuple[Floats, Floats]:
    """Give the change per cell along the rows' and the columns' direction (y, x)."""
    down, right = (
        np.asarray(cv2.Sobel(field, cv2.CV_32F, dx, 1 - dx, scale=0.125), np.float32)
        for dx in (0, 1)
    )
    return down, right


def connected(mask: NDArray[np.bool_]) -> Labels:
    """Give numbers, from 1, to what hangs together, over corners too; 0 is outside."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.int32)


def places(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Give the row and the column of every cell."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return rows, columns
