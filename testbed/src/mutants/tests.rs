use std::collections::BTreeSet;
use std::fmt::Write;

use super::{copy, list, root};

/// The page in the book.
fn page(mutants: &[list::Mutant]) -> String {
    let mut page = String::from(
        "# Would the tests notice?\n\n\
         `cargo testbed mutants` puts these faults into a copy of the workspace, one at a time, and \
         runs the tests\nthat should catch them. It exits with 0 only if all are caught. The ordinary \
         test run checks that each\nfault still has its place in the source.\n\n\
         | Fault | Where | Caught by the tests of |\n|---|---|---|\n",
    );
    for mutant in mutants {
        let packages = mutant.packages.join(", ");
        let _ = writeln!(page, "| {} | `{}` | {packages} |", mutant.name, mutant.file);
    }
    page
}

#[test]
fn every_fault_fits_the_source_once_and_changes_it() {
    let root = root();
    let mutants = list::read(&root).unwrap();
    assert!(mutants.len() >= 30, "{} faults", mutants.len());
    let names: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names.len(), mutants.len(), "two faults of one name");
    for mutant in &mutants {
        let healthy = std::fs::read_to_string(root.join(&mutant.file)).unwrap();
        let infected = copy::infected(mutant, &healthy).unwrap();
        assert_ne!(infected, healthy, "{}", mutant.name);
        assert!(!mutant.packages.is_empty(), "{}", mutant.name);
    }
}

#[test]
fn a_fault_whose_place_is_gone_or_twice_there_is_named() {
    let mut mutants = list::read(&root()).unwrap();
    let mutant = mutants.remove(0);
    let error = copy::infected(&mutant, "nothing of the kind").unwrap_err();
    assert!(error.to_string().contains(&mutant.name), "{error}");
    let twice = format!("{0}\n{0}", mutant.find);
    let error = copy::infected(&mutant, &twice).unwrap_err();
    assert!(error.to_string().contains("2 times"), "{error}");
}

/// `BLESS=1` writes the page anew.
#[test]
fn the_page_in_the_book_lists_the_faults() {
    let root = root();
    let path = root.join("docs/mutants.md");
    let page = page(&list::read(&root).unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap();
    assert!(
        there == page,
        "docs/mutants.md is stale: run the test with BLESS=1"
    );
}
