#!/usr/bin/env python3
"""Check the language of comments and documents (see CONTRIBUTING.md, "Language").

Counts words of the list below per 10,000 words, and doc comments that open with a pronoun or
question word. Checks the titles of the commits since this script was added. Exits with status 1
above the limits. Run from anywhere; checks all tracked and new .rs and .md files, or the files given.
"""

import re
import subprocess
import sys
from pathlib import Path

MAX_MARKERS = 5.0  # per 10,000 words
MAX_OPENERS = 7.0  # per cent of the doc comments
MAX_TITLE = 72  # characters
SHOWN = 20

# Words with a plain replacement: again, indefinitely, next to, in flight, prefetched, "the caller".
MARKERS = (
    "told tells nobody whoever somebody anew beside rests rested at-hand under-way for-ever "
    "at-the-most stands ends-up mend mends mended nowhere whatever its-own-time come-back "
    "thereby hereby whence hands-out handed-out puts-back"
)
MARKER = re.compile(
    r"\b(" + "|".join(word.replace("-", " ") for word in MARKERS.split()) + r")\b", re.IGNORECASE
)
OPENER = re.compile(
    r"(what|whether|which|who|whom|whose|how|why|where|when|it|they|them|those|these|that|this"
    r"|one|all that|so)\b",
    re.IGNORECASE,
)
# An area, then a verb: a title that opens with an article or a number does not.
TITLE = re.compile(r"[a-z0-9_,/. -]+: (?!(the|a|an|no|each|one|two|what|who|which|it)\b)[a-z]", re.IGNORECASE)
COMMENT = re.compile(r"\s*(///|//!|//)\s?(.*)$")


def comment_lines(text):
    """Yields (line number, text, opens a doc comment) for each comment line of a Rust file."""
    in_doc = False
    for number, line in enumerate(text.splitlines(), 1):
        found = COMMENT.match(line)
        is_doc = bool(found) and found.group(1) != "//"
        if found:
            yield number, found.group(2), is_doc and not in_doc and bool(found.group(2).strip())
        in_doc = is_doc


def document_lines(text):
    """Yields (line number, text, False) for each line of prose of a Markdown file."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, line, False


def tracked(root):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*.md"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return [root / name for name in listed.stdout.splitlines() if (root / name).is_file()]


def odd_titles(root):
    """Returns the titles that are not `area: verb ...` in at most 72 characters."""

    def log(*arguments):
        command = ["git", "log", "--no-merges", *arguments]
        return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()

    added = log("--diff-filter=A", "--format=%H", "--", "tools/language.py")
    titles = log("--format=%s", f"{added[-1]}..HEAD") if added else []
    return [title for title in titles if len(title) > MAX_TITLE or not TITLE.match(title)]


def main():
    root = Path(__file__).resolve().parent.parent
    files = [Path(name) for name in sys.argv[1:]] or tracked(root)
    words = {"comments": 0, "documents": 0}
    markers = {"comments": 0, "documents": 0}
    doc_comments = openers = 0
    places = []
    for path in files:
        kind, lines = ("documents", document_lines) if path.suffix == ".md" else ("comments", comment_lines)
        for number, line, opens in lines(path.read_text(encoding="utf-8")):
            words[kind] += len(re.findall(r"[A-Za-z']+", line))
            found = MARKER.findall(line)
            markers[kind] += len(found)
            places += [f"{path}:{number}: '{word}'" for word in found]
            if opens:
                doc_comments += 1
                if OPENER.match(line.strip()):
                    openers += 1
                    places.append(f"{path}:{number}: opens with '{line.split()[0]}'")
    bad = False
    for kind, count in words.items():
        rate = markers[kind] / max(count, 1) * 10_000
        bad |= rate > MAX_MARKERS
        print(f"{kind}: {markers[kind]} marker words in {count}, {rate:.1f} per 10,000 (limit {MAX_MARKERS})")
    share = openers / max(doc_comments, 1) * 100
    bad |= share > MAX_OPENERS
    print(f"doc comments: {openers} of {doc_comments} open with a pronoun or question word, {share:.1f} % (limit {MAX_OPENERS})")
    titles = [] if sys.argv[1:] else odd_titles(root)
    for title in titles:
        print(f"commit title is not 'area: verb ...' in at most {MAX_TITLE} characters: {title}")
    if bad:
        print("\n".join(places[:SHOWN]))
        print("Use plain technical English: CONTRIBUTING.md, section Language.", file=sys.stderr)
    return int(bad or bool(titles))


if __name__ == "__main__":
    sys.exit(main())
