#!/usr/bin/env python3
"""Renders the Helm chart with Helm's own library, and writes what is made from it or for it.

render.py writes the chart's copies of rules and dashboards, and the manifests in deploy/kubernetes, which are the
chart rendered with values/plain.yaml. render.py --check compares these, renders the chart with each file in values/,
and checks the results as deploy/kubernetes/check.py does.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import helm_python
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEPLOY / "kubernetes"))
import check  # noqa: E402

CHART = DEPLOY / "helm/wahook"
VALUES = DEPLOY / "helm/values"
MANIFESTS = ("producer", "consumer", "console", "network", "consumer-scaling")
HEADER = "# Rendered from deploy/helm/wahook with deploy/helm/values/plain.yaml, by `make manifests`.\n"
SECRETS = """# Create the secrets first:
#   kubectl create secret generic wahook \\
#     --from-literal=amqp_url='amqp://wahook:…@rabbitmq:5672/%2f' \\
#     --from-literal=mongodb_uri='mongodb://…/?replicaSet=rs0' \\
#     --from-literal=producer_token="$(openssl rand -hex 32)" \\
#     --from-literal=console_token="$(openssl rand -hex 32)" \\
#     --from-literal=webhook_secret="$(openssl rand -hex 32)"
"""
# Values that must be rejected, with a part of the message, added to those of values/small.yaml.
REJECTED = (
    ({"webhook": {"url": ""}}, "no webhook"),
    ({"endpoints": {"file": "x"}}, "use one of them"),
    ({"credentials": {"amqpUrl": {"value": ""}}}, "credentials.amqpUrl has no value"),
    ({"credentials": {"consoleToken": {"value": "short"}}}, "consoleToken"),
    ({"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "scraped twice"),
    ({"producer": {"replica": 3}}, "replica"),
    ({"producer": {"pod": {"securityContext": {}}}}, "pod"),
    ({"image": {"tag": "latest"}}, "tag"),
    ({"keda": {"minReplicas": 0}}, "minReplicas"),
)


def main():
    is_check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in copies().items() if not is_current(path, text, is_check)]
    plain = render(values("plain"))
    for name in MANIFESTS:
        secrets = SECRETS if name == "producer" else ""
        text = HEADER + secrets + plain[name].strip() + "\n"
        if not is_current(DEPLOY / f"kubernetes/{name}.yaml", text, is_check):
            stale.append(DEPLOY / f"kubernetes/{name}.yaml")
    if stale:
        sys.exit(f"{', '.join(str(p.relative_to(DEPLOY)) for p in stale)}: out of date; run deploy/helm/render.py")
    if is_check:
        check_chart()


def is_current(path, text, is_check):
    """True if the file has this text; without `is_check`, writes it."""
    if not is_check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path.exists() and path.read_text() == text


def copies():
    """Files of the chart that are copies, because a chart can't read files outside of it."""
    sources = [(path, "rules") for path in (DEPLOY / "prometheus/rules").glob("*.yml")]
    sources += [(path, "dashboards") for path in (DEPLOY / "grafana/dashboards").glob("*.json")]
    return {CHART / "files" / folder / path.name: path.read_text() for path, folder in sources}


def values(name):
    return yaml.safe_load((VALUES / f"{name}.yaml").read_text())


def render(given):
    """Texts of the templates by name, for a release named wahook."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(given)
        rendered = chart.render(given, name="wahook", namespace="messages")
    return {pathlib.PurePath(path).stem: text for path, text in rendered.items()}


def check_chart():
    faults, total = [], 0
    names = sorted(path.stem for path in VALUES.glob("*.yaml"))
    for name in names:
        report = helm_python.lint(CHART, values(name), strict=True)
        # Severity 1 is a hint, such as a missing icon.
        faults += [f"{name}: {m['path']}: {m['error']}" for m in report["messages"] if m["severity"] > 1]
        texts = render(values(name))
        notes = texts.pop("NOTES")
        found = [(f"{name}/{file}", d) for file, text in sorted(texts.items()) for d in yaml.safe_load_all(text) if d]
        total += len(found)
        faults += check.faults_of(found, limits_network="networkPolicy" in values(name))
        faults += content_faults(name, values(name), [document for _, document in found])
        if "<no value>" in notes + "".join(texts.values()):
            faults.append(f"{name}: a template uses a value that does not exist")
        if number := re.search(r'value: "[0-9.]+e\+[0-9]+"', "".join(texts.values())):
            faults.append(f"{name}: {number[0]} is no number for the programs")
    faults += [fault for given, message in REJECTED for fault in acceptance_faults(given, message)]
    if faults:
        sys.exit("\n".join(faults))
    version = helm_python.helm_sdk_version()
    print(f"The chart renders with Helm {version} for {', '.join(names)}: {total} manifests comply, "
          f"{len(REJECTED)} wrong values are rejected")


def content_faults(name, given, documents):
    """Faults of rules and dashboards: their content must be that of the files in this repository."""
    has_own_console = "url" in given.get("console", {})
    for document in documents:
        if document["kind"] == "PrometheusRule":
            text = yaml.safe_dump(document["spec"])
            with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
                file.write(text)
                file.flush()
                result = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
            if result.returncode:
                yield f"{name}: promtool: {result.stdout}{result.stderr}"
            sources = [yaml.safe_load(path.read_text()) for path in sorted((CHART / "files/rules").glob("*.yml"))]
            wanted = sum(len(group["rules"]) for source in sources for group in source["groups"])
            if sum(len(group["rules"]) for group in document["spec"]["groups"]) != wanted:
                yield f"{name}: the PrometheusRule has other rules than deploy/prometheus"
        for file, text in document.get("data", {}).items():
            if file.endswith(".json"):
                json.loads(text)
        if has_own_console and "http://127.0.0.1:8090" in str(document):
            yield f"{name}: {document['metadata']['name']} has links to another console"


def acceptance_faults(given, message):
    try:
        render(merged(values("small"), given))
    except helm_python.HelmError as error:
        if message not in str(error):
            yield f"{given} is rejected without '{message}': {error}"
    else:
        yield f"{given} is accepted"


def merged(base, over):
    return base | {k: merged(base.get(k, {}), v) if isinstance(v, dict) else v for k, v in over.items()}


main()
