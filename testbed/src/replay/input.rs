//! Opening what the user named: plain or gzipped, with errors that name the file and the fix.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use felix_bridge::{FrameReader, ReadError};
use felix_proto::Frame;
use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

/// Why an input cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// It cannot be opened.
    #[error(
        "{what} {} cannot be opened. Check the path; recorded streams are in testbed/cases/felix-streams",
        path.display()
    )]
    Open {
        /// Stream or flows.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be read to its end.
    #[error("{what} {} cannot be read to its end. Copy or record it again", path.display())]
    Read {
        /// Stream or flows.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not hold whole frames.
    #[error("Stream {} is not whole. Copy or record it again", path.display())]
    Frames {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ReadError,
    },
    /// It holds nothing.
    #[error(
        "Stream {} is empty. It should hold the frames that Felix wrote to its driver",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// All frames of a recorded stream.
///
/// # Errors
/// See [`InputError`].
pub(crate) fn frames(path: &Path) -> Result<Vec<Frame>, InputError> {
    let frames: Result<Vec<_>, _> = FrameReader::new(open("Stream", path)?).collect();
    let frames = frames.map_err(|source| InputError::Frames {
        path: path.to_owned(),
        source,
    })?;
    if frames.is_empty() {
        let path = path.to_owned();
        return Err(InputError::Empty { path });
    }
    Ok(frames)
}

/// All of a text file.
///
/// # Errors
/// See [`InputError`].
pub(crate) fn text(what: &'static str, path: &Path) -> Result<String, InputError> {
    let mut text = String::new();
    open(what, path)?
        .read_to_string(&mut text)
        .map_err(|source| InputError::Read {
            what,
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}

/// A file, decompressed if it begins as gzip does.
fn open(what: &'static str, path: &Path) -> Result<Box<dyn Read>, InputError> {
    let opened = || {
        let mut file = BufReader::new(File::open(path)?);
        let gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        io::Result::Ok((file, gzip))
    };
    let (file, gzip) = opened().map_err(|source| InputError::Open {
        what,
        path: path.to_owned(),
        source,
    })?;
    if gzip {
        Ok(Box::new(MultiGzDecoder::new(file)))
    } else {
        Ok(Box::new(file))
    }
}
