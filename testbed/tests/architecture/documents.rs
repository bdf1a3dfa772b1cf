//! What a reader finds beside the code.

use std::path::{Component, Path, PathBuf};

use crate::workspace::{files, members, root, text};

#[test]
fn every_room_says_what_it_is() {
    for (name, folder) in members() {
        let readme = text(&folder.join("README.md"));
        assert!(
            readme.starts_with("# "),
            "{name} has no README.md with a title"
        );
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files(Path::new(""), &[".md"]) {
        let folder = path.parent().unwrap_or(Path::new(""));
        for target in links(&text(&path)) {
            let file = target.split('#').next().unwrap_or("");
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let found = plain(&folder.join(file));
            assert!(
                root().join(&found).exists(),
                "{} links to {target}, which is not there",
                path.display()
            );
        }
    }
}

/// Targets of `[text](target)`, code blocks and code spans left out.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        let mut rest = prose.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            if let Some(end) = rest.find(')') {
                targets.push(rest[..end].trim().to_owned());
            }
        }
    }
    targets
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

#[test]
fn links_are_found_outside_of_code() {
    let text = "See [a](b.md#c) and `[x](y)`.\n```\n[no](no.md)\n```\n[z](../z.md)";
    assert_eq!(links(text), ["b.md#c", "../z.md"]);
    assert_eq!(
        plain(Path::new("docs/rooms/../a.md")),
        Path::new("docs/a.md")
    );
}
