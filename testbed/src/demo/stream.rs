//! The recorded stream that the demo plays.

use std::path::{Path, PathBuf};

use felix_bridge::FrameReader;
use felix_proto::Frame;

use super::DemoError;

/// The stream that is played if none is named; part of the program, so that it needs no checkout.
const SMALL: &[u8] = include_bytes!("../../cases/felix-streams/small.felix");

/// A recorded stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// For people.
    pub(super) name: String,
    /// All its frames.
    pub(super) frames: Vec<Frame>,
}

impl Stream {
    /// `small`, the name of another recorded scenario, or a file.
    pub(super) fn open(named: &str) -> Result<Self, DemoError> {
        let name = named.to_owned();
        if named == "small" {
            let frames: Result<_, _> = FrameReader::new(SMALL).collect();
            let frames = frames.map_err(|source| DemoError::Frames {
                name: name.clone(),
                source,
            })?;
            return Ok(Self { name, frames });
        }
        let path = find(named);
        let frames = crate::replay::input::frames(&path)?;
        Ok(Self { name, frames })
    }
}

/// A path as it is; a name among the recordings of the checkout.
fn find(named: &str) -> PathBuf {
    let path = PathBuf::from(named);
    if path.exists() || named.contains('/') {
        return path;
    }
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let manifest =
        manifest.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let streams = manifest.join("cases/felix-streams");
    let plain = streams.join(format!("{named}.felix"));
    let gzipped = streams.join(format!("{named}.felix.gz"));
    [plain, gzipped]
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| Path::new(named).to_owned())
}
