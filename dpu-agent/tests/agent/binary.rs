//! The program itself: exit codes, messages, signals.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dpu-agent"));
    command.env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = program().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_configuration_can_be_checked() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "name = \"dpu-1\"").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let (code, out, _) = run(&["--check-config", "--config", &path]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "The configuration is fine\n")
    );
    writeln!(file, "bogus = 1").unwrap();
    let (code, out, said) = run(&["--check-config", "--config", &path]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        said.contains("unknown field `bogus`") && said.contains(&path),
        "{said}"
    );
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let (code, _, said) = run(&["--lissten", "x"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--lissten"), "{said}");
    let (code, _, said) = run(&["--config", "/nowhere/dpu.toml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/nowhere/dpu.toml"), "{said}");
    let (code, _, said) = run(&["--log", "a=b=c", "--check-config"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("a=b=c"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, said) = run(&["--insecure", "--http", "off", "--listen", &address]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&address) && said.contains("setting listen"),
        "{said}"
    );
}

#[test]
fn a_termination_ends_it_in_order() {
    let mut child = program()
        .args(["--insecure", "--http", "off", "--listen", "127.0.0.1:0"])
        .env("MARGAY_DPU_TARGET", "127.0.0.1:1")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("dpu-agent serves") {
        line.clear();
        assert_ne!(
            log.read_line(&mut line).unwrap(),
            0,
            "it ended before it served"
        );
    }
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(killed.success());
    // Nobody reads the log any more; it must not mind.
    drop(log);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
