"""Building blocks for the Grafana dashboards: panels, variables, annotations."""

import re

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
HEIGHT = {"stat": 4, "timeseries": 8, "heatmap": 8, "table": 7}
# URL of the console, unless the variable has another.
CONSOLE = "http://127.0.0.1:8090"


def stat(title, description, unit, expr, steps=None, decimals=None):
    """Single number. `steps` are the values at which its colour changes."""
    panel = _panel("stat", title, description, unit, [(expr, "")], steps, decimals)
    panel["targets"][0]["instant"] = True
    panel["targets"][0]["range"] = False
    panel["options"] = {
        "colorMode": "background" if steps else "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def lines(title, description, unit, queries, stacked=False, low=0, high=None, steps=None):
    """Curves over time; `queries` are pairs of an expression and its legend."""
    panel = _panel("timeseries", title, description, unit, queries, steps)
    defaults = panel["fieldConfig"]["defaults"]
    defaults["custom"] = {
        "drawStyle": "line",
        "fillOpacity": 30 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    if low is not None:
        defaults["min"] = low
    if high is not None:
        defaults["max"] = high
    panel["options"] = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def heatmap(title, description, unit, expr):
    """Histogram over time."""
    panel = _panel("heatmap", title, description, unit, [(expr, "{{le}}")])
    panel["targets"][0]["format"] = "heatmap"
    panel["options"] = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
        "cellGap": 1,
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False},
    }
    return panel


def table(title, description, key, columns, links):
    """Row for each value of the label `key`. `columns` are dictionaries of header, unit, expr, and optionally decimals,
    steps and mappings (texts of values)."""
    panel = _panel("table", title, description, "short", [(column["expr"], f"{{{{{key}}}}}") for column in columns])
    names = {}
    for column, target in zip(columns, panel["targets"]):
        target.update({"format": "table", "instant": True, "range": False})
        names[f"Value #{target['refId']}"] = column["header"]
        panel["fieldConfig"]["overrides"].append(_column(column))
    header = key.capitalize()
    panel["fieldConfig"]["overrides"].append(
        {"matcher": {"id": "byName", "options": header}, "properties": [{"id": "links", "value": links}]})
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {key: header} | names}},
    ]
    panel["options"] = {"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": header, "desc": False}]}
    return panel


def _column(column):
    properties = [{"id": "unit", "value": column["unit"]}, {"id": "decimals", "value": column.get("decimals", 1)}]
    if "steps" in column:
        properties.append({"id": "thresholds", "value": {"mode": "absolute", "steps": _colours(column["steps"])}})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    if "mappings" in column:
        texts = {value: {"text": text} for value, text in column["mappings"].items()}
        properties.append({"id": "mappings", "value": [{"type": "value", "options": texts}]})
    return {"matcher": {"id": "byName", "options": column["header"]}, "properties": properties}


def to_console(title, **filters):
    """Link into the console, with filters that its page has in its URL."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return {"title": title, "url": f"${{console:raw}}/?{query}", "targetBlank": True}


def failed_deliveries(**filters):
    """Link to the failed deliveries of the selected time range."""
    return to_console("Failed deliveries in the console", status="failed", **filters,
                      since="${__from:date:iso}", until="${__to:date:iso}")


def linked(panel, *links):
    """The panel with links in its corner."""
    return panel | {"links": list(links)}


def _colours(steps):
    return [{"color": steps[0], "value": None}] + [{"color": colour, "value": value} for value, colour in steps[1:]]


def _panel(kind, title, description, unit, queries, steps=None, decimals=None):
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": _colours(steps or ["green"])}}
    if decimals is not None:
        defaults["decimals"] = decimals
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": DATASOURCE, "expr": _one_line(expr), "legendFormat": legend}
            for n, (expr, legend) in enumerate(queries)
        ],
    }


def quantiles(metric, labels, by=""):
    """The p50, p95 and p99 curves of a histogram."""
    return [
        (
            f"histogram_quantile({q}, sum by (le{by}) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))",
            name,
        )
        for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    ]


def dashboard(uid, title, description, variables, annotations, rows):
    """`rows` are pairs of a headline and its panels, which share the width."""
    panels, y = [], 0
    for headline, row in rows:
        panels.append({"type": "row", "title": headline, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y += 1
        height = max(HEIGHT[panel["type"]] for panel in row)
        edges = [round(n * 24 / len(row)) for n in range(len(row) + 1)]
        for panel, left, right in zip(row, edges, edges[1:]):
            panels.append(panel | {"gridPos": {"h": height, "w": right - left, "x": left, "y": y}})
        y += height
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["wahook"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "wahook", "tags": ["wahook"], "asDropdown": False, "keepTime": True, "includeVars": True}],
        "templating": {"list": variables},
        "annotations": {"list": annotations},
        "panels": [panel | {"id": n} for n, panel in enumerate(panels, 1)],
    }


def data_source():
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1}


def console():
    """Variable with the URL of the console."""
    return {"name": "console", "label": "Console", "type": "textbox", "query": CONSOLE,
            "current": {"text": CONSOLE, "value": CONSOLE}, "options": [{"text": CONSOLE, "value": CONSOLE, "selected": True}]}


def label(name, text, metric, everything=".+"):
    """Variable with the values of a label. All values are selected initially; `everything` then matches."""
    return {
        "name": name,
        "label": text,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": everything,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def annotation(name, expr, title, text, colour, is_time=False):
    """Marks when the expression has a value; with `is_time`, the times (in ms) that are its values."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": colour,
        "expr": _one_line(expr),
        "useValueForTime": "on" if is_time else "off",
        "titleFormat": title,
        "textFormat": text,
    }


def _one_line(expr):
    return re.sub(r"\s+", " ", expr).strip().replace("( ", "(").replace(" )", ")")
