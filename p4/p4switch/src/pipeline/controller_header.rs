//! The headers between switch and controller, `@controller_header` in P4 (P4Runtime 6.4.6).

use p4_engine::{Program, Value};
use p4runtime_proto::p4::{config::v1::ControllerPacketMetadata, v1::PacketMetadata};

use super::{PipelineError, data::Types, named, names::Form};
use crate::failure::Failure;

/// Layout of one of the two headers.
#[derive(Debug)]
pub(crate) struct ControllerHeader {
    name: String,
    fields: Vec<HeaderField>,
    bytes: usize,
}

#[derive(Debug)]
struct HeaderField {
    id: u32,
    name: String,
    bits: usize,
    /// Bits in front of it.
    offset: usize,
    form: Form,
}

impl ControllerHeader {
    pub(super) fn load(
        header: &ControllerPacketMetadata,
        types: &Types<'_>,
        program: &Program,
    ) -> Result<Self, PipelineError> {
        let name = named(header.preamble.as_ref()).1.to_owned();
        // A translated field has the controller's width in the p4info; on the wire between switch
        // and pipeline it has the program's. p4c names the header's instance as it likes, so the
        // widths are taken from the header with these fields.
        let widths = program.headers().iter().find(|candidate| {
            let given = header.metadata.iter().map(|field| field.name.as_str());
            let own = candidate.fields.iter().map(|field| field.name.as_str());
            !candidate.metadata && given.eq(own)
        });
        let mut fields: Vec<HeaderField> = header
            .metadata
            .iter()
            .enumerate()
            .map(|(at, field)| HeaderField {
                id: field.id,
                name: field.name.clone(),
                bits: match widths {
                    Some(header) if field.type_name.is_some() => header.fields[at].bits,
                    _ => usize::try_from(field.bitwidth).unwrap_or(0),
                },
                offset: 0,
                form: types.form(field.type_name.as_ref()),
            })
            .collect();
        if let Some(field) = fields.iter().find(|field| field.bits == 0) {
            return Err(PipelineError::Shape {
                problem: format!("field {} has no width", field.name),
                name,
            });
        }
        let bits = fields.iter_mut().fold(0, |offset, field| {
            field.offset = offset;
            offset + field.bits
        });
        if bits % 8 != 0 {
            return Err(PipelineError::Shape {
                problem: format!("the header has {bits} bits, which is no whole number of bytes"),
                name,
            });
        }
        Ok(Self {
            name,
            fields,
            bytes: bits / 8,
        })
    }

    /// Takes the header off a packet for the controller.
    pub(crate) fn split<'a>(&self, packet: &'a [u8]) -> Option<(Vec<PacketMetadata>, &'a [u8])> {
        let (header, payload) = packet.split_at_checked(self.bytes)?;
        let whole = Value::from_be_bytes(header);
        let metadata = self
            .fields
            .iter()
            .map(|field| {
                let below = self.bytes * 8 - field.offset - field.bits;
                let value = bits_of(&whole, below, field.bits);
                PacketMetadata {
                    metadata_id: field.id,
                    value: match &field.form {
                        Form::Number => value.to_canonical_bytes().into(),
                        Form::Name(names) => names.name(&value),
                    },
                }
            })
            .collect();
        Some((metadata, payload))
    }

    /// Puts the header in front of a packet from the controller.
    pub(crate) fn join(
        &self,
        metadata: &[PacketMetadata],
        payload: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let mut packet = vec![0; self.bytes];
        packet.extend_from_slice(payload);
        let header = &self.name;
        for given in metadata {
            if !self
                .fields
                .iter()
                .any(|field| field.id == given.metadata_id)
            {
                let id = given.metadata_id;
                return Err(Failure::invalid(format!(
                    "Header {header} has no field with id {id}"
                )));
            }
        }
        for field in &self.fields {
            let mut values = metadata
                .iter()
                .filter(|given| given.metadata_id == field.id);
            let (Some(given), None) = (values.next(), values.next()) else {
                let name = &field.name;
                return Err(Failure::invalid(format!(
                    "Header {header} needs exactly one value of field {name}"
                )));
            };
            let value = match &field.form {
                Form::Number => Value::from_be_bytes(&given.value),
                Form::Name(names) => names.number(&given.value, field.bits, true)?,
            };
            if given.value.is_empty() || value.bit_len() > field.bits {
                return Err(Failure::out_of_range(format!(
                    "Field {} of header {header} takes a value of {} bits, {} bytes given",
                    field.name,
                    field.bits,
                    given.value.len()
                )));
            }
            for bit in 0..field.bits {
                if value.limb(bit / 64) >> (bit % 64) & 1 == 1 {
                    let at = field.offset + field.bits - 1 - bit;
                    packet[at / 8] |= 0x80 >> (at % 8);
                }
            }
        }
        Ok(packet)
    }
}

fn bits_of(whole: &Value, below: usize, bits: usize) -> Value {
    let mut limbs = vec![0_u64; bits.div_ceil(64)];
    for bit in 0..bits {
        let from = below + bit;
        limbs[bit / 64] |= (whole.limb(from / 64) >> (from % 64) & 1) << (bit % 64);
    }
    Value::from_limbs(&limbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(usize, usize)], bytes: usize) -> ControllerHeader {
        let fields = (1..)
            .zip(fields)
            .map(|(id, &(offset, bits))| HeaderField {
                id,
                name: format!("f{id}"),
                bits,
                offset,
                form: Form::Number,
            })
            .collect();
        ControllerHeader {
            name: "packet_out".to_owned(),
            fields,
            bytes,
        }
    }

    fn value(metadata_id: u32, value: &'static [u8]) -> PacketMetadata {
        PacketMetadata {
            metadata_id,
            value: value.into(),
        }
    }

    #[test]
    fn fields_land_on_their_bits_and_come_back() {
        // bit<9> port, bit<5> padding, bit<2> flag
        let header = header(&[(0, 9), (14, 2)], 2);
        let given = [value(1, &[0x01, 0x02]), value(2, &[3])];
        let packet = header.join(&given, b"xy").expect("joined");
        assert_eq!(packet, [0x81, 0x03, b'x', b'y']);
        let (metadata, payload) = header.split(&packet).expect("split");
        assert_eq!(metadata, given);
        assert_eq!(payload, b"xy");
        assert!(header.split(&[1]).is_none());
    }

    #[test]
    fn wrong_metadata_is_refused() {
        use tonic::Code;
        let header = header(&[(0, 9), (9, 7)], 2);
        let code = |metadata: &[PacketMetadata]| header.join(metadata, &[]).expect_err("bad").code;
        assert_eq!(code(&[value(1, &[1])]), Code::InvalidArgument);
        assert_eq!(
            code(&[value(1, &[1]), value(2, &[1]), value(2, &[1])]),
            Code::InvalidArgument
        );
        assert_eq!(
            code(&[value(1, &[1]), value(2, &[1]), value(7, &[1])]),
            Code::InvalidArgument
        );
        assert_eq!(code(&[value(1, &[2, 0]), value(2, &[1])]), Code::OutOfRange);
        assert_eq!(code(&[value(1, &[]), value(2, &[1])]), Code::OutOfRange);
    }
}
