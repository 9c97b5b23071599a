#!/usr/bin/env python3
"""Checks the manifests against the Kubernetes schemas and against rules that schemas can't express.

The schemas do not include KEDA's two kinds. For these only the field names and references are
checked, not KEDA's own schema.
"""

import ipaddress
import pathlib
import re
import sys

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
VERSION = "1.37"
# Networks that a rule for the Internet must leave out: private ones, and those of cloud metadata.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
# Labels of the pods that each program may connect to, and whether it calls webhooks.
CONNECTS = {
    "wahook-producer": ({"kube-dns", "rabbitmq"}, False),
    "wahook-consumer": ({"kube-dns", "rabbitmq", "mongodb"}, True),
}
KEDA_FIELDS = {
    "ScaledObject": {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "triggers"},
    "TriggerAuthentication": {"secretTargetRef"},
}


def main():
    found = [
        (path.name, document)
        for path in sorted(HERE.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    settings = set(re.findall(r"^#?([A-Z_]+)=", (HERE.parent.parent / ".env.example").read_text(), re.M))
    deployments = {d["metadata"]["name"]: d for _, d in found if d["kind"] == "Deployment"}
    faults = []
    for file, document in found:
        name = f"{file}: {document['kind']} {document['metadata']['name']}"
        check = keda_faults if document["apiVersion"].startswith("keda.sh/") else schema_faults
        faults += [f"{name}: {fault}" for fault in check(document, deployments)]
        if document["kind"] == "Deployment":
            faults += [f"{name}: {fault}" for fault in deployment_faults(document, settings)]
        if document["kind"] in ("Service", "PodDisruptionBudget"):
            faults += [f"{name}: {fault}" for fault in selector_faults(document, deployments)]
        if document["kind"] == "NetworkPolicy":
            faults += [f"{name}: {fault}" for fault in network_faults(document, deployments)]
    for name in deployments:
        for kind in ("PodDisruptionBudget", "NetworkPolicy"):
            if not any(d["kind"] == kind and d["metadata"]["name"] == name for _, d in found):
                faults.append(f"{name} has no {kind}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(found)} manifests comply with the Kubernetes {VERSION} schemas (KEDA: field names only) and the rules")


def schema_faults(document, _):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


def keda_faults(document, deployments):
    spec = document["spec"]
    for field in spec.keys() - KEDA_FIELDS.get(document["kind"], set()):
        yield f"spec has an unknown field {field}"
    target = spec.get("scaleTargetRef", {}).get("name")
    if document["kind"] == "ScaledObject" and target not in deployments:
        yield f"scales {target}, which is not a Deployment here"
    if document["kind"] == "ScaledObject" and "replicas" in deployments.get(target, {}).get("spec", {}):
        yield f"{target} sets its own replicas"
    if document["kind"] == "ScaledObject" and spec.get("minReplicaCount", 0) < 1:
        yield "may scale to zero"
    for trigger in spec.get("triggers", []):
        if trigger["type"] != "rabbitmq" or trigger["metadata"].keys() != {"protocol", "queueName", "mode", "value"}:
            yield "has a trigger that is not a queue length"
        if not all(isinstance(value, str) for value in trigger["metadata"].values()):
            yield "has a trigger with values that are not strings"


def deployment_faults(document, settings):
    pod = document["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    for name in environment:
        if name.removesuffix("_FILE") not in settings:
            yield f"{name} is not a setting"
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        if container.get(probe, {}).get("httpGet", {}).get("path") != path:
            yield f"the {probe} does not request {path}"
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if pod["terminationGracePeriodSeconds"] <= int(environment["SHUTDOWN_GRACE"]) + before:
        yield "terminationGracePeriodSeconds cuts a drain short"
    security = container.get("securityContext", {})
    if not (pod["securityContext"].get("runAsNonRoot") and pod["securityContext"].get("runAsUser")):
        yield "may run as root"
    if not security.get("readOnlyRootFilesystem") or security.get("allowPrivilegeEscalation") is not False:
        yield "may write to its root file system or gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if pod["securityContext"].get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "can use the API of the cluster"
    if re.search(r":latest$|/[^:]*$|^[^:]*$", container["image"]):
        yield f"image {container['image']} has no version"
    limit = container.get("resources", {}).get("limits", {}).get("memory")
    if not limit:
        yield "has no memory limit"
    budget = environment.get("PRODUCER_MEMORY_BUDGET_BYTES")
    if budget and limit and mebibytes(limit) < 2 * int(budget) / 2**20:
        yield f"has a memory limit of {limit}, but needs twice PRODUCER_MEMORY_BUDGET_BYTES={budget}"
    mounted = {item["path"] for volume in pod["volumes"] for item in volume["secret"]["items"]}
    named = {pathlib.PurePath(value).name for name, value in environment.items() if name.endswith("_FILE")}
    if mounted != named:
        yield f"mounts {mounted}, but its settings name {named}"


def mebibytes(quantity):
    return int(quantity.removesuffix("Mi")) if quantity.endswith("Mi") else 1024 * int(quantity.removesuffix("Gi"))


def network_faults(document, deployments):
    name, spec = document["metadata"]["name"], document["spec"]
    pods = deployments[name]["spec"]["template"]
    if spec["podSelector"].get("matchLabels", {}).items() - pods["metadata"]["labels"].items():
        yield f"selects other pods than those of {name}"
    if set(spec["policyTypes"]) != {"Ingress", "Egress"}:
        yield "does not limit both directions"
    named = {port["name"] for container in pods["spec"]["containers"] for port in container["ports"]}
    for rule in spec["ingress"]:
        if not rule.get("from") or any(not any(peer.values()) for peer in rule["from"]):
            yield "accepts connections from everywhere"
        if {port["port"] for port in rule["ports"]} - named:
            yield "accepts connections to a port that no container has"
    peers = [peer for rule in spec["ingress"] for peer in rule["from"]]
    metrics = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    if metrics not in peers:
        yield "Prometheus can't read the metrics"
    if name == "wahook-consumer" and peers != [metrics]:
        yield "accepts connections other than those of Prometheus"
    yield from egress_faults(name, spec["egress"])


def egress_faults(name, rules):
    pods, calls_webhooks = CONNECTS[name]
    peers = [peer for rule in rules for peer in rule.get("to", [{}])]
    labels = {label for peer in peers for label in peer.get("podSelector", {}).get("matchLabels", {}).values()}
    if labels != pods:
        yield f"may connect to {labels}, needed are {pods}"
    blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
    if any("podSelector" not in peer and "ipBlock" not in peer for peer in peers):
        yield "may connect to everything"
    if bool(blocks) != calls_webhooks:
        yield "may connect to the Internet" if blocks else "can't call webhooks"
    left_out = [ipaddress.ip_network(network) for block in blocks for network in block.get("except", [])]
    for network in map(ipaddress.ip_network, PRIVATE if blocks else ()):
        if not any(network.version == other.version and network.subnet_of(other) for other in left_out):
            yield f"may connect to {network}"
    if any("ports" not in rule for rule in rules):
        yield "may connect to every port"


def selector_faults(document, deployments):
    selector = document["spec"]["selector"]
    selector = selector.get("matchLabels", selector)
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in deployments.values()]
    if not any(selector.items() <= of.items() for of in labels):
        yield f"selects {selector}, which matches no Deployment here"
    for port in document["spec"].get("ports", []):
        named = {p["name"] for d in deployments.values() for c in d["spec"]["template"]["spec"]["containers"] for p in c["ports"]}
        if port["targetPort"] not in named:
            yield f"targets port {port['targetPort']}, which no container has"


main()
