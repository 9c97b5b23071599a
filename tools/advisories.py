#!/usr/bin/env python3
"""Check Cargo.lock against security advisories that are pinned as data.

    advisories.py                   check; uses tools/advisories.toml, or the file named by ADVISORIES
    advisories.py update FOLDER     write that file from a clone of github.com/rustsec/advisory-db
    advisories.py --test            test the comparison of versions

The file holds the advisories of all crates in Cargo.lock, of any version, with the commit and the date of
their source. The check prints the date, warns if it is over 30 days ago, and exits with status 1 if a locked
version is affected, or if the file is missing. Advisories listed in deny.toml, [advisories] ignore, are
skipped.
"""

import datetime
import io
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_AGE = datetime.timedelta(days=30)
FILE = Path(os.environ.get("ADVISORIES") or ROOT / "tools" / "advisories.toml")


def main(arguments):
    match arguments:
        case []:
            check()
        case ["update", folder]:
            update(folder)
        case ["--test"]:
            test()
        case _:
            sys.exit(__doc__)


def check():
    if not FILE.exists():
        sys.exit(f"advisories: {FILE} does not exist, so nothing was checked; see 'advisories.py update'")
    pinned = tomllib.loads(FILE.read_text())
    rules = tomllib.loads((ROOT / "deny.toml").read_text())["advisories"].get("ignore", [])
    ignored = {rule if isinstance(rule, str) else rule["id"] for rule in rules}
    locked = locked_versions()
    faults = []
    for advisory in pinned["advisory"]:
        for version in locked.get(advisory["crate"], []):
            if advisory["id"] not in ignored and is_affected(version, advisory):
                faults.append(f"{advisory['crate']} {version}: {advisory['id']}: {advisory['title']}")
    date = pinned["date"]
    say(f"{len(locked)} crates checked against the advisories of {date} (commit {pinned['commit'][:12]})")
    if datetime.date.today() - date > MAX_AGE:
        say(f"WARNING: the advisories are older than {MAX_AGE.days} days: run 'advisories.py update'")
    if missing := sorted(locked.keys() - set(pinned["crates"])):
        say(f"WARNING: no advisories are pinned for {', '.join(missing)}: run 'advisories.py update'")
    if faults:
        sys.exit("\n".join(["advisories: affected crates:", *faults]))


def update(folder):
    """Writes the pinned file from a clone, with or without a work tree."""
    commit, date = git(folder, "log", "-1", "--format=%H %cs").decode().split()
    locked = locked_versions()
    found = []
    with tarfile.open(fileobj=io.BytesIO(git(folder, "archive", "HEAD", "crates"))) as archive:
        for member in archive:
            parts = member.name.split("/")
            if member.isfile() and len(parts) == 3 and parts[1] in locked and parts[2].endswith(".md"):
                found.append(parse(archive.extractfile(member).read().decode()))
    found = sorted(filter(None, found), key=lambda advisory: (advisory["crate"], advisory["id"]))
    lines = [
        "# Written by tools/advisories.py update. Source: github.com/rustsec/advisory-db. Licence: CC0-1.0,",
        "# except entries with `licence`, which are adapted from the GitHub Advisory Database at their `url`.",
        f'commit = "{commit}"',
        f"date = {date}",
        f"crates = {quoted(sorted(locked))}",
    ]
    for advisory in found:
        lines += ["", "[[advisory]]", *(f"{name} = {quoted(value)}" for name, value in advisory.items())]
    FILE.write_text("\n".join(lines) + "\n")
    say(f"{len(found)} advisories of {date} for {len(locked)} crates are in {FILE}")


def parse(text):
    """Returns the fields of an advisory, or None if it was withdrawn."""
    head, _, rest = text.partition("```toml\n")[2].partition("\n```")
    fields = tomllib.loads(head)
    about, versions = fields["advisory"], fields.get("versions", {})
    if "withdrawn" in about:
        return None
    title = next((line[2:].strip() for line in rest.splitlines() if line.startswith("# ")), "")
    advisory = {"id": about["id"], "crate": about["package"], "title": title}
    advisory["kind"] = about.get("informational", "vulnerability")
    advisory["unaffected"] = versions.get("patched", []) + versions.get("unaffected", [])
    if "license" in about and about["license"] != "CC0-1.0":
        advisory |= {"licence": about["license"], "url": about.get("url", "")}
    return advisory


def locked_versions():
    """Returns the versions in Cargo.lock by crate, without the crates of this repository."""
    versions = {}
    for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        if "source" in package:
            versions.setdefault(package["name"], []).append(package["version"])
    return versions


def is_affected(version, advisory):
    # A notice informs about a property, not about a fault.
    return advisory["kind"] != "notice" and not any(allows(rule, version) for rule in advisory["unaffected"])


def allows(rule, version):
    """Returns True if the version meets all comparators of a requirement, such as `>= 1.2.3, < 2`."""
    return all(compare(comparator.strip(), version) for comparator in rule.split(","))


def compare(comparator, version):
    operator, text = re.fullmatch(r"(>=|<=|>|<|=|\^|~)?\s*(.+)", comparator).groups()
    given, bound = order(version), order(text)
    count = len(re.split("[-+]", text)[0].split("."))
    match operator or "^":
        case ">=":
            return given >= bound
        case "<=":
            return given <= bound
        case ">":
            return given > bound
        case "<":
            return given < bound
        case "=":
            return given[0][:count] == bound[0][:count] and given[1] == bound[1]
        case "~":
            return given >= bound and given[0][: min(count, 2)] == bound[0][: min(count, 2)]
        case _:
            # The leftmost number that is not zero, or the last given one, must not change.
            fixed = next((at for at, number in enumerate(bound[0]) if number), count - 1) + 1
            return given >= bound and given[0][:fixed] == bound[0][:fixed]


def order(text):
    """Returns a key in the order of semantic versions. A pre-release comes before its version."""
    numbers, _, pre = text.partition("+")[0].partition("-")
    numbers = [int(number) for number in numbers.split(".")]
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")]
    return numbers + [0] * (3 - len(numbers)), (not pre, parts)


def test():
    for rule, inside, outside in [
        (">= 1.2.3", ["1.2.3", "1.10.0", "2.0.0"], ["1.2.2", "1.2.3-rc.1", "0.9.9"]),
        ("> 1.2.3", ["1.2.4"], ["1.2.3"]),
        ("< 2", ["1.99.0", "2.0.0-alpha.1"], ["2.0.0"]),
        ("<= 0.3.1", ["0.3.1"], ["0.3.2"]),
        (">= 1.1.0, < 2.0.0", ["1.1.0", "1.9.9"], ["1.0.9", "2.0.0"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("0.4", ["0.4.0", "0.4.9"], ["0.5.0", "0.3.9"]),
        ("~1.2.3", ["1.2.9"], ["1.3.0", "1.2.2"]),
        ("=1.2.3", ["1.2.3", "1.2.3+build"], ["1.2.4", "1.2.3-rc.1"]),
        (">= 1.0.0-rc.2", ["1.0.0", "1.0.0-rc.10"], ["1.0.0-rc.1"]),
    ]:
        for version in inside:
            assert allows(rule, version), f"{version} meets {rule}"
        for version in outside:
            assert not allows(rule, version), f"{version} does not meet {rule}"
    old = {"kind": "vulnerability", "unaffected": [">= 2.0.0", "< 1.0.0"]}
    assert [is_affected(version, old) for version in ("0.9.0", "1.5.0", "2.0.0")] == [False, True, False]
    assert is_affected("1.0.0", {"kind": "unmaintained", "unaffected": []})
    assert not is_affected("1.0.0", {"kind": "notice", "unaffected": []})
    say("versions are compared as expected")


def git(folder, *arguments):
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True).stdout


def quoted(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(quoted, value)) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def say(text):
    print(f"advisories: {text}", flush=True)


main(sys.argv[1:])
