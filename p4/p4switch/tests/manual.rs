//! The manual page belongs to the command line: `BLESS=1 cargo test -p p4switch --test manual`.

use std::{fs, path::Path};

use clap_mangen::Man;

/// What clap does not know.
const MORE: &str = "\
.SH FILES AND FORMATS
Programs are the JSON that \\fBp4c\\-bm2\\-ss\\fR writes, p4info is binary protobuf. Captures are classic
pcap files of Ethernet frames. \\fB\\-\\-entries\\fR takes commands of bmv2's \\fBsimple_switch_CLI\\fR, one a
line, with # for comments; names may be cut to what is unique at their end, and the smaller of two
priorities wins, as there.
.SH EXIT STATUS
0 after SIGTERM or SIGINT, or when all packets of \\fBrun\\fR went through; 2 for a wrong command line; 1
for anything else that prevents the start.
.SH EXAMPLES
.nf
p4switch prog.json \\-\\-p4info prog.p4info.bin \\-i 1@veth1 \\-i 2@veth2
p4switch run prog.json \\-\\-entries rules.txt \\-\\-in 1@in.pcap \\-\\-out out.pcap \\-\\-trace
.fi
";

#[test]
fn the_manual_is_current() {
    let command = p4switch::cli::command();
    let run = command.find_subcommand("run").expect("run").clone();
    let mut page = Vec::new();
    let whole = Man::new(command);
    whole.render(&mut page).expect("rendered");
    // `run` on the same page: its synopsis and options.
    let run = Man::new(run.name("p4switch-run").display_name("p4switch run"));
    page.extend_from_slice(b".SH P4SWITCH RUN\n");
    for render in [Man::render_synopsis_section, Man::render_options_section] {
        let mut part = Vec::new();
        render(&run, &mut part).expect("rendered");
        let part = String::from_utf8(part).expect("text");
        page.extend_from_slice(part.replace(".SH ", ".SS ").as_bytes());
    }
    page.extend_from_slice(MORE.as_bytes());
    let page = String::from_utf8(page).expect("text");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("p4switch.1");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let blessed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        blessed == page,
        "p4switch.1 is not that of the command line: run with BLESS=1"
    );
}
