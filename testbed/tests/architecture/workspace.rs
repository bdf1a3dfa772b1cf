//! The workspace as `cargo metadata` and the file system show it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Every room: package and folder. A package that is not here has no place in the design.
pub(crate) const ROOMS: &[(&str, &str)] = &[
    ("felix-bridge", "felix-bridge"),
    ("felix-proto", "felix-bridge/felix-proto"),
    ("host-agent", "host-agent"),
    ("policy-model", "host-agent/policy-model"),
    ("policy-compiler", "host-agent/policy-compiler"),
    ("offload-api", "offload-api"),
    ("table-model", "offload-api/table-model"),
    ("p4runtime-proto", "p4/p4runtime-proto"),
    ("p4-tables", "p4/p4-tables"),
    ("p4-engine", "p4/p4-engine"),
    ("p4switch", "p4/p4switch"),
    ("rte-flow-bindings", "rte-flow-bindings"),
    ("rte-flow-sys", "rte-flow-bindings/rte-flow-sys"),
    ("dpu-agent", "dpu-agent"),
    ("dpu-reconciler", "dpu-agent/dpu-reconciler"),
    ("dpu-backend", "dpu-agent/dpu-backend"),
    ("backend-p4rt", "dpu-agent/backends/p4rt"),
    ("backend-rte-flow", "dpu-agent/backends/rte-flow"),
    ("backend-ovs", "dpu-agent/backends/ovs"),
    ("testbed", "testbed"),
];

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let mut command = MetadataCommand::new();
    command.current_dir(root());
    // Only what this machine builds: crates of other platforms need not have been fetched.
    command.other_options(vec!["--filter-platform".to_owned(), host()]);
    command.exec().expect("cargo metadata answers")
});

fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let said = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// The workspace's packages by name, with their folders relative to the checkout.
pub(crate) fn members() -> BTreeMap<String, PathBuf> {
    let packages = METADATA.workspace_packages();
    let folder = |package: &cargo_metadata::Package| {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().expect("a manifest lies in a folder");
        let relative = folder.strip_prefix(&METADATA.workspace_root);
        relative.expect("a member lies in the workspace").to_owned()
    };
    packages
        .into_iter()
        .map(|package| (package.name.to_string(), folder(package)))
        .collect()
}

/// What a package depends on directly: normal dependencies, by package name.
pub(crate) fn direct(package: &str) -> BTreeSet<String> {
    edges(&id(package), |kind| kind == DependencyKind::Normal)
        .iter()
        .map(name)
        .collect()
}

/// What a package depends on directly, in its tests too.
pub(crate) fn direct_of_any_kind(package: &str) -> BTreeSet<String> {
    edges(&id(package), |_| true).iter().map(name).collect()
}

/// What a package depends on however far down: normal dependencies, by package name.
pub(crate) fn reach(package: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![id(package)];
    while let Some(at) = open.pop() {
        for next in edges(&at, |kind| kind == DependencyKind::Normal) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen.iter().map(name).collect()
}

fn edges(package: &PackageId, wanted: impl Fn(DependencyKind) -> bool) -> Vec<PackageId> {
    let resolve = METADATA.resolve.as_ref().expect("metadata has a graph");
    let node = resolve.nodes.iter().find(|node| node.id == *package);
    let node = node.expect("every package is in the graph");
    let kept = node
        .deps
        .iter()
        .filter(|dep| dep.dep_kinds.iter().any(|kind| wanted(kind.kind)));
    kept.map(|dep| dep.pkg.clone()).collect()
}

fn id(name: &str) -> PackageId {
    let packages = METADATA.workspace_packages();
    let package = packages.into_iter().find(|package| package.name == name);
    package
        .unwrap_or_else(|| panic!("{name} is no member of the workspace"))
        .id
        .clone()
}

fn name(id: &PackageId) -> String {
    METADATA[id].name.to_string()
}

/// All files below `folder` whose name ends in one of `endings`, relative to the checkout. Build
/// output and what git does not keep is left out.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(at) = open.pop() {
        let Ok(entries) = fs::read_dir(&at) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let relative = path.strip_prefix(root());
                found.push(relative.expect("below the checkout").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file of the checkout.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}
