//! Expressions of any shape and width, run on the engine and on a model that computes with
//! numbers of 2048 bits, one bit at a time.

#[path = "programs/minimal.rs"]
mod minimal;

use std::sync::Arc;

use p4_engine::{Engine, EngineConfig, Outputs, Program, Trace};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Two's complement, least significant bit first; wide enough that nothing here overflows.
type Bits = Vec<bool>;
const WIDTH: usize = 2048;
const RESULT: usize = 256;

#[derive(Clone, Debug)]
enum Tree {
    /// Field 0..4.
    Field(usize),
    Number(u64),
    Negative(u32),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    Shift(&'static str, Box<Tree>, u32),
    Mask(Box<Tree>, u32),
    Cast(&'static str, Box<Tree>, u32),
    Not(Box<Tree>),
    Choose(&'static str, Box<Tree>, Box<Tree>, Box<Tree>, Box<Tree>),
    Compare(&'static str, Box<Tree>, Box<Tree>),
}

impl Tree {
    fn json(&self) -> Json {
        let op = |op: &str, left: Json, right: Json| json!({"type": "expression", "value": {"op": op, "left": left, "right": right}});
        let hex = |number: String| json!({"type": "hexstr", "value": number});
        match self {
            Self::Field(at) => json!({"type": "field", "value": ["h", format!("f{at}")]}),
            Self::Number(number) => hex(format!("0x{number:x}")),
            Self::Negative(number) => hex(format!("-0x{number:x}")),
            Self::Binary(name, left, right) => op(name, left.json(), right.json()),
            Self::Shift(name, of, by) => op(name, of.json(), hex(format!("0x{by:x}"))),
            Self::Mask(of, bits) => op("&", of.json(), hex(ones(*bits))),
            Self::Cast(name, of, bits) => op(name, of.json(), hex(format!("0x{bits:x}"))),
            Self::Not(of) => op("~", Json::Null, of.json()),
            Self::Choose(cmp, a, b, yes, no) => json!({"type": "expression", "value": {
                "op": "?", "cond": op(cmp, a.json(), b.json()), "left": yes.json(),
                "right": no.json()}}),
            Self::Compare(cmp, a, b) => op("b2d", Json::Null, op(cmp, a.json(), b.json())),
        }
    }

    fn value(&self, fields: &[(u16, bool, Vec<u8>)]) -> Bits {
        match self {
            Self::Field(at) => {
                let (bits, signed, bytes) = &fields[*at];
                let raw = field_bits(bytes, usize::from(*bits));
                if *signed {
                    extend(&raw, usize::from(*bits))
                } else {
                    raw
                }
            }
            Self::Number(number) => from_u64(*number),
            Self::Negative(number) => negate(&from_u64(u64::from(*number))),
            Self::Binary(name, left, right) => {
                let (a, b) = (left.value(fields), right.value(fields));
                match *name {
                    "+" => add(&a, &b),
                    "-" => add(&a, &negate(&b)),
                    "*" => multiply(&a, &b),
                    "&" => zip(&a, &b, |a, b| a & b),
                    "|" => zip(&a, &b, |a, b| a | b),
                    _ => zip(&a, &b, |a, b| a ^ b),
                }
            }
            Self::Shift("<<", of, by) => left(&of.value(fields), *by as usize),
            Self::Shift(_, of, by) => right(&of.value(fields), *by as usize),
            Self::Mask(of, bits) => cut(&of.value(fields), *bits as usize),
            Self::Cast("two_comp_mod", of, bits) => extend(&of.value(fields), *bits as usize),
            Self::Cast("usat_cast", of, bits) => {
                let value = of.value(fields);
                let top = cut(&vec![true; WIDTH], *bits as usize);
                if value[WIDTH - 1] {
                    vec![false; WIDTH]
                } else if less(&top, &value) {
                    top
                } else {
                    value
                }
            }
            Self::Cast(_, of, bits) => {
                let value = of.value(fields);
                let top = cut(&vec![true; WIDTH], *bits as usize - 1);
                let bottom = left(&vec![true; WIDTH], *bits as usize - 1);
                if less(&value, &bottom) {
                    bottom
                } else if less(&top, &value) {
                    top
                } else {
                    value
                }
            }
            Self::Not(of) => of.value(fields).iter().map(|bit| !bit).collect(),
            Self::Choose(cmp, a, b, yes, no) => {
                if compare(cmp, &a.value(fields), &b.value(fields)) {
                    yes.value(fields)
                } else {
                    no.value(fields)
                }
            }
            Self::Compare(cmp, a, b) => {
                from_u64(u64::from(compare(cmp, &a.value(fields), &b.value(fields))))
            }
        }
    }
}

fn ones(bits: u32) -> String {
    let mut text = format!("0x{:x}", (1u32 << (bits % 4)) - 1);
    text.extend(std::iter::repeat_n('f', bits as usize / 4));
    text
}

fn from_u64(number: u64) -> Bits {
    (0..WIDTH)
        .map(|at| at < 64 && number >> at & 1 == 1)
        .collect()
}

fn field_bits(bytes: &[u8], bits: usize) -> Bits {
    // The field is right-aligned in its bytes.
    let bit = |at: usize| at < bits && bytes[bytes.len() - 1 - at / 8] >> (at % 8) & 1 == 1;
    (0..WIDTH).map(bit).collect()
}

fn extend(value: &Bits, bits: usize) -> Bits {
    (0..WIDTH).map(|at| value[at.min(bits - 1)]).collect()
}

fn cut(value: &Bits, bits: usize) -> Bits {
    (0..WIDTH).map(|at| at < bits && value[at]).collect()
}

fn zip(a: &Bits, b: &Bits, op: impl Fn(bool, bool) -> bool) -> Bits {
    a.iter().zip(b).map(|(a, b)| op(*a, *b)).collect()
}

fn add(a: &Bits, b: &Bits) -> Bits {
    let mut carry = false;
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            let sum = a ^ b ^ carry;
            carry = (*a && *b) || (carry && (*a || *b));
            sum
        })
        .collect()
}

fn negate(value: &Bits) -> Bits {
    let inverted: Bits = value.iter().map(|bit| !bit).collect();
    add(&inverted, &from_u64(1))
}

fn multiply(a: &Bits, b: &Bits) -> Bits {
    let magnitude = |value: &Bits| {
        if value[WIDTH - 1] {
            negate(value)
        } else {
            value.clone()
        }
    };
    let (x, y) = (magnitude(a), magnitude(b));
    let mut sum = vec![false; WIDTH];
    for at in (0..WIDTH / 2).filter(|at| y[*at]) {
        sum = add(&sum, &left(&x, at));
    }
    if a[WIDTH - 1] == b[WIDTH - 1] {
        sum
    } else {
        negate(&sum)
    }
}

fn left(value: &Bits, by: usize) -> Bits {
    (0..WIDTH).map(|at| at >= by && value[at - by]).collect()
}

fn right(value: &Bits, by: usize) -> Bits {
    (0..WIDTH)
        .map(|at| value[(at + by).min(WIDTH - 1)])
        .collect()
}

fn less(a: &Bits, b: &Bits) -> bool {
    add(a, &negate(b))[WIDTH - 1]
}

fn compare(name: &str, a: &Bits, b: &Bits) -> bool {
    match name {
        "==" => a == b,
        "!=" => a != b,
        "<" => less(a, b),
        "<=" => !less(b, a),
        ">" => less(b, a),
        _ => !less(a, b),
    }
}

/// Runs the expression on the engine, fast and traced; both must agree.
fn run(tree: &Tree, fields: &[(u16, bool, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let mut layout: Vec<Json> = fields
        .iter()
        .enumerate()
        .flat_map(|(at, (bits, signed, _))| {
            let padding = (8 - bits % 8) % 8;
            let pad = (padding > 0).then(|| json!([format!("p{at}"), padding, false]));
            pad.into_iter()
                .chain([json!([format!("f{at}"), bits, signed])])
        })
        .collect();
    layout.push(json!(["result", RESULT, false]));
    let assign = json!({"op": "assign", "parameters": [
        {"type": "field", "value": ["h", "result"]},
        {"type": "expression", "value": tree.json()}]});
    let actions = json!([{"name": "compute", "id": 0, "runtime_data": [],
        "primitives": [assign, minimal::send_to("0x1")]}]);
    let tables = json!([minimal::call("go", "compute", 0)]);
    let json = minimal::program(&json!(layout), &actions, &tables, &json!("go"));
    let program = Program::load(&json.to_string()).map_err(|error| error.to_string())?;
    let mut engine = Engine::new(Arc::new(program), EngineConfig::default());
    let mut packet: Vec<u8> = fields
        .iter()
        .flat_map(|(_, _, bytes)| bytes.clone())
        .collect();
    packet.extend([0x5a; RESULT / 8]);
    let (mut fast, mut slow) = (Outputs::new(), Outputs::new());
    engine.process(0, &packet, 0, &mut fast);
    engine.process_traced(0, &packet, 0, &mut slow, &mut Trace::default());
    if fast.frames() != slow.frames() {
        return Err("traced code computes something else".to_owned());
    }
    let frame = fast.frames().first().ok_or("nothing came out")?;
    Ok(frame.bytes[frame.bytes.len() - RESULT / 8..].to_vec())
}

fn widths() -> impl Strategy<Value = u16> {
    prop_oneof![
        1u16..=16,
        Just(32),
        Just(48),
        60u16..=68,
        Just(128),
        1u16..=200
    ]
}

fn field() -> impl Strategy<Value = (u16, bool, Vec<u8>)> {
    (widths(), any::<bool>()).prop_flat_map(|(bits, signed)| {
        let signed = signed && bits > 1;
        let bytes = usize::from(bits.div_ceil(8));
        let content = prop_oneof![
            3 => prop::collection::vec(any::<u8>(), bytes),
            1 => Just(vec![0xff; bytes]),
            1 => Just(vec![0; bytes]),
        ];
        content.prop_map(move |mut content| {
            // Padding bits are zero, so that the packet reads back as it is.
            content[0] &= 0xffu8 >> ((8 - bits % 8) % 8);
            (bits, signed, content)
        })
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let compare = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (0usize..4).prop_map(Tree::Field),
        1 => any::<u64>().prop_map(Tree::Number),
        1 => (0u64..10).prop_map(Tree::Number),
        1 => (1u32..1000).prop_map(Tree::Negative),
    ];
    leaf.prop_recursive(4, 24, 2, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let binary = prop::sample::select(vec!["+", "-", "*", "&", "|", "^"]);
        let shift = prop::sample::select(vec!["<<", ">>"]);
        let cast = prop::sample::select(vec!["two_comp_mod", "usat_cast", "sat_cast"]);
        prop_oneof![
            4 => (binary, boxed(), boxed()).prop_map(|(op, a, b)| Tree::Binary(op, a, b)),
            2 => (shift, boxed(), 0u32..140).prop_map(|(op, a, by)| Tree::Shift(op, a, by)),
            2 => (boxed(), 1u32..140).prop_map(|(a, bits)| Tree::Mask(a, bits)),
            1 => (cast, boxed(), 1u32..140).prop_map(|(op, a, bits)| Tree::Cast(op, a, bits)),
            1 => boxed().prop_map(Tree::Not),
            1 => (compare(), boxed(), boxed(), boxed(), boxed())
                .prop_map(|(op, a, b, c, d)| Tree::Choose(op, a, b, c, d)),
            1 => (compare(), boxed(), boxed()).prop_map(|(op, a, b)| Tree::Compare(op, a, b)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_equals_the_bitwise_model(
        tree in tree(),
        fields in prop::collection::vec(field(), 4),
    ) {
        let want = cut(&tree.value(&fields), RESULT);
        let want: Vec<u8> = (0..RESULT / 8)
            .rev()
            .map(|byte| (0..8).map(|bit| u8::from(want[byte * 8 + bit]) << bit).sum())
            .collect();
        match run(&tree, &fields) {
            Ok(have) => prop_assert_eq!(have, want),
            Err(problem) => return Err(TestCaseError::fail(problem)),
        }
    }
}

#[test]
fn division_is_by_the_book_and_by_zero_gives_zero() {
    let fields = |a: u8, b: u8| vec![(8, false, vec![a]), (8, false, vec![b])];
    let node = |op| Tree::Binary(op, Box::new(Tree::Field(0)), Box::new(Tree::Field(1)));
    let last = |op, a, b| *run(&node(op), &fields(a, b)).unwrap().last().unwrap();
    assert_eq!(last("/", 200, 7), 28);
    assert_eq!(last("%", 200, 7), 4);
    assert_eq!(last("/", 200, 0), 0);
    assert_eq!(last("%", 200, 0), 0);
    // Four limbs: 2^192 / 3 and the rest.
    let mut wide = vec![0u8; 32];
    wide[7] = 1;
    let fields = vec![(256, false, wide), (8, false, vec![3])];
    let quotient = run(&node("/"), &fields).unwrap();
    assert_eq!(&quotient[8..], [0x55; 24]);
    assert_eq!(run(&node("%"), &fields).unwrap()[31], 1);
}
