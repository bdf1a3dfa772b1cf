//! Expressions of the JSON as a typed tree.
//!
//! p4c nests `{"type": "expression", "value": …}` freely; the tree here has one node for each
//! operation and resolves no names.

use serde_json::Value as Raw;

use crate::value::Value;

/// A reference or an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// A field of a header or metadata instance; `$valid$` included.
    Field(String, String),
    /// A field of the last valid header of a stack.
    StackField(String, String),
    /// A field of a member of the last valid union of a union stack.
    UnionStackField(String, String, String),
    /// A number.
    Number { negative: bool, magnitude: Value },
    /// A truth value.
    Bool(bool),
    /// A parameter of the action.
    Local(usize),
    /// A cell of a register array.
    Register(String, Box<Expr>),
    /// A header instance.
    Header(String),
    /// A header stack.
    Stack(String),
    /// A header union.
    Union(String),
    /// A union stack.
    UnionStack(String),
    /// An operation with one operand.
    Unary(String, Box<Expr>),
    /// An operation with two operands.
    Binary(String, Box<Expr>, Box<Expr>),
    /// `cond ? left : right`.
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `access_field` and `access_union_header`: the member of this position.
    Member(Box<Expr>, usize),
}

/// Why an expression could not be read.
pub(crate) type Problem = String;

/// Reads a `{type, value}` object or a bare `{op, left, right}`.
pub(crate) fn read(raw: &Raw) -> Result<Expr, Problem> {
    if raw.get("op").is_some() {
        return operation(raw);
    }
    let kind = raw
        .get("type")
        .and_then(Raw::as_str)
        .ok_or("an operand has no type")?;
    let value = raw.get("value").unwrap_or(&Raw::Null);
    match kind {
        "expression" => read(value),
        "field" => pair(value).map(|(header, field)| Expr::Field(header, field)),
        "stack_field" => pair(value).map(|(stack, field)| Expr::StackField(stack, field)),
        "union_stack_field" => match value.as_array().map(Vec::as_slice) {
            Some([stack, member, field]) => Ok(Expr::UnionStackField(
                text(stack)?,
                text(member)?,
                text(field)?,
            )),
            _ => Err("a union_stack_field needs three names".to_owned()),
        },
        "hexstr" => {
            let (negative, magnitude) = number(value)?;
            Ok(Expr::Number {
                negative,
                magnitude,
            })
        }
        "bool" => value
            .as_bool()
            .map(Expr::Bool)
            .ok_or_else(|| "a bool has no value".to_owned()),
        "local" | "runtime_data" => {
            let index = value.as_u64().and_then(|at| usize::try_from(at).ok());
            index
                .map(Expr::Local)
                .ok_or_else(|| "a parameter has no index".to_owned())
        }
        "register" => match value.as_array().map(Vec::as_slice) {
            Some([array, index]) => Ok(Expr::Register(text(array)?, Box::new(read(index)?))),
            _ => Err("a register needs a name and an index".to_owned()),
        },
        "header" => text(value).map(Expr::Header),
        "header_stack" => text(value).map(Expr::Stack),
        "header_union" => text(value).map(Expr::Union),
        "header_union_stack" => text(value).map(Expr::UnionStack),
        other => Err(format!("operand type \"{other}\"")),
    }
}

/// Reads a hexadecimal string, with or without `0x`, possibly negative.
pub(crate) fn number(raw: &Raw) -> Result<(bool, Value), Problem> {
    let text = raw.as_str().ok_or("a hexstr is not a string")?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .unwrap_or(digits);
    hex(digits)
        .map(|value| (negative, value))
        .ok_or_else(|| format!("hexstr \"{text}\""))
}

/// Reads hexadecimal digits of any length.
pub(crate) fn hex(digits: &str) -> Option<Value> {
    let digits = digits.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 2 + 1);
    for pair in digits.rchunks(2) {
        let text = std::str::from_utf8(pair).ok()?;
        bytes.push(u8::from_str_radix(text, 16).ok()?);
    }
    bytes.reverse();
    Some(Value::from_be_bytes(&bytes))
}

fn operation(raw: &Raw) -> Result<Expr, Problem> {
    let op = raw
        .get("op")
        .and_then(Raw::as_str)
        .ok_or("an operation has no name")?;
    let left = raw.get("left").filter(|side| !side.is_null());
    let right = raw.get("right").filter(|side| !side.is_null());
    match (op, left, right) {
        ("access_field" | "access_union_header", Some(of), Some(at)) => {
            let index = at.as_u64().and_then(|at| usize::try_from(at).ok());
            Ok(Expr::Member(
                Box::new(read(of)?),
                index.ok_or("a member has no position")?,
            ))
        }
        ("?", Some(left), Some(right)) => {
            let cond = raw
                .get("cond")
                .ok_or("a ternary operation has no condition")?;
            Ok(Expr::Ternary(
                Box::new(read(cond)?),
                Box::new(read(left)?),
                Box::new(read(right)?),
            ))
        }
        (_, Some(left), Some(right)) => Ok(Expr::Binary(
            op.to_owned(),
            Box::new(read(left)?),
            Box::new(read(right)?),
        )),
        (_, Some(only), None) | (_, None, Some(only)) => {
            Ok(Expr::Unary(op.to_owned(), Box::new(read(only)?)))
        }
        (_, None, None) => Err(format!("operation \"{op}\" has no operand")),
    }
}

pub(crate) fn pair(raw: &Raw) -> Result<(String, String), Problem> {
    match raw.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok((text(first)?, text(second)?)),
        _ => Err("a field reference needs two names".to_owned()),
    }
}

pub(crate) fn text(raw: &Raw) -> Result<String, Problem> {
    raw.as_str()
        .map(str::to_owned)
        .ok_or_else(|| "a name is not a string".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Expr, Value, read};
    use serde_json::json;

    #[test]
    fn nested_expression_wrappers_vanish() {
        let raw = json!({"type": "expression", "value": {"type": "expression", "value": {
            "op": "&", "left": {"type": "field", "value": ["h", "a"]},
            "right": {"type": "hexstr", "value": "0xff"}}}});
        let want = Expr::Binary(
            "&".to_owned(),
            Box::new(Expr::Field("h".to_owned(), "a".to_owned())),
            Box::new(Expr::Number {
                negative: false,
                magnitude: Value::from(0xffu64),
            }),
        );
        assert_eq!(read(&raw), Ok(want));
    }

    #[test]
    fn negative_and_odd_digit_numbers_are_read() {
        let raw = json!({"type": "hexstr", "value": "-0x123"});
        assert_eq!(
            read(&raw),
            Ok(Expr::Number {
                negative: true,
                magnitude: Value::from(0x123u64)
            })
        );
        assert!(read(&json!({"type": "hexstr", "value": "0xzz"})).is_err());
        assert!(read(&json!({"type": "hexstr", "value": "0x"})).is_err());
    }
}
