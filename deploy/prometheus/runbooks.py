#!/usr/bin/env python3
"""Makes docs/alerts.md, the runbook page, from rules/alerts.yml; runbooks.py --check compares."""

import pathlib
import re
import sys
import textwrap

import yaml

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent.parent / "docs/alerts.md"
INTRODUCTION = """# Alerts

Made from `deploy/prometheus/rules/alerts.yml` by `deploy/prometheus/runbooks.py`. [Operations](operations.md#alerts)
describes the objective, and how the alerts are tested.

`page`: act now, also at night. `ticket`: act within the working day. Panels are those of the dashboard *Delivery*.
"""
LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
VALUE = re.compile(r"\{\{ \$value[^}]*\}\}")
NAMED = re.compile(r"\bWahook[A-Z]\w+")


def main():
    groups = yaml.safe_load((HERE / "rules/alerts.yml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"]]
    faults = [fault for alert in alerts for fault in faults_of(alert, {a["alert"] for a in alerts})]
    if faults:
        sys.exit("\n".join(faults))
    text = "\n".join([INTRODUCTION, *(section(alert) for alert in alerts)])
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/alerts.md: out of date; run deploy/prometheus/runbooks.py")


def faults_of(alert, names):
    name, annotations = alert["alert"], alert["annotations"]
    for wanted in ("summary", "description", "runbook"):
        if not annotations.get(wanted):
            yield f"{name} has no {wanted}"
    if annotations.get("runbook_url") != f"docs/alerts.md#{name.lower()}":
        yield f"{name}: its runbook_url is not that of its section in docs/alerts.md"
    for other in NAMED.findall(annotations.get("runbook", "")):
        if other not in names:
            yield f"{name}: its runbook names {other}, which is no alert"


def section(alert):
    annotations = alert["annotations"]
    waits = f", after {alert['for']}" if "for" in alert else ""
    summary = VALUE.sub("…", LABEL.sub(lambda label: label[1].upper(), annotations["summary"]))
    runbook = NAMED.sub(lambda name: f"[{name[0]}](#{name[0].lower()})", annotations["runbook"])
    parts = [
        f"## {alert['alert']}",
        f"*{alert['labels']['severity']}{waits}* · “{summary}”",
        filled(annotations["description"]),
        filled(runbook),
        textwrap.indent(alert["expr"].rstrip(), "    "),
    ]
    return "\n\n".join(parts) + "\n"


def filled(text):
    """Lines of at most 120 characters, without a line break inside of code."""
    glued = re.sub("`[^`]+`", lambda code: code[0].replace(" ", "\0"), text)
    return textwrap.fill(glued, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


main()
