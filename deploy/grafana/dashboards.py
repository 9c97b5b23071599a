#!/usr/bin/env python3
"""Generates the dashboards: dashboards.py writes dashboards/*.json, dashboards.py --check compares.

Grafana's JSON is long and its diffs are hard to read. Here a panel is a title, a description, a unit
and its queries.
"""

import json
import pathlib
import sys

from panels import (annotation, console, dashboard, data_source, failed_deliveries, heatmap, label, linked, lines,
                    quantiles, stat, table, to_console)

FOLDER = pathlib.Path(__file__).parent / "dashboards"

# Label matchers for the dashboard variables. The broker may be in another namespace.
CLUSTER = 'cluster=~"$cluster"'
SPACE = f'{CLUSTER},namespace=~"$namespace"'
CHOSEN = f'{SPACE},job=~"$job",instance=~"$instance"'
ENDPOINT = f'{CHOSEN},endpoint=~"$endpoint"'
# The work queues of the selected endpoints.
WORK = f'{CLUSTER},queue=~"wahook\\\\.(deliver(?:\\\\.\\\\d+\\\\.\\\\d+)?|lane\\\\.\\\\d+\\\\.\\\\d+|park\\\\.\\\\d+\\\\.\\\\d+\\\\.\\\\d+)\\\\.($endpoint)"'
RANGE, RATE = "[$__range]", "[$__rate_interval]"
# Green from 99.9 %, red below 99 %.
OBJECTIVE = ["red", (0.99, "orange"), (0.999, "green")]


def ratio(metric, part, over, whole=""):
    labels = f"{ENDPOINT},{whole}" if whole else ENDPOINT
    return f"""sum({over[0]}({metric}{{{labels},{part}}}{over[1]}))
        / sum({over[0]}({metric}{{{labels}}}{over[1]}))"""


SHOWN, NOW = ("increase", RANGE), ("rate", RATE)

# Clusters and namespaces are labels only where the scrape configuration adds them.
VARIABLES = [
    data_source(),
    label("cluster", "Cluster", "wahook_build_info", ".*"),
    label("namespace", "Namespace", f"wahook_build_info{{{CLUSTER}}}", ".*"),
    label("job", "Job", f"wahook_build_info{{{SPACE}}}"),
    label("instance", "Instance", f'wahook_build_info{{{SPACE},job=~"$job"}}'),
    label("endpoint", "Endpoint", f"wahook_deliveries_total{{{SPACE}}}"),
]
ANNOTATIONS = [
    annotation("Deploys and broker restarts", f"""1000 * process_start_time_seconds{{{SPACE},job=~"$job"}}
       or 1000 * round(timestamp(rabbitmq_erlang_uptime_seconds{{{CLUSTER}}}) - rabbitmq_erlang_uptime_seconds{{{CLUSTER}}}, 5)""",
               "{{job}} started", "{{instance}}", "purple", is_time=True),
    annotation("Pauses", f"""max by (endpoint) (wahook_circuit_open{{{ENDPOINT}}}) == 1
       or max by (endpoint) (wahook_endpoint_paused{{{ENDPOINT}}}) == 1""",
               "{{endpoint}} paused", "The endpoint is down, or an operator has paused it", "red"),
    annotation("Reloads", f"sum by (instance, result) (increase(wahook_reloads_total{{{CHOSEN}}}{RATE})) > 0",
               "Endpoints file reloaded: {{result}}", "{{instance}}", "blue"),
]

# Messages that wait for each selected endpoint.
READY = f"""sum by (endpoint) (label_replace(max by (queue) (rabbitmq_detailed_queue_messages_ready{{{WORK}}}),
    "endpoint", "$1", "queue", "wahook\\\\.(?:deliver(?:\\\\.\\\\d+\\\\.\\\\d+)?|lane\\\\.\\\\d+\\\\.\\\\d+|park\\\\.\\\\d+\\\\.\\\\d+\\\\.\\\\d+)\\\\.(.+)"))"""
ENDPOINTS = table(
    "Endpoints", "State of each endpoint. Its name leads to its failed deliveries of the selected time range, in the console. Time to drain: until the queue is empty at the present rate of deliveries, without new events.",
    "endpoint", [
        {"header": "Success rate", "unit": "percentunit", "decimals": 2, "steps": OBJECTIVE,
         "expr": f"""sum by (endpoint) (increase(wahook_deliveries_total{{{ENDPOINT},result="delivered"}}{RANGE}))
             / (sum by (endpoint) (increase(wahook_deliveries_total{{{ENDPOINT}}}{RANGE})) > 0)"""},
        {"header": "Attempt p95", "unit": "s",
         "expr": f"histogram_quantile(0.95, sum by (le, endpoint) (rate(wahook_attempt_duration_seconds_bucket{{{ENDPOINT}}}{RANGE})))"},
        {"header": "Waiting", "unit": "short", "decimals": 0, "steps": ["green", (1000, "orange"), (10000, "red")], "expr": READY},
        {"header": "Paused", "unit": "short", "decimals": 0, "steps": ["green", (1, "red"), (2, "orange")],
         "mappings": {"0": "no", "1": "down", "2": "by an operator", "3": "by an operator"},
         "expr": f"min by (endpoint) (wahook_circuit_open{{{ENDPOINT}}}) + 2 * max by (endpoint) (wahook_endpoint_paused{{{ENDPOINT}}})"},
        {"header": "Time to drain", "unit": "s", "decimals": 0, "steps": ["green", (60, "orange"), (600, "red")],
         "expr": f"""{READY} == 0
             or {READY} / sum by (endpoint) (rate(wahook_deliveries_total{{{ENDPOINT}}}{RATE}))"""},
    ],
    [failed_deliveries(endpoint="${__data.fields.Endpoint}"), to_console("Endpoints in the console", view="endpoints")],
)
DEAD_LETTERS = to_console("Dead letters in the console", view="dead-letters")
QUEUES = to_console("Endpoints in the console", view="endpoints")

DELIVERY = dashboard(
    "wahook-delivery",
    "wahook: Delivery",
    "Delivery results, latency, retries and backlog, with the causes of failures",
    VARIABLES + [console()],
    ANNOTATIONS,
    [
        ("Overview of the selected time range", [
            linked(stat("Success rate", "Share of finished deliveries that were delivered, retries included. The objective is 99.9 %.",
                 "percentunit", ratio("wahook_deliveries_total", 'result="delivered"', SHOWN), OBJECTIVE, 2),
                   failed_deliveries()),
            stat("First-attempt success", "Share of events whose first attempt succeeded. The difference to the success rate was recovered by retries.",
                 "percentunit", ratio("wahook_attempts_total", 'outcome="delivered"', SHOWN, 'attempt="1"'),
                 ["red", (0.9, "orange"), (0.99, "green")], 2),
            linked(stat("Error budget left", "Unused share of the 0.1 % of deliveries that may fail, for the selected time range. Negative: overspent. Select 30 days for the objective's period.",
                 "percentunit", "1 - (1 - " + ratio("wahook_deliveries_total", 'result="delivered"', SHOWN) + ") / 0.001",
                 ["red", (0, "orange"), (0.5, "green")], 0),
                   failed_deliveries()),
            stat("Delivered", "Events delivered in the selected time range.", "short",
                 f'sum(increase(wahook_deliveries_total{{{ENDPOINT},result="delivered"}}{RANGE}))', decimals=0),
            linked(stat("Waiting now", "Ready messages in the work queues, not yet prefetched by a consumer. A short backlog is normal, a growing one is not.",
                 "short", f"sum(max by (queue) (rabbitmq_detailed_queue_messages_ready{{{WORK}}}))",
                 ["green", (1000, "orange"), (10000, "red")], 0),
                   QUEUES),
            linked(stat("Dead letters now", "Messages in wahook.dead, of all endpoints. They stay there until an operator redrives or discards them: `wahook-consumer dead list`.",
                 "short", 'max(rabbitmq_detailed_queue_messages{cluster=~"$cluster",queue="wahook.dead"})',
                 ["green", (1, "orange"), (1000, "red")], 0),
                   DEAD_LETTERS),
        ]),
        ("Endpoints", [ENDPOINTS]),
        ("Delivery results", [
            linked(lines("Success rate over time", "Share of finished deliveries that were delivered, over time. The dashed line is the objective, 99.9 %.",
                  "percentunit", [(ratio("wahook_deliveries_total", 'result="delivered"', NOW), "delivered"),
                                  (ratio("wahook_attempts_total", 'outcome="delivered"', NOW, 'attempt="1"'), "at first attempt")],
                  low=None, high=1, steps=["red", (0.999, "green")]),
                   failed_deliveries()),
            linked(lines("Deliveries by result", "Finished deliveries per second: delivered or dead-lettered.",
                  "ops", [(f"sum by (result) (rate(wahook_deliveries_total{{{ENDPOINT}}}{RATE}))", "{{result}}")], stacked=True),
                   failed_deliveries()),
            linked(lines("Attempts by outcome", "Requests per second, by outcome. status_5xx, timeout, connection_*: the webhook is down or slow. status_4xx: it rejects the request, usually because of the signature. dns, tls: its host name or certificate.",
                  "ops", [(f"sum by (outcome) (rate(wahook_attempts_total{{{ENDPOINT}}}{RATE})) > 0", "{{outcome}}")], stacked=True),
                   failed_deliveries()),
        ]),
        ("Latency", [
            heatmap("Attempt duration, distribution", "Duration of requests, from connect to the end of the response. A stronger colour means more requests. A separate band far above means that a part of the requests is slow.",
                    "s", f"sum by (le) (rate(wahook_attempt_duration_seconds_bucket{{{ENDPOINT}}}{RATE}))"),
            lines("Attempt duration", "Quantiles of the request duration. WEBHOOK_TIMEOUT ends a request, by default after 30 s.",
                  "s", quantiles("wahook_attempt_duration_seconds", ENDPOINT)),
            lines("End-to-end latency", "From the acceptance by the producer to the successful delivery. With the default delays, retries show as steps at 5, 15 and 35 s.",
                  "s", quantiles("wahook_delivery_end_to_end_seconds", ENDPOINT)),
        ]),
        ("Retries and dead letters", [
            lines("Retries by delay", "Retries scheduled per second, by delay in milliseconds. Longer delays are later retries; all after the third are \"more\".",
                  "ops", [(f"sum by (delay) (rate(wahook_retries_scheduled_total{{{ENDPOINT}}}{RATE})) > 0", "{{delay}}")], stacked=True),
            lines("Waiting for a retry", "Events in the wait queues of all endpoints, one queue per delay.",
                  "short", [('max by (queue) (rabbitmq_detailed_queue_messages_ready{cluster=~"$cluster",queue=~"wahook\\\\.wait\\\\..+"}) > 0', "{{queue}}")], stacked=True),
            linked(lines("Dead letters", "Messages in wahook.dead, and dead letters added per minute by each endpoint.",
                  "short", [('max(rabbitmq_detailed_queue_messages{cluster=~"$cluster",queue="wahook.dead"})', "in wahook.dead"),
                            (f'60 * sum by (endpoint) (rate(wahook_deliveries_total{{{ENDPOINT},result="dead_lettered"}}{RATE}))', "{{endpoint}}, added per minute")]),
                   DEAD_LETTERS),
        ]),
        ("Queue and consumers", [
            linked(lines("Queue depth", "Messages in the work queues. ready: not yet prefetched by a consumer. unacked: prefetched, waiting for a permit or for the response.",
                  "short", [(f"sum(max by (queue) (rabbitmq_detailed_queue_messages_ready{{{WORK}}}))", "ready"),
                            (f"sum(max by (queue) (rabbitmq_detailed_queue_messages_unacked{{{WORK}}}))", "unacked")]),
                   QUEUES),
            lines("Time in queue", "Time that events waited before their first attempt started. The queue is first in, first out, so this is the age of its oldest event while attempts are started.",
                  "s", quantiles("wahook_queue_wait_seconds", ENDPOINT)),
            lines("In flight and limit", "Requests in flight, and their limit (WEBHOOK_CONCURRENCY times consumers). If the limit is reached while events wait, start more consumers.",
                  "short", [(f"sum(wahook_deliveries_in_flight{{{ENDPOINT}}})", "in flight"),
                            (f"sum(wahook_delivery_limit{{{ENDPOINT}}})", "limit")]),
        ]),
        ("Events and delivery log", [
            lines("Events accepted", "Events per second that the producer answered with 202 (accepted) or 200 (duplicate).",
                  "ops", [(f"sum(rate(wahook_events_accepted_total{{{CHOSEN}}}{RATE}))", "accepted"),
                          (f"sum(rate(wahook_events_duplicate_total{{{CHOSEN}}}{RATE}))", "duplicate")]),
            lines("Events rejected", "Events per second that the producer rejected, by reason. broker_*, confirm_*, unroutable, busy: answered with 503, a fault of this system. All others: a fault of the gateway.",
                  "ops", [(f"sum by (reason) (rate(wahook_events_refused_total{{{CHOSEN}}}{RATE})) > 0", "{{reason}}")], stacked=True),
            lines("Log lag", "From the end of an attempt until its result is durable in MongoDB.",
                  "s", quantiles("wahook_log_lag_seconds", CHOSEN)),
            lines("Log results by path", "Results per second: written directly, spilled to wahook.results while MongoDB is unavailable, or drained from it afterwards. Also the number of messages in wahook.results.",
                  "short", [(f"sum by (path) (rate(wahook_log_results_total{{{CHOSEN}}}{RATE}))", "{{path}} per second"),
                            ('max(rabbitmq_detailed_queue_messages{cluster=~"$cluster",queue="wahook.results"})', "in wahook.results")]),
        ]),
    ],
)

RUNTIME = dashboard(
    "wahook-runtime",
    "wahook: Runtime",
    "Replicas, processes, broker connections, RabbitMQ and log writes",
    VARIABLES,
    ANNOTATIONS,
    [
        ("Replicas", [
            stat("Producers", "Producers that Prometheus can scrape.", "short", f'sum(up{{{SPACE},job="wahook-producer"}})', ["red", (1, "green")], 0),
            stat("Consumers", "Consumers that Prometheus can scrape.", "short", f'sum(up{{{SPACE},job="wahook-consumer"}})', ["red", (1, "green")], 0),
            stat("Versions", "Different versions running at the same time. If more than one remains after a deploy, a replica was not updated.",
                 "short", f"count(count by (version) (wahook_build_info{{{CHOSEN}}}))", ["green", (2, "orange")], 0),
            stat("Consumers without log access", "Consumers that can't write to MongoDB. Their results wait in wahook.results.",
                 "short", f"count(wahook_log_available{{{CHOSEN}}} == 0) or vector(0)", ["green", (1, "red")], 0),
            stat("Broker alarms", "Active memory and disk alarms of RabbitMQ. Any alarm blocks publishers.",
                 "short", f"sum(max by (instance) (rabbitmq_alarms_memory_used_watermark{{{CLUSTER}}}) + max by (instance) (rabbitmq_alarms_free_disk_space_watermark{{{CLUSTER}}}))",
                 ["green", (1, "red")], 0),
        ]),
        ("Processes", [
            lines("CPU", "CPU cores used, per replica.", "short", [(f"rate(process_cpu_seconds_total{{{CHOSEN}}}{RATE})", "{{job}} {{instance}}")]),
            lines("Memory", "Resident memory, per replica.", "bytes", [(f"process_resident_memory_bytes{{{CHOSEN}}}", "{{job}} {{instance}}")]),
            lines("Open files and sockets", "Open file descriptors, per replica. Unlimited growth is a leak.", "short", [(f"process_open_fds{{{CHOSEN}}}", "{{job}} {{instance}}")]),
        ]),
        ("Connections to RabbitMQ", [
            lines("Connections up", "1 while the connection is up. publish: new events and retries. consume: events and acks.",
                  "short", [(f"wahook_connection_up{{{CHOSEN}}}", "{{job}} {{instance}} {{connection}}")], high=1),
            lines("Reconnects", "Reconnects within the interval. Single ones point to the network, many at once to the broker.",
                  "short", [(f"sum by (job, connection) (increase(wahook_reconnects_total{{{CHOSEN}}}{RATE}))", "{{job}} {{connection}}")]),
            lines("Publisher confirm time", "From the producer's publish to the broker's confirm. Gateways wait for it; a slow disk of the broker shows here first.",
                  "s", quantiles("wahook_publish_confirm_seconds", CHOSEN)),
        ]),
        ("RabbitMQ", [
            lines("Publishing blocked", "1 while the broker blocks the program from publishing because of a memory or disk alarm.",
                  "short", [(f"max by (job, instance) (wahook_broker_blocked{{{CHOSEN}}})", "{{job}} {{instance}}")], high=1),
            lines("Broker memory", "Memory used, and the watermark above which publishers are blocked.",
                  "bytes", [(f"rabbitmq_process_resident_memory_bytes{{{CLUSTER}}}", "used {{instance}}"), (f"rabbitmq_resident_memory_limit_bytes{{{CLUSTER}}}", "watermark {{instance}}")]),
            lines("Broker disk", "Free disk space, and the watermark below which publishers are blocked.",
                  "bytes", [(f"rabbitmq_disk_space_available_bytes{{{CLUSTER}}}", "free {{instance}}"), (f"rabbitmq_disk_space_available_limit_bytes{{{CLUSTER}}}", "watermark {{instance}}")]),
        ]),
        ("Requests and log writes", [
            lines("Producer requests in flight", "Requests in flight, per producer. Above 1,024 the producer answers 503.",
                  "short", [(f"wahook_requests_in_flight{{{CHOSEN}}}", "{{instance}}")]),
            lines("Redelivered events", "Events redelivered per second after a consumer was lost or stopped hard: attempted again, or skipped because the log had the attempt.",
                  "ops", [(f"sum by (action) (rate(wahook_events_redelivered_total{{{ENDPOINT}}}{RATE}))", "{{action}}")]),
            lines("Log writes", "Time to write a batch of results to MongoDB.",
                  "s", quantiles("wahook_log_write_seconds", CHOSEN)),
            lines("Log write errors", "Batches per second that could not be written to MongoDB.",
                  "ops", [(f"sum by (instance) (rate(wahook_log_write_errors_total{{{CHOSEN}}}{RATE}))", "{{instance}}")]),
        ]),
    ],
)


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name, content in (("delivery", DELIVERY), ("runtime", RUNTIME)):
        path, text = FOLDER / f"{name}.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if check and (not path.exists() or path.read_text() != text):
            stale.append(path.name)
        elif not check:
            path.write_text(text)
    if stale:
        sys.exit(f"{', '.join(stale)}: out of date; run deploy/grafana/dashboards.py")


main()
