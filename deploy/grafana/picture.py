#!/usr/bin/env python3
"""Draws a dashboard from Prometheus query results: picture.py DATA.json OUT.png [NAME]

Uses the layout, titles, units, stacking and thresholds of the dashboard. The picture does not come
from Grafana, but it shows the data that Grafana would receive.
"""

import json
import math
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyBboxPatch

PAGE, PANEL, EDGE, TEXT, FAINT = "#0f1115", "#181b20", "#2b3038", "#d9dce1", "#8d939d"
NAMED = {"green": "#56a64b", "orange": "#e8912d", "red": "#d8404d"}
CURVES = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#5bd1d7", "#a7a7a7"]
MEANING = {"delivered": "#73bf69", "dead_lettered": "#f2495c", "status_5xx": "#ff9830", "status_4xx": "#f2cc0c",
           "p50": "#73bf69", "p95": "#f2cc0c", "p99": "#f2495c", "limit": "#f2495c"}
HEAT = LinearSegmentedColormap.from_list("heat", [PANEL, "#7a3b12", "#e8812d", "#fff0b0"])
# Cell size of the grid of 24 columns, as in Grafana, in inches.
CELL_W, CELL_H, GAP = 0.78, 0.37, 0.09


def main():
    data_file, out, name = (sys.argv[1:] + ["delivery"])[:3]
    with open(data_file) as file:
        data = json.load(file)
    panels = [panel for panel in data["panels"] if panel["dashboard"] == name]
    rows = data["headlines"][name]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    chapters = data["chapters"]
    width, height = 24 * CELL_W + 2 * GAP, (bottom + 3.1 + 0.8 * math.ceil(len(chapters) / 3)) * CELL_H
    plt.rcParams.update({"font.family": "DejaVu Sans", "text.color": TEXT, "axes.edgecolor": EDGE})
    figure = plt.figure(figsize=(width, height), facecolor=PAGE)
    page = Page(figure, width, height)
    page.text(0.15, 1.05, data["titles"][name], size=15, weight="bold")
    page.text(5.4, 1.02, f"real servers, {data['seconds'] / 60:.1f} minutes, scraped every second, faults in sequence", size=9.5, color=FAINT)
    for headline in rows:
        page.text(0.15, headline["y"] + 2.35, headline["title"], size=10.5, weight="bold", color="#b8bdc6")
    for panel in panels:
        draw(page, panel, data["seconds"], chapters)
    for n, chapter in enumerate(chapters):
        x, y = 0.15 + (n % 3) * 8, bottom + 2.5 + 0.8 * (n // 3)
        page.text(x, y, f"{n}  {chapter['name']}", size=9, color=FAINT)
    figure.savefig(out, dpi=100, facecolor=PAGE)


class Page:
    def __init__(self, figure, width, height):
        self.figure, self.width, self.height = figure, width, height

    def text(self, x, y, words, **style):
        self.figure.text((x * CELL_W + GAP) / self.width, 1 - y * CELL_H / self.height, words, **style)

    def box(self, grid, colour=PANEL):
        """Returns the panel's position and axes that cover the panel."""
        left, top = grid["x"] * CELL_W + GAP, (grid["y"] + 1.7) * CELL_H
        w, h = grid["w"] * CELL_W - GAP, grid["h"] * CELL_H - GAP
        place = [left / self.width, 1 - (top + h) / self.height, w / self.width, h / self.height]
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.set_xlim(0, w)
        axes.set_ylim(h, 0)
        axes.add_patch(FancyBboxPatch((0.03, 0.03), w - 0.06, h - 0.06, boxstyle="round,pad=0,rounding_size=0.05",
                                      facecolor=colour, edgecolor=EDGE, linewidth=0.8))
        return axes, place, w, h

    def plot(self, place, w, h, legend_lines):
        left, right, top, bottom = 0.62, 0.15, 0.42, 0.32 + 0.17 * legend_lines
        axes = self.figure.add_axes([place[0] + left / self.width, place[1] + bottom / self.height,
                                     (w - left - right) / self.width, (h - top - bottom) / self.height])
        axes.set_facecolor(PANEL)
        axes.grid(color=EDGE, linewidth=0.6)
        axes.tick_params(colors=FAINT, labelsize=7.5, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        return axes


def draw(page, panel, seconds, chapters):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "stat":
        return draw_stat(page, panel, unit)
    if panel["type"] == "table":
        return draw_table(page, panel)
    curves = [curve for curve in panel["curves"] if any(value is not None for _, value in curve["points"])]
    stacked = panel["fieldConfig"]["defaults"].get("custom", {}).get("stacking", {}).get("mode") == "normal"
    curves.sort(key=lambda curve: -max(value or 0 for _, value in curve["points"]) if stacked else 0)
    heat = panel["type"] == "heatmap"
    room = panel["gridPos"]["w"] * 4 - 24
    columns = 1 if max((len(c["legend"]) for c in curves), default=0) * 2 > room else 2
    lines = 0 if heat else math.ceil(len(curves) / columns)
    box, place, w, h = page.box(panel["gridPos"])
    box.text(0.16, 0.26, panel["title"], size=10, weight="bold")
    axes = page.plot(place, w, h, lines)
    axes.set_xlim(0, seconds)
    ticks = range(0, int(seconds) + 1, 60)
    axes.set_xticks(ticks, [f"{t // 60} min" for t in ticks])
    for n, chapter in enumerate(chapters):
        axes.axvline(chapter["at"], color="#b877d9", linewidth=0.7, linestyle=(0, (3, 3)), alpha=0.8)
        axes.text(chapter["at"], 1.0, str(n), transform=axes.get_xaxis_transform(), size=6, color="#b877d9", ha="center", va="bottom")
    if heat:
        draw_heat(axes, curves)
        return None
    if stacked:
        draw_stack(axes, curves, seconds)
    else:
        for n, curve in enumerate(curves):
            draw_line(axes, curve, colour(curve, n), panel["fieldConfig"]["defaults"].get("min") is not None)
    limits(axes, panel, unit)
    for n, curve in enumerate(curves):
        values = [value for _, value in curve["points"] if value is not None]
        x = 0.2 + (n % columns) * (w - 0.3) / columns
        y = h - 0.17 * lines + 0.17 * (n // columns) + 0.02
        box.text(x, y, "■", size=7, color=colour(curve, n))
        box.text(x + 0.15, y, f"{curve['legend']}   last {show(values[-1], unit)}, max {show(max(values), unit)}", size=7.5, color=FAINT)
    return None


def draw_stat(page, panel, unit):
    value = panel["curves"][0]["points"][-1][1]
    defaults = panel["fieldConfig"]["defaults"]
    chosen = [step["color"] for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]][-1]
    plain = len(defaults["thresholds"]["steps"]) == 1
    box, _, w, h = page.box(panel["gridPos"], PANEL if plain else NAMED[chosen])
    box.text(0.16, 0.27, panel["title"], size=10, weight="bold", color="white")
    box.text(w / 2, h * 0.66, show(value, unit, defaults.get("decimals")), size=23, weight="bold", ha="center", va="center",
             color=NAMED["green"] if plain else "white")


def draw_table(page, panel):
    columns = [field for field in panel["fieldConfig"]["overrides"] if field["properties"][0]["id"] == "unit"]
    rows = sorted({curve["legend"] for curve in panel["curves"]})
    box, _, w, _ = page.box(panel["gridPos"])
    box.text(0.16, 0.26, panel["title"], size=10, weight="bold")
    xs = [0.2 + n * (w - 0.3) / (len(columns) + 1) for n in range(len(columns) + 1)]
    for x, header in zip(xs, ["Endpoint"] + [column["matcher"]["options"] for column in columns]):
        box.text(x, 0.6, header, size=8.5, color=FAINT)
    cells = iter(panel["curves"])
    values = [[next(cells) for _ in rows] for _ in columns]
    for line, row in enumerate(rows):
        y = 0.9 + 0.28 * line
        box.text(xs[0], y, row, size=9.5, color=CURVES[2])
        for x, column, curves in zip(xs[1:], columns, values):
            (value,) = [curve["points"][-1][1] for curve in curves if curve["legend"] == row]
            box.text(x, y, cell(value, column), size=9.5)


def cell(value, column):
    properties = {each["id"]: each["value"] for each in column["properties"]}
    texts = properties.get("mappings", [{"options": {}}])[0]["options"]
    text = texts.get(f"{value:.0f}" if value is not None else "", {}).get("text")
    return text or show(value, properties["unit"], properties["decimals"])


def draw_line(axes, curve, shade, filled):
    xs = [x for x, _ in curve["points"]]
    ys = [math.nan if value is None else value for _, value in curve["points"]]
    # A gap in the data is a gap in the curve.
    for n in range(len(xs) - 1, 0, -1):
        if xs[n] - xs[n - 1] > 2.5:
            xs.insert(n, xs[n - 1] + 0.1)
            ys.insert(n, math.nan)
    axes.plot(xs, ys, color=shade, linewidth=1.2)
    if filled:
        axes.fill_between(xs, ys, color=shade, alpha=0.08, linewidth=0)


def draw_stack(axes, curves, seconds):
    base = [0.0] * (int(seconds) + 2)
    for n, curve in enumerate(curves):
        at = {round(x): value or 0 for x, value in curve["points"]}
        top = [low + at.get(x, 0) for x, low in enumerate(base)]
        axes.fill_between(range(len(base)), base, top, color=colour(curve, n), alpha=0.55, linewidth=0)
        axes.plot(range(len(base)), top, color=colour(curve, n), linewidth=0.9)
        base = top
    axes.set_ylim(0)


def draw_heat(axes, curves):
    """Draws a heatmap. Buckets are cumulative, so a cell is the difference to the next lower bucket."""
    buckets = sorted(curves, key=lambda curve: float(curve["legend"].replace("+Inf", "inf")))
    names = [curve["legend"] for curve in buckets]
    # Every second, including those without data, so that no cell is stretched over a gap.
    xs = range(round(max(x for curve in buckets for x, _ in curve["points"])) + 1)
    grid, below = [], dict.fromkeys(xs, 0)
    for curve in buckets:
        at = {round(x): value or 0 for x, value in curve["points"]}
        grid.append([max(at.get(x, 0) - below[x], 0) ** 0.5 for x in xs])
        below = {x: at.get(x, 0) for x in xs}
    axes.pcolormesh(xs, range(len(names)), grid, cmap=HEAT, shading="nearest")
    axes.set_yticks(range(len(names)), [f"{name} s" for name in names], size=6.5)
    axes.grid(visible=False)


def limits(axes, panel, unit):
    defaults = panel["fieldConfig"]["defaults"]
    low, high = axes.get_ylim()
    if defaults.get("min") is not None:
        low = defaults["min"]
    if defaults.get("max") is not None:
        high = defaults["max"] * 1.02
    axes.set_ylim(low, high if high > low else low + 1)
    if defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode") == "dashed":
        for step in defaults["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=NAMED["red"], linewidth=0.9, linestyle="--")
    axes.yaxis.set_major_locator(plt.MaxNLocator(5))
    axes.yaxis.set_major_formatter(lambda value, _: show(value, unit))


def colour(curve, n):
    return MEANING.get(curve["legend"], CURVES[n % len(CURVES)])


def show(value, unit, decimals=None):
    if value is None:
        return "no data"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit == "bytes":
        for name, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
    number = f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return number + ("/s" if unit == "ops" else "")


main()
