"""Rules of KEDA's and the Prometheus operator's kinds: field names and references, not their own schemas."""

FIELDS = {
    "ScaledObject": {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "triggers"},
    "TriggerAuthentication": {"secretTargetRef"},
    "ServiceMonitor": {"selector", "namespaceSelector", "endpoints"},
    "PodMonitor": {"selector", "podMetricsEndpoints"},
    "PrometheusRule": {"groups"},
}
ENDPOINT_FIELDS = {"port", "interval", "relabelings", "path", "params"}
RULE_FIELDS = {"alert", "record", "expr", "for", "labels", "annotations"}
# Jobs that rules and dashboards expect.
JOBS = {"wahook-producer", "wahook-consumer", "rabbitmq", "rabbitmq-detailed"}


def is_one(document):
    return document["apiVersion"].split("/")[0] in ("keda.sh", "monitoring.coreos.com")


def faults(document, deployments):
    kind, spec = document["kind"], document["spec"]
    for field in spec.keys() - FIELDS.get(kind, set()):
        yield f"spec has an unknown field {field}"
    if kind == "ScaledObject":
        yield from scaling_faults(spec, deployments)
    if kind in ("ServiceMonitor", "PodMonitor"):
        yield from monitor_faults(spec, deployments)
    if kind == "PrometheusRule":
        yield from rule_faults(spec["groups"])


def scaling_faults(spec, deployments):
    target = spec.get("scaleTargetRef", {}).get("name")
    if target not in deployments:
        yield f"scales {target}, which is not a Deployment here"
    if "replicas" in deployments.get(target, {}).get("spec", {}):
        yield f"{target} sets its own replicas"
    if spec.get("minReplicaCount", 0) < 1:
        yield "may scale to zero"
    for trigger in spec["triggers"]:
        if trigger["type"] != "rabbitmq" or trigger["metadata"].keys() != {"protocol", "queueName", "mode", "value"}:
            yield "has a trigger that is not a queue length"
        if not all(isinstance(value, str) for value in trigger["metadata"].values()):
            yield "has a trigger with values that are not strings"


def monitor_faults(spec, deployments):
    selector = spec["selector"]["matchLabels"]
    selected = [d["spec"]["template"] for d in deployments.values()
                if selector.items() <= d["spec"]["template"]["metadata"]["labels"].items()]
    ports = {port["name"] for pod in selected for c in pod["spec"]["containers"] for port in c["ports"]}
    if not selected and selector != {"app.kubernetes.io/name": "rabbitmq"}:
        yield f"selects {selector}, which matches no Deployment here"
    for endpoint in spec.get("endpoints", []) + spec.get("podMetricsEndpoints", []):
        for field in endpoint.keys() - ENDPOINT_FIELDS:
            yield f"an endpoint has an unknown field {field}"
        if selected and endpoint["port"] not in ports:
            yield f"scrapes port {endpoint['port']}, which no container has"
        jobs = [r["replacement"] for r in endpoint["relabelings"] if r.get("targetLabel") == "job"]
        if len(jobs) != 1 or jobs[0] not in JOBS:
            yield f"has the job {jobs}, which no rule expects"
        # Otherwise the operator's label renames that of the metrics to exported_endpoint.
        if {"action": "labeldrop", "regex": "endpoint"} not in endpoint["relabelings"]:
            yield "keeps the label endpoint of the operator"


def rule_faults(groups):
    if not groups:
        yield "has no rules"
    for group in groups:
        for field in group.keys() - {"name", "rules"}:
            yield f"group {group['name']} has an unknown field {field}"
        for rule in group["rules"]:
            for field in rule.keys() - RULE_FIELDS:
                yield f"rule {rule} has an unknown field {field}"
