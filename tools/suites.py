#!/usr/bin/env python3
"""Runs the test suites of the workspace side by side.

    tools/suites.py [--jobs N] [--only TEXT] [arguments of `cargo test`]

`cargo test` runs one suite (one test program) after another, and most suites wait for servers
and schedules most of the time. Suites are separate processes with servers of their own, so two of
them do not disturb each other. The output of a suite is printed when the suite has ended. Exits
with 1 if a suite failed, after all suites have run.
"""

import argparse
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time

RESULT = re.compile(r"^test result: .*? (\d+) passed; (\d+) failed", re.MULTILINE)
FAILED_TEST = re.compile(r"^test (.+) \.\.\. FAILED$", re.MULTILINE)
# Durations in seconds on two quiet cores, for a folder of builds without a last run.
LONGEST = {
    "tests::order": 436,
    "tests::faults": 311,
    "tests::console_page": 233,
    "tests::endpoints": 209,
    "tests::pair": 180,
    "tests::standalone": 177,
    "tests::receiver_page": 92,
}
# Lines of a failed suite's output that are repeated at the end, where a reader of a long log looks.
REPEATED_LINES = 120


class Suite:
    """A test program, and its result once it has run."""

    def __init__(self, artifact):
        self.package = pathlib.Path(artifact["manifest_path"]).parent
        self.program = artifact["executable"]
        target = artifact["target"]
        self.name = f"{self.package.name}::{target['name']}"
        self.is_integration = "test" in target["kind"]
        self.seconds = 0.0
        self.output = ""
        self.is_ok = False

    def run(self, filters):
        """Runs the suite's tests, or those with a text of `filters` in their names, from the folder
        of its package, as `cargo test` does."""
        started = time.monotonic()
        environment = {**os.environ, "CARGO_MANIFEST_DIR": str(self.package)}
        # A file, not a pipe: a server that outlives its test would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(
                [self.program, *filters], cwd=self.package, env=environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
            )
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        self.seconds = time.monotonic() - started
        self.is_ok = ended.returncode == 0

    def failures(self):
        """Returns what the suite says about its failed tests."""
        found = self.output.rfind("\nfailures:\n", 0, self.output.rfind("\nfailures:\n"))
        lines = self.output[max(found, 0):].strip().splitlines()
        return "\n".join(lines[-REPEATED_LINES:])

    def counts(self):
        """Returns the numbers of tests that passed and failed."""
        found = RESULT.findall(self.output)
        return tuple(sum(int(result[part]) for result in found) for part in (0, 1))


def build(arguments):
    """Compiles the suites, and returns them."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "test", "--no-run", "--message-format=json-render-diagnostics", *arguments]
    built = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if built.returncode != 0:
        sys.exit(built.returncode)
    messages = (json.loads(line) for line in built.stdout.splitlines())
    return [
        Suite(message) for message in messages
        if message["reason"] == "compiler-artifact"
        and message["profile"]["test"] and message["executable"]
    ]


def in_order(suites, durations):
    """Sorts the longest suites first, so that none of them is left for the end. Of those without
    a known duration, the ones that start servers are first."""
    return sorted(
        suites,
        key=lambda suite: (durations.get(suite.name, 0), suite.is_integration),
        reverse=True,
    )


def run_all(suites, jobs, filters):
    """Runs the suites, at most `jobs` at a time, and prints each output at its end."""
    waiting = queue.SimpleQueue()
    for suite in suites:
        waiting.put(suite)
    printing = threading.Lock()

    def work():
        while True:
            try:
                suite = waiting.get_nowait()
            except queue.Empty:
                return
            suite.run(filters)
            with printing:
                print(f"\n     Suite {suite.name} ({suite.seconds:.0f} s)\n{suite.output}", flush=True)

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def durations_file():
    """Returns the file with the durations of the last run."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "suites.json"


def main():
    parser = argparse.ArgumentParser(description="Run the test suites side by side.")
    parser.add_argument("--jobs", type=int, default=2, help="suites at a time (default: 2)")
    parser.add_argument("--only", metavar="TEXT", help="run the tests with this in their name")
    options, arguments = parser.parse_known_args()
    filters = [options.only] if options.only else []
    file = durations_file()
    last = json.loads(file.read_text()) if file.exists() else {}
    durations = {**LONGEST, **last}
    suites = in_order(build(arguments), durations)
    started = time.monotonic()
    run_all(suites, max(1, options.jobs), filters)
    if not filters:
        durations.update({suite.name: suite.seconds for suite in suites})
        file.write_text(json.dumps(durations, indent=1))
    passed, failed = (sum(suite.counts()[part] for suite in suites) for part in (0, 1))
    took = time.monotonic() - started
    faulty = [suite for suite in suites if not suite.is_ok]
    for suite in faulty:
        print(f"\n     Failures of {suite.name}\n{suite.failures()}\n")
    print(f"{len(suites)} suites, {passed} tests passed, {failed} failed, {took:.0f} s")
    for suite in faulty:
        tests = FAILED_TEST.findall(suite.output) or ["ended early"]
        print(f"  failed: {suite.name}: {', '.join(tests)}")
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
