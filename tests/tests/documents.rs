//! Links of all documents resolve, anchors are unique, every page is reachable, lengths are within limits.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, path::Path, path::PathBuf};

/// Maximum number of links to follow from the README to a file under `docs/`.
const MAX_CLICKS: usize = 2;

type Pages = BTreeMap<PathBuf, Page>;

/// Document: its length in lines, its anchors, and line and target of each internal link.
#[derive(Default)]
struct Page {
    lines: usize,
    anchors: BTreeSet<String>,
    /// Line and anchor of each heading whose anchor an earlier one has.
    repeated: Vec<(usize, String)>,
    links: Vec<(usize, String)>,
}

#[test]
fn links_resolve_files_are_reachable_and_lengths_are_within_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().expect("the repository");
    let (mut files, mut pages) = (BTreeSet::new(), BTreeMap::new());
    walk(&root, Path::new(""), &mut files);
    for file in &files {
        if file.extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(root.join(file)).expect("a readable document");
            pages.insert(file.clone(), parse(&text));
        }
    }
    let (mut faults, mut targets) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for (file, page) in &pages {
        // Each release in the changelog has the same headings.
        if file != Path::new("CHANGELOG.md") {
            let repeated = page.repeated.iter();
            faults.extend(repeated.map(|(line, anchor)| {
                format!("{}:{line}: second heading #{anchor}", file.display())
            }));
        }
        for (line, target) in &page.links {
            match resolve(&root, &pages, file, target) {
                Ok(to) => targets.entry(file.clone()).or_default().push(to),
                Err(fault) => faults.push(format!("{}:{line}: {target}: {fault}", file.display())),
            }
        }
    }
    for (name, limits) in [("README.md", 120..=150), ("ARCHITECTURE.md", 1..=150)] {
        let lines = pages.get(Path::new(name)).map_or(0, |page| page.lines);
        if !limits.contains(&lines) {
            faults.push(format!("{name}: {lines} lines, allowed are {limits:?}"));
        }
    }
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    for _ in 0..MAX_CLICKS {
        let next = reached.iter().filter_map(|file| targets.get(file));
        let next: Vec<_> = next.flatten().cloned().collect();
        reached.extend(next);
    }
    for file in files.iter().filter(|file| file.starts_with("docs")) {
        if !reached.contains(file) {
            let file = file.display();
            faults.push(format!("{file}: over {MAX_CLICKS} clicks from README.md"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn tests_named_in_tables_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = BTreeSet::new();
    for folder in ["crates", "tests"] {
        walk(&root, Path::new(folder), &mut files);
    }
    let sources = files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "rs"));
    let sources: String = sources
        .map(|file| fs::read_to_string(root.join(file)).expect("a readable source"))
        .collect();
    for (page, least) in [
        ("docs/reliability/security.md", 40),
        ("docs/reliability/field.md", 80),
        ("SECURITY.md", 15),
    ] {
        let table = fs::read_to_string(root.join(page)).expect(page);
        let names = tests_named_in(&table);
        assert!(names.len() > least, "{page}: {names:?}");
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !has_test(&sources, name))
            .collect();
        assert!(missing.is_empty(), "{page}: {missing:?}");
    }
}

/// Returns the names of tests in the tables of a page.
fn tests_named_in(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter_map(|name| name.rsplit("::").next())
        // Other names in code are short.
        .filter(|name| name.matches('_').count() >= 4 && !name.contains(['.', '/', ' ']))
        .collect()
}

/// Returns true if a function or a test of a suite has this name. `…` stands for a part of it.
fn has_test(sources: &str, name: &str) -> bool {
    let Some((start, end)) = name.split_once('…') else {
        let (function, text) = (format!("fn {name}("), format!("\"{name}\""));
        return sources.contains(&function) || sources.contains(&text);
    };
    // A name that a suite builds has a variable in braces.
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_{}".contains(c);
    ["fn ", "\""].iter().any(|before| {
        let start = format!("{before}{start}");
        sources.split(&start).skip(1).any(|rest| {
            let word = rest.split(|c| !is_part(c)).next();
            word.is_some_and(|word| word.ends_with(end))
        })
    })
}

/// Collects the files below a folder, relative to the root.
fn walk(root: &Path, folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(root.join(folder)).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_hidden = name.starts_with('.') && name != ".github";
        if !entry.file_type().expect("a file type").is_dir() {
            files.insert(folder.join(name));
        } else if !is_hidden && name != "target" && name != "node_modules" {
            walk(root, &folder.join(name), files);
        }
    }
}

fn parse(text: &str) -> Page {
    let (mut page, mut is_code) = (Page::default(), false);
    for (number, line) in (1..).zip(text.lines()) {
        page.lines = number;
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let without_code: String = line.split('`').step_by(2).collect();
            let targets = split_links(&without_code).1.into_iter();
            let targets = targets.filter(|target| !target.contains(':'));
            page.links.extend(targets.map(|target| (number, target)));
            let heading = line.trim_start_matches('#');
            if heading.len() < line.len() && heading.starts_with(' ') {
                let slug = slug(heading);
                if page.anchors.contains(&slug) {
                    page.repeated.push((number, slug.clone()));
                }
                let mut repeats = (1..).map(|repeat| format!("{slug}-{repeat}"));
                let mut anchor = slug.clone();
                while !page.anchors.insert(anchor) {
                    anchor = repeats.next().unwrap_or_default();
                }
            }
        }
    }
    page
}

/// Returns the text without link targets, and the targets.
fn split_links(text: &str) -> (String, Vec<String>) {
    let mut parts = text.split("](");
    let mut visible = parts.next().unwrap_or_default().to_owned();
    let mut targets = Vec::new();
    for part in parts {
        let (target, rest) = part.split_once(')').unwrap_or((part, ""));
        targets.push(target.split(' ').next().unwrap_or_default().to_owned());
        visible.push_str(rest);
    }
    (visible, targets)
}

/// Returns the anchor of a heading by GitHub's rule.
fn slug(heading: &str) -> String {
    let visible = split_links(heading.trim()).0.to_lowercase();
    let is_kept = |c: char| c.is_alphanumeric() || "-_ ".contains(c);
    visible.replace(|c| !is_kept(c), "").replace(' ', "-")
}

/// Returns the file to which a link leads; of a folder, its README.
fn resolve(root: &Path, pages: &Pages, from: &Path, target: &str) -> Result<PathBuf, &'static str> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let mut path = root.join(from);
    if !file.is_empty() {
        path.set_file_name(file);
    }
    let path = path.canonicalize().map_err(|_| "no such file")?;
    let index = path.join("README.md");
    let path = if index.is_file() { index } else { path };
    let outside = |_| "outside the repository";
    let path = path.strip_prefix(root).map_err(outside)?;
    match pages.get(path) {
        Some(page) if !anchor.is_empty() && !page.anchors.contains(anchor) => {
            Err("no such heading")
        }
        _ => Ok(path.to_owned()),
    }
}

#[test]
fn slug_follows_githubs_rule_and_code_has_no_links() {
    assert_eq!(slug(" `/readyz`, and why: 503"), "readyz-and-why-503");
    assert_eq!(slug(" [Linked](page.md) A_B – c"), "linked-a_b--c");
    let page = parse("# A\n```\n[x](y)\n# B\n```\n## A\n`[x](z)` [`t`](u \"v\")\n");
    assert_eq!((page.lines, page.links), (7, vec![(7, "u".to_owned())]));
    assert_eq!(page.anchors, ["a", "a-1"].map(str::to_owned).into());
    assert_eq!(page.repeated, [(6, "a".to_owned())]);
}
