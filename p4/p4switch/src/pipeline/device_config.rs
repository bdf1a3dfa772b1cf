//! The bytes of `ForwardingPipelineConfig.p4_device_config`.

use prost::Message;

use super::PipelineError;

/// The envelope that early bmv2 controllers put round the JSON (package `p4.tmp`).
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bool, tag = "1")]
    reassign: bool,
    #[prost(bytes = "vec", tag = "3")]
    device_data: Vec<u8>,
}

/// The program's JSON, taken out of its envelope if there is one.
pub(super) fn json(config: &[u8]) -> Result<String, PipelineError> {
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| PipelineError::NotText)
    };
    let starts_json = |bytes: &[u8]| bytes.trim_ascii_start().starts_with(b"{");
    if config.trim_ascii().is_empty() {
        return Err(PipelineError::NoProgram);
    }
    if starts_json(config) {
        return text(config);
    }
    match Envelope::decode(config) {
        Ok(envelope) if starts_json(&envelope.device_data) => text(&envelope.device_data),
        _ => text(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_with_and_without_envelope() {
        assert_eq!(json(b" {}").expect("plain"), " {}");
        let envelope = Envelope {
            reassign: true,
            device_data: b"{\"a\":1}".to_vec(),
        };
        assert_eq!(
            json(&envelope.encode_to_vec()).expect("wrapped"),
            "{\"a\":1}"
        );
        assert!(matches!(json(b"  "), Err(PipelineError::NoProgram)));
        assert!(matches!(json(&[0xff, 0xfe]), Err(PipelineError::NotText)));
    }
}
