#!/usr/bin/env python3
"""Checks manifests against the Kubernetes schemas and against rules that schemas can't express.

check.py alone checks the manifests of this folder; deploy/helm/render.py checks others by the same rules.
custom_resources.py has the rules of kinds that Kubernetes' schemas do not include.
"""

import ipaddress
import pathlib
import re
import sys

import kubernetes_validate
import yaml

import custom_resources

HERE = pathlib.Path(__file__).parent
VERSION = "1.37"
# Networks that a rule for the Internet must leave out: private ones, and those of cloud metadata.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
# Labels of the pods that each program may connect to, and whether it calls webhooks.
CONNECTS = {
    "producer": ({"kube-dns", "rabbitmq"}, False),
    "consumer": ({"kube-dns", "rabbitmq", "mongodb"}, True),
    "console": ({"kube-dns", "rabbitmq", "mongodb"}, False),
}


def main():
    found = [
        (path.name, document)
        for path in sorted(HERE.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    faults = list(faults_of(found, limits_network=True))
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(found)} manifests comply with the Kubernetes {VERSION} schemas (custom resources: field names only) and the rules")


def faults_of(found, limits_network):
    """Faults of manifests; `found` are pairs of a file name and a document."""
    settings = set(re.findall(r"^#?([A-Z_]+)=", (HERE.parent.parent / ".env.example").read_text(), re.M))
    documents = [document for _, document in found]
    deployments = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Deployment"}
    for file, document in found:
        name = f"{file}: {document['kind']} {document['metadata']['name']}"
        for fault in document_faults(document, documents, deployments, settings):
            yield f"{name}: {fault}"
    for name in deployments:
        for kind in ("PodDisruptionBudget", "NetworkPolicy") if limits_network else ("PodDisruptionBudget",):
            if not any(d["kind"] == kind and d["metadata"]["name"] == name for d in documents):
                yield f"{name} has no {kind}"


def document_faults(document, documents, deployments, settings):
    kind = document["kind"]
    if custom_resources.is_one(document):
        yield from custom_resources.faults(document, deployments)
    else:
        yield from schema_faults(document)
    if kind == "Deployment":
        yield from deployment_faults(document, settings)
        yield from reference_faults(document, documents)
    if kind in ("Service", "PodDisruptionBudget"):
        yield from selector_faults(document, deployments)
    if kind == "NetworkPolicy":
        yield from network_faults(document, deployments)


def schema_faults(document):
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


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
    # docs/deployment.md, "Memory of a consumer": the default budget, and 192 MiB for everything else.
    budget = int(environment.get("CONSUMER_MEMORY_BUDGET_BYTES", 64 * 2**20)) / 2**20
    if limit and container["name"] == "consumer" and mebibytes(limit) < 192 + 2 * budget:
        yield f"has a memory limit of {limit}, but needs 192 MiB and twice CONSUMER_MEMORY_BUDGET_BYTES"
    mounted = {item["path"] for secret in secrets(pod, "secrets") for item in secret["items"]}
    named = {pathlib.PurePath(value).name for name, value in environment.items() if name.endswith("_FILE")}
    if mounted != named:
        yield f"mounts {mounted}, but its settings name {named}"
    folders = {mount["mountPath"] for mount in container["volumeMounts"]}
    for name in ("WEBHOOK_ENDPOINTS", "WAHOOK_SOURCES"):
        if name in environment and str(pathlib.PurePath(environment[name]).parent) not in folders:
            yield f"{name} names a file in a folder that is not mounted"


def secrets(pod, volume):
    """References to Secrets in the volume of this name."""
    sources = [source for v in pod["volumes"] if v["name"] == volume for source in v["projected"]["sources"]]
    return [source["secret"] for source in sources]


def reference_faults(deployment, documents):
    """Keys that a Secret or ConfigMap of the same manifests lacks."""
    for volume in deployment["spec"]["template"]["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            ((kind, reference),) = source.items()
            for other in documents:
                if other["kind"].lower() == kind.lower() and other["metadata"]["name"] == reference["name"]:
                    # Without a list of keys it is the file of endpoints or sources.
                    keys = {item["key"] for item in reference.get("items", [{"key": f"{volume['name']}.toml"}])}
                    if missing := keys - other.get("stringData", other.get("data", {})).keys():
                        yield f"{kind} {reference['name']} lacks {missing}"


def mebibytes(quantity):
    return int(quantity.removesuffix("Mi")) if quantity.endswith("Mi") else 1024 * int(quantity.removesuffix("Gi"))


def network_faults(document, deployments):
    name, spec = document["metadata"]["name"], document["spec"]
    program = document["metadata"]["labels"]["app.kubernetes.io/component"]
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
    # The console has no metrics.
    if (metrics in peers) == (program == "console"):
        yield "Prometheus can't read the metrics, or may read those of the console"
    if program == "consumer" and peers != [metrics]:
        yield "accepts connections other than those of Prometheus"
    variables = {entry["name"] for container in pods["spec"]["containers"] for entry in container["env"]}
    collector = {"opentelemetry-collector"} if "OTEL_EXPORTER_OTLP_ENDPOINT" in variables else set()
    yield from egress_faults(program, spec["egress"], collector)


def egress_faults(program, rules, collector):
    pods, calls_webhooks = CONNECTS[program]
    pods = pods | collector
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


if __name__ == "__main__":
    main()
