//! cargo, called by a program that cargo may have started itself.

use std::process::Command;

/// What cargo tells the programs that it runs about their own package. Build scripts of others
/// watch some of these, and a cargo that inherits them builds half the world anew.
const OWN: [&str; 6] = [
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_CRATE_",
    "CARGO_BIN_",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
];

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let own = name
            .to_str()
            .is_some_and(|name| OWN.iter().any(|own| name.starts_with(own)));
        if own {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_of_this_package_is_handed_on() {
        let command = super::cargo();
        let removed = |wanted: &str| {
            let mut all = command.get_envs();
            all.any(|(name, value)| name == wanted && value.is_none())
        };
        assert!(removed("CARGO_MANIFEST_DIR"));
        assert!(removed("CARGO_PKG_NAME"));
        assert!(!removed("CARGO_HOME"));
    }
}
