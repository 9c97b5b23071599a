#!/usr/bin/env python3
"""Makes the dashboards: dashboards.py writes dashboards/*.json, dashboards.py --check compares.

Grafana's JSON is long and its diffs say little; here a panel is a title, what it says, a unit and
its queries.
"""

import json
import pathlib
import sys

from panels import dashboard, data_source, heatmap, label, lines, quantiles, starts, stat

FOLDER = pathlib.Path(__file__).parent / "dashboards"

# What the variables at the top choose.
CHOSEN = 'job=~"$job",instance=~"$instance"'
ENDPOINT = f'{CHOSEN},endpoint=~"$endpoint"'
# The work queues of the chosen endpoints.
WORK = 'queue=~"wahook\\\\.deliver\\\\.($endpoint)"'
RANGE, RATE = "[$__range]", "[$__rate_interval]"
# Green at all three nines, red below 99 %.
OBJECTIVE = ["red", (0.99, "orange"), (0.999, "green")]


def ratio(metric, part, over, whole=""):
    labels = f"{ENDPOINT},{whole}" if whole else ENDPOINT
    return f"""sum({over[0]}({metric}{{{labels},{part}}}{over[1]}))
        / sum({over[0]}({metric}{{{labels}}}{over[1]}))"""


SHOWN, NOW = ("increase", RANGE), ("rate", RATE)

VARIABLES = [
    data_source(),
    label("job", "Job", "wahook_build_info"),
    label("instance", "Instance", 'wahook_build_info{job=~"$job"}'),
    label("endpoint", "Endpoint", "wahook_deliveries_total"),
]
STARTS = starts(
    "Deploys and broker restarts",
    """1000 * process_start_time_seconds{job=~"$job"}
       or 1000 * round(timestamp(rabbitmq_erlang_uptime_seconds) - rabbitmq_erlang_uptime_seconds, 5)""",
)

DELIVERY = dashboard(
    "wahook-delivery",
    "wahook: Delivery",
    "Does everything arrive, how fast, and if not, why?",
    VARIABLES,
    [STARTS],
    [
        ("At a glance, over the time shown", [
            stat("Success rate", "Deliveries that ended delivered, of all that ended, retries included. The objective is 99.9 %.",
                 "percentunit", ratio("wahook_deliveries_total", 'result="delivered"', SHOWN), OBJECTIVE, 2),
            stat("First-attempt success", "Events whose first attempt succeeded. Below the success rate by what retries saved.",
                 "percentunit", ratio("wahook_attempts_total", 'outcome="delivered"', SHOWN, 'attempt="1"'),
                 ["red", (0.9, "orange"), (0.99, "green")], 2),
            stat("Error budget left", "Of the 0.1 % of deliveries that may fail: how much of it the time shown has left. Below zero it is overspent. Choose 30 days for the month's.",
                 "percentunit", "1 - (1 - " + ratio("wahook_deliveries_total", 'result="delivered"', SHOWN) + ") / 0.001",
                 ["red", (0, "orange"), (0.5, "green")], 0),
            stat("Delivered", "Events delivered in the time shown.", "short",
                 f'sum(increase(wahook_deliveries_total{{{ENDPOINT},result="delivered"}}{RANGE}))', decimals=0),
            stat("Waiting now", "Events in the work queues that no consumer has taken yet. For a moment this is normal; growing it is not.",
                 "short", f"sum(max by (queue) (rabbitmq_detailed_queue_messages_ready{{{WORK}}}))",
                 ["green", (1000, "orange"), (10000, "red")], 0),
            stat("Dead letters now", "Given up, and resting in wahook.dead until somebody redrives or discards them: `wahook-consumer dead list`. Of all endpoints.",
                 "short", 'max(rabbitmq_detailed_queue_messages{queue="wahook.dead"})',
                 ["green", (1, "orange"), (1000, "red")], 0),
        ]),
        ("Do they arrive?", [
            lines("Success rate over time", "Of the deliveries that ended at that time, those that ended delivered. The dashed line is the objective, 99.9 %.",
                  "percentunit", [(ratio("wahook_deliveries_total", 'result="delivered"', NOW), "delivered"),
                                  (ratio("wahook_attempts_total", 'outcome="delivered"', NOW, 'attempt="1"'), "at the first attempt")],
                  low=None, high=1, steps=["red", (0.999, "green")]),
            lines("Deliveries by result", "Deliveries that ended, a second: delivered, or given up and dead-lettered.",
                  "ops", [(f"sum by (result) (rate(wahook_deliveries_total{{{ENDPOINT}}}{RATE}))", "{{result}}")], stacked=True),
            lines("Attempts by outcome", "Requests a second, by what came of them. status_5xx, timeout, connection_*: the webhook is down or slow. status_4xx: it refuses, most often the signature. dns, tls: its name or certificate.",
                  "ops", [(f"sum by (outcome) (rate(wahook_attempts_total{{{ENDPOINT}}}{RATE})) > 0", "{{outcome}}")], stacked=True),
        ]),
        ("How fast?", [
            heatmap("Attempt duration, all", "How long requests took, from the connect to the end of the answer; the darker, the more of them. A band far above the rest is a webhook of which a part is slow.",
                    "s", f"sum by (le) (rate(wahook_attempt_duration_seconds_bucket{{{ENDPOINT}}}{RATE}))"),
            lines("Attempt duration", "The same as quantiles. At 30 s WEBHOOK_TIMEOUT ends a request.",
                  "s", quantiles("wahook_attempt_duration_seconds", ENDPOINT)),
            lines("End-to-end time", "From the producer's acceptance to the successful delivery: what the user notices. Steps at 5, 15 and 35 s are retries.",
                  "s", quantiles("wahook_delivery_end_to_end_seconds", ENDPOINT)),
        ]),
        ("What is tried again, what is given up?", [
            lines("Retries by delay", "Retries scheduled a second, by their wait. Longer ones are later retries, or what the webhook asked for by Retry-After.",
                  "ops", [(f"sum by (delay) (rate(wahook_retries_scheduled_total{{{ENDPOINT}}}{RATE})) > 0", "{{delay}} ms")], stacked=True),
            lines("Waiting for a retry", "Events in the wait queues, by the queue's delay. Of all endpoints.",
                  "short", [('max by (queue) (rabbitmq_detailed_queue_messages_ready{queue=~"wahook\\\\.wait\\\\..+"}) > 0', "{{queue}}")], stacked=True),
            lines("Dead letters", "What rests in wahook.dead, and what was added a minute by each endpoint.",
                  "short", [('max(rabbitmq_detailed_queue_messages{queue="wahook.dead"})', "in wahook.dead"),
                            (f'60 * sum by (endpoint) (rate(wahook_deliveries_total{{{ENDPOINT},result="dead_lettered"}}{RATE}))', "{{endpoint}}, added a minute")]),
        ]),
        ("Do consumers keep up?", [
            lines("Queue", "In the work queues: ready (nobody has taken it yet) and unacked (a consumer has it: waiting for its turn, or for the answer).",
                  "short", [(f"sum(max by (queue) (rabbitmq_detailed_queue_messages_ready{{{WORK}}}))", "ready"),
                            (f"sum(max by (queue) (rabbitmq_detailed_queue_messages_unacked{{{WORK}}}))", "unacked")]),
            lines("Wait in the queue", "How long events had waited when their first attempt began. The queue is first in, first out, so this is the age of its oldest event, as long as attempts are begun.",
                  "s", quantiles("wahook_queue_wait_seconds", ENDPOINT)),
            lines("In flight against limit", "Requests being made, and how many may be (WEBHOOK_CONCURRENCY times consumers). At the limit while events wait: start more consumers.",
                  "short", [(f"sum(wahook_deliveries_in_flight{{{ENDPOINT}}})", "in flight"),
                            (f"sum(wahook_delivery_limit{{{ENDPOINT}}})", "limit")]),
        ]),
        ("What comes in, what is written down?", [
            lines("Events accepted", "Events a second that the producer answered 202 (new) or 200 (it had them already).",
                  "ops", [(f"sum(rate(wahook_events_accepted_total{{{CHOSEN}}}{RATE}))", "accepted"),
                          (f"sum(rate(wahook_events_duplicate_total{{{CHOSEN}}}{RATE}))", "repeated")]),
            lines("Events refused", "Events a second that the producer refused, by reason. broker_*, confirm_*, unroutable, busy: ours, answered 503. The others: the gateway's.",
                  "ops", [(f"sum by (reason) (rate(wahook_events_refused_total{{{CHOSEN}}}{RATE})) > 0", "{{reason}}")], stacked=True),
            lines("Log lag", "From the end of an attempt until its result was durable in MongoDB.",
                  "s", quantiles("wahook_log_lag_seconds", CHOSEN)),
            lines("Results by their way to the log", "Results a second: direct; spilled to wahook.results while MongoDB is away, drained from there when it is back. And how many wait there.",
                  "short", [(f"sum by (path) (rate(wahook_log_results_total{{{CHOSEN}}}{RATE}))", "{{path}} a second"),
                            ('max(rabbitmq_detailed_queue_messages{queue="wahook.results"})', "in wahook.results")]),
        ]),
    ],
)

RUNTIME = dashboard(
    "wahook-runtime",
    "wahook: Runtime",
    "How are the programs, their connections and the broker?",
    VARIABLES,
    [STARTS],
    [
        ("Replicas", [
            stat("Producers", "Producers that answer Prometheus.", "short", 'sum(up{job="wahook-producer"})', ["red", (1, "green")], 0),
            stat("Consumers", "Consumers that answer Prometheus.", "short", 'sum(up{job="wahook-consumer"})', ["red", (1, "green")], 0),
            stat("Versions", "Different versions that run at once. More than one for longer than a deploy: a replica was forgotten.",
                 "short", f"count(count by (version) (wahook_build_info{{{CHOSEN}}}))", ["green", (2, "orange")], 0),
            stat("Consumers without log", "Consumers that can't write to MongoDB. Their results wait in wahook.results.",
                 "short", f"count(wahook_log_available{{{CHOSEN}}} == 0) or vector(0)", ["green", (1, "red")], 0),
            stat("Broker alarms", "Memory and disk alarms at RabbitMQ. With one, publishers are blocked.",
                 "short", "sum(max by (instance) (rabbitmq_alarms_memory_used_watermark) + max by (instance) (rabbitmq_alarms_free_disk_space_watermark))",
                 ["green", (1, "red")], 0),
        ]),
        ("Processes", [
            lines("CPU", "Cores used, by replica.", "short", [(f"rate(process_cpu_seconds_total{{{CHOSEN}}}{RATE})", "{{job}} {{instance}}")]),
            lines("Memory", "Resident memory, by replica.", "bytes", [(f"process_resident_memory_bytes{{{CHOSEN}}}", "{{job}} {{instance}}")]),
            lines("Open files and sockets", "By replica. One that grows without end is a leak.", "short", [(f"process_open_fds{{{CHOSEN}}}", "{{job}} {{instance}}")]),
        ]),
        ("Connections to RabbitMQ", [
            lines("Connections up", "1 while the connection stands. publish: new events and retries; consume: events and acks.",
                  "short", [(f"wahook_connection_up{{{CHOSEN}}}", "{{job}} {{instance}} {{connection}}")], high=1),
            lines("Reconnects", "Connections made anew within the interval. Now and then is a network; all at once is the broker.",
                  "short", [(f"sum by (job, connection) (increase(wahook_reconnects_total{{{CHOSEN}}}{RATE}))", "{{job}} {{connection}}")]),
            lines("Confirm time", "From the producer's publish to the broker's confirm. It is what a gateway waits for; a slow disk at the broker shows here first.",
                  "s", quantiles("wahook_publish_confirm_seconds", CHOSEN)),
        ]),
        ("RabbitMQ", [
            lines("Blocked", "1 while the broker blocks a program's publishing, for a memory or disk alarm.",
                  "short", [(f"max by (job, instance) (wahook_broker_blocked{{{CHOSEN}}})", "{{job}} {{instance}}")], high=1),
            lines("Broker memory", "Used, and the watermark at which publishers are blocked.",
                  "bytes", [("rabbitmq_process_resident_memory_bytes", "used {{instance}}"), ("rabbitmq_resident_memory_limit_bytes", "watermark {{instance}}")]),
            lines("Broker disk", "Free, and the watermark below which publishers are blocked.",
                  "bytes", [("rabbitmq_disk_space_available_bytes", "free {{instance}}"), ("rabbitmq_disk_space_available_limit_bytes", "watermark {{instance}}")]),
        ]),
        ("Work", [
            lines("Producer requests in flight", "Requests being worked on, by producer. At 1,024 more are answered 503.",
                  "short", [(f"wahook_requests_in_flight{{{CHOSEN}}}", "{{instance}}")]),
            lines("Events handed out again", "A second, after a consumer was lost or stopped hard: attempted again, or skipped because the log had the attempt.",
                  "ops", [(f"sum by (action) (rate(wahook_events_redelivered_total{{{ENDPOINT}}}{RATE}))", "{{action}}")]),
            lines("Log writes", "Time that a batch of results takes to be written to MongoDB.",
                  "s", quantiles("wahook_log_write_seconds", CHOSEN)),
            lines("Log write errors", "Batches a second that MongoDB did not take.",
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
        sys.exit(f"{', '.join(stale)}: not what dashboards.py makes; run deploy/grafana/dashboards.py")


main()
