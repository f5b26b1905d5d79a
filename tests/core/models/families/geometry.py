"""Where each family's image tokens lie, written down by hand from how its pictures are prepared.

Nothing here runs a processor. A grid is (rows, columns, left, top, right, bottom) in picture pixels. The numbers are
those of the tiny models: views of 48 pixels, patches of 8.
"""

import math
from collections.abc import Callable
from typing import Any

Size = tuple[int, int]
Grid = tuple[int, int, float, float, float, float]
Layout = tuple[list[Grid], int]
"""The grids of a picture in the order of its tokens, and how many of its tokens have no place."""

TILE = 48


def _whole(rows: int, columns: int, size: Size) -> Grid:
    return rows, columns, 0.0, 0.0, float(size[1]), float(size[0])


def _squashed(side: int) -> Callable[[Any, Size, int], Layout]:
    return lambda config, size, pictures: ([_whole(side, side, size)], 0)


def _cropped(config: Any, size: Size, pictures: int) -> Layout:
    """The shorter side brought to 48, the middle cut out."""
    height, width = size
    short = min(size)
    tall, wide = (TILE if side == short else int(TILE * side / short) for side in size)
    top, left = (tall - TILE) // 2, (wide - TILE) // 2
    y, x = height / tall, width / wide
    return [(6, 6, left * x, top * y, (left + TILE) * x, (top + TILE) * y)], 0


def _in_cells(cell: int, least: int, most: int) -> Callable[[Any, Size, int], Layout]:
    """Whole cells: each side rounded, then both brought between `least` and `most` cells in all."""

    def layout(config: Any, size: Size, pictures: int) -> Layout:
        height, width = size
        rows, columns = round(height / cell), round(width / cell)
        if rows * columns > most:
            shrink = math.sqrt(height * width / (most * cell**2))
            rows, columns = (max(1, math.floor(side / shrink / cell)) for side in size)
        elif rows * columns < least:
            grow = math.sqrt(least * cell**2 / (height * width))
            rows, columns = (math.ceil(side * grow / cell) for side in size)
        return [_whole(rows, columns, size)], 0

    return layout


def _longest_edge(config: Any, size: Size, pictures: int) -> Layout:
    """The longer side at most 96, cells of 16 with the last one filled up by stretching."""
    ratio = max(1.0, max(size) / 96)
    rows, columns = (math.ceil(math.floor(side / ratio) / 16) for side in size)
    return [_whole(max(rows, 1), max(columns, 1), size)], 0


def _most_cells(config: Any, size: Size, pictures: int) -> Layout:
    """As many cells of 12 pixels as 70 allow, at the picture's aspect, rounded down."""
    height, width = size
    factor = math.sqrt(70 * 12**2 / (height * width))
    rows, columns = (math.floor(side * factor / 12) for side in size)
    if not columns:
        rows, columns = min(height // width, 70), 1
    return [_whole(rows, columns, size)], 0


def _raster(size: Size, rows: int, columns: int, cells: int) -> list[Grid]:
    """Equal tiles row by row, then the whole."""
    tall, wide = size[0] / rows, size[1] / columns
    tiles = [
        (cells, cells, column * wide, row * tall, (column + 1) * wide, (row + 1) * tall)
        for row in range(rows)
        for column in range(columns)
    ]
    return [*tiles, _whole(cells, cells, size)] if len(tiles) > 1 else tiles


def _nearest_aspect(config: Any, size: Size, pictures: int) -> Layout:
    """At most six tiles in the arrangement nearest to the picture's aspect; of equal ones more where the picture fills
    more than half of them."""
    height, width = size
    arrangements = sorted(
        {(columns, rows) for rows in range(1, 7) for columns in range(1, 7) if rows * columns <= 6},
        key=lambda arrangement: arrangement[0] * arrangement[1],
    )
    best, nearest = (1, 1), math.inf
    for columns, rows in arrangements:
        off = abs(width / height - columns / rows)
        if off < nearest or (off == nearest and height * width > 0.5 * TILE**2 * columns * rows):
            best, nearest = (columns, rows), off
    return _raster(size, best[1], best[0], 3), 0


def _covering_tiles(longest: int, cells: int) -> Callable[[Any, Size, int], Layout]:
    """The longer side brought to `longest`, then as many tiles as cover it."""

    def layout(config: Any, size: Size, pictures: int) -> Layout:
        rows, columns = (max(1, math.ceil(round(side * longest / max(size)) / TILE)) for side in size)
        return _raster(size, rows, columns, cells), 0

    return layout


def _padded_twice(config: Any, size: Size, pictures: int) -> Layout:
    """Brought to 96 on the longer side, at least 8 on the other, and padded to a square that is then halved."""
    tall, wide = (max(round(side * 96 / max(size)), 8) for side in size)
    y, x = size[0] / tall, size[1] / wide
    top, left = (96 - tall) // 2, (96 - wide) // 2
    return [(6, 6, -left * x, -top * y, (96 - left) * x, (96 - top) * y)], 0


def _fine(config: Any, size: Size) -> tuple[Grid, tuple[int, int]]:
    """The fine grid over the best of the allowed canvases, less what is padding."""
    height, width = size

    def merit(canvas: Size) -> tuple[int, int]:
        scale = min(canvas[1] / width, canvas[0] / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        return used, used - canvas[0] * canvas[1]

    canvas = max(((int(h), int(w)) for h, w in config.image_grid_pinpoints), key=merit)
    by_width = canvas[1] / width < canvas[0] / height
    tall = min(math.ceil(height * canvas[1] / width), canvas[0]) if by_width else canvas[0]
    wide = canvas[1] if by_width else min(math.ceil(width * canvas[0] / height), canvas[1])
    y, x = height / tall, width / wide
    top, left = (canvas[0] - tall) // 2, (canvas[1] - wide) // 2
    rows, columns = canvas[0] // 8, canvas[1] // 8
    if width / height > columns / rows:
        cut_rows, cut_columns = (rows - int(round(height * columns / width, 7))) // 2, 0
    else:
        cut_rows, cut_columns = 0, (columns - int(round(width * rows / height, 7))) // 2
    grid = (
        rows - 2 * cut_rows,
        columns - 2 * cut_columns,
        (cut_columns * 8 - left) * x,
        (cut_rows * 8 - top) * y,
        (canvas[1] - cut_columns * 8 - left) * x,
        (canvas[0] - cut_rows * 8 - top) * y,
    )
    return grid, (rows, columns)


def _whole_and_fine(config: Any, size: Size, pictures: int) -> Layout:
    grid, _ = _fine(config, size)
    return [_whole(6, 6, size), *([grid] if grid[1] else [])], grid[0]


def _whole_and_shrunk(config: Any, size: Size, pictures: int) -> Layout:
    """As above, at most four tiles' worth of cells; several pictures are padded to squares and seen as a whole only."""
    if pictures > 1:
        long = max(size)
        left, top = (long - size[1]) / 2, (long - size[0]) / 2
        return [(6, 6, -left, -top, long - left, long - top)], 1
    (rows, columns, *edges), _ = _fine(config, size)
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    ratio = math.sqrt(rows * columns / (most * 36))
    if ratio > 1.1:
        rows, columns = int(rows // ratio), int(columns // ratio)
    fine = (rows, columns, edges[0], edges[1], edges[2], edges[3])
    return [_whole(6, 6, size), *([fine] if columns else [])], rows


LAYOUTS: dict[str, Callable[[Any, Size, int], Layout]] = {
    "llava-1.5": _cropped,
    "llava-next": _whole_and_fine,
    "llava-onevision": _whole_and_shrunk,
    "qwen2-vl": _in_cells(16, 6, 40),
    "qwen2.5-vl": _in_cells(16, 6, 40),
    "qwen3-vl": _in_cells(16, 6, 40),
    "qwen3.5": _in_cells(16, 6, 40),
    "internvl": _nearest_aspect,
    "gemma3": _squashed(4),
    "gemma4": _most_cells,
    "smolvlm2": _covering_tiles(192, 2),
    "idefics3": _covering_tiles(144, 3),
    "paligemma": _squashed(6),
    "mistral3": _longest_edge,
    "deepseek-vl-hybrid": _padded_twice,
    "aya-vision": _nearest_aspect,
    "glm4v": _in_cells(16, 6, 40),
}
"""Name of the tiny model -> the layout of one picture of a size, of so many pictures in the prompt."""
