//! Scripts into statements.

/// Why a script could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Line {line}: {problem}")]
pub struct StfError {
    /// One-based line.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub(super) statements: Vec<(usize, Statement)>,
}

/// `name:value` of a key or an argument.
pub(super) type Pair = (String, String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Packet {
        port: u16,
        bytes: Vec<u8>,
    },
    Expect {
        port: u16,
        frame: Expected,
    },
    NoPacket,
    Add {
        table: String,
        priority: Option<i32>,
        key: Vec<Pair>,
        call: Call,
        label: Option<String>,
    },
    SetDefault {
        table: String,
        call: Call,
    },
    RemoveAll,
    Remove {
        table: String,
        priority: Option<i32>,
        key: Vec<Pair>,
    },
    CheckCounter {
        counter: String,
        cell: String,
        check: Option<Check>,
    },
    MirroringAdd {
        session: u16,
        port: u16,
    },
    MirroringAddGroup {
        session: u16,
        group: u16,
    },
    MirroringDelete {
        session: u16,
    },
    GroupCreate {
        group: u16,
    },
    NodeCreate {
        rid: u16,
        ports: Vec<u16>,
    },
    NodeAssociate {
        group: u16,
        node: usize,
    },
    RegisterWrite {
        register: String,
        cell: usize,
        value: String,
    },
    RegisterReset {
        register: String,
    },
    CounterWrite {
        counter: String,
        cell: usize,
        packets: u64,
        bytes: u64,
    },
    /// Reading commands and waiting: nothing to do, nothing to check.
    Nothing,
}

/// An action with named arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) args: Vec<Pair>,
}

/// What a counter must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) bytes: bool,
    pub(super) op: String,
    pub(super) number: u64,
}

/// A frame that must come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// Digits; `None` for a frame of any content, a `None` digit for `*`.
    digits: Option<Vec<Option<u8>>>,
    /// No byte may follow.
    exact: bool,
}

impl Expected {
    pub(super) fn matches(&self, frame: &[u8]) -> bool {
        let Some(digits) = &self.digits else {
            return true;
        };
        let have = frame.len() * 2;
        if have < digits.len() || (self.exact && have != digits.len()) {
            return false;
        }
        let nibbles = frame.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .iter()
            .zip(nibbles)
            .all(|(want, have)| want.is_none_or(|want| want == have))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(digits) = &self.digits else {
            return f.write_str("anything");
        };
        for digit in digits {
            match digit {
                Some(digit) => write!(f, "{digit:x}")?,
                None => f.write_str("*")?,
            }
        }
        f.write_str(if self.exact { "$" } else { "" })
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`StfError`] names the line.
    pub fn parse(text: &str) -> Result<Self, StfError> {
        let mut statements = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let statement = statement(line);
            let statement = statement.map_err(|problem| StfError {
                line: at + 1,
                problem,
            })?;
            statements.push((at + 1, statement));
        }
        Ok(Self { statements })
    }
}

fn statement(line: &str) -> Result<Statement, String> {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let mut words = rest.split_whitespace();
    let mut word = || {
        words
            .next()
            .ok_or_else(|| format!("{command} lacks an argument"))
    };
    match command.to_lowercase().as_str() {
        "packet" => {
            let port = number(word()?)?;
            let digits: String = words.collect();
            Ok(Statement::Packet {
                port,
                bytes: hex_bytes(&digits)?,
            })
        }
        "expect" => {
            let port = number(word()?)?;
            let digits: String = words.collect();
            Ok(Statement::Expect {
                port,
                frame: expected(&digits)?,
            })
        }
        "no_packet" => Ok(Statement::NoPacket),
        "add" => add(rest),
        "setdefault" => {
            let (table, call) = rest
                .split_once(char::is_whitespace)
                .ok_or("lacks an action")?;
            Ok(Statement::SetDefault {
                table: table.to_owned(),
                call: call_of(call.trim())?,
            })
        }
        "remove" => {
            let table = word()?.to_owned();
            if table == "all" {
                return Ok(Statement::RemoveAll);
            }
            let (priority, key) = key_words(&mut words)?;
            Ok(Statement::Remove {
                table,
                priority,
                key,
            })
        }
        "check_counter" => check_counter(rest),
        "mirroring_add" => Ok(Statement::MirroringAdd {
            session: number(word()?)?,
            port: number(word()?)?,
        }),
        "mirroring_add_mc" => Ok(Statement::MirroringAddGroup {
            session: number(word()?)?,
            group: number(word()?)?,
        }),
        "mirroring_delete" => Ok(Statement::MirroringDelete {
            session: number(word()?)?,
        }),
        "mc_mgrp_create" => Ok(Statement::GroupCreate {
            group: number(word()?)?,
        }),
        "mc_node_create" => {
            let rid = number(word()?)?;
            let ports: Result<Vec<u16>, String> = words.map(number).collect();
            Ok(Statement::NodeCreate { rid, ports: ports? })
        }
        "mc_node_associate" => Ok(Statement::NodeAssociate {
            group: number(word()?)?,
            node: number(word()?)?,
        }),
        "register_write" => Ok(Statement::RegisterWrite {
            register: word()?.to_owned(),
            cell: number(word()?)?,
            value: word()?.to_owned(),
        }),
        "register_reset" => Ok(Statement::RegisterReset {
            register: word()?.to_owned(),
        }),
        "counter_write" => Ok(Statement::CounterWrite {
            counter: word()?.to_owned(),
            cell: number(word()?)?,
            packets: number(word()?)?,
            bytes: number(word()?)?,
        }),
        "wait" | "register_read" | "counter_read" | "meter_get_rates" | "mirroring_get" => {
            Ok(Statement::Nothing)
        }
        other => Err(format!("the command {other} is not known")),
    }
}

fn add(rest: &str) -> Result<Statement, String> {
    let (before, label) = match rest.rsplit_once('=') {
        Some((before, label)) if !label.contains(')') => (before.trim(), Some(label.trim())),
        _ => (rest, None),
    };
    let open = before.find('(').ok_or("the action has no parentheses")?;
    let head = before[..open].trim_end();
    let split = head
        .rfind(char::is_whitespace)
        .ok_or("add lacks a table or an action")?;
    let call = call_of(before[split..].trim())?;
    let mut words = head[..split].split_whitespace();
    let table = words.next().ok_or("add lacks a table")?.to_owned();
    let (priority, key) = key_words(&mut words)?;
    Ok(Statement::Add {
        table,
        priority,
        key,
        call,
        label: label.map(str::to_owned),
    })
}

fn key_words<'a>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(Option<i32>, Vec<Pair>), String> {
    let mut priority = None;
    let mut key = Vec::new();
    for (at, word) in words.enumerate() {
        if at == 0 && !word.contains(':') {
            priority = Some(number(word)?);
        } else {
            key.push(pair(word)?);
        }
    }
    Ok((priority, key))
}

fn call_of(text: &str) -> Result<Call, String> {
    let (action, args) = text
        .split_once('(')
        .ok_or("the action has no parentheses")?;
    let args = args
        .trim_end()
        .strip_suffix(')')
        .ok_or("the action's parentheses are open")?;
    let args = args.split(',').map(str::trim).filter(|arg| !arg.is_empty());
    let args: Result<Vec<Pair>, String> = args.map(pair).collect();
    Ok(Call {
        action: action.trim().to_owned(),
        args: args?,
    })
}

fn pair(word: &str) -> Result<Pair, String> {
    let (name, value) = word
        .split_once(':')
        .ok_or_else(|| format!("{word} is not name:value"))?;
    Ok((unquote(name.trim()), value.trim().to_owned()))
}

fn unquote(name: &str) -> String {
    name.trim_matches('"').to_owned()
}

fn check_counter(rest: &str) -> Result<Statement, String> {
    let (counter, rest) = rest.split_once('(').ok_or("the counter has no index")?;
    let (cell, rest) = rest.split_once(')').ok_or("the counter's index is open")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let check = match words.as_slice() {
        [] => None,
        [kind @ ("packets" | "bytes"), op, count] => Some(Check {
            bytes: *kind == "bytes",
            op: (*op).to_owned(),
            number: number(count)?,
        }),
        _ => return Err("a counter check is packets|bytes, an operator and a number".to_owned()),
    };
    Ok(Statement::CheckCounter {
        counter: counter.trim().to_owned(),
        cell: cell.trim().to_owned(),
        check,
    })
}

/// A number in decimal, hexadecimal or binary.
fn number<T: TryFrom<u64>>(word: &str) -> Result<T, String> {
    let parsed = match word.get(..2) {
        Some("0x" | "0X") => u64::from_str_radix(&word[2..], 16),
        Some("0b" | "0B") => u64::from_str_radix(&word[2..], 2),
        _ => word.parse(),
    };
    let number = parsed.map_err(|_| format!("{word} is not a number"))?;
    T::try_from(number).map_err(|_| format!("{word} is too large"))
}

fn hex_bytes(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = digits.chars().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0);
    let digits = digits.ok_or("the packet is not a string of hexadecimal bytes")?;
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

fn expected(digits: &str) -> Result<Expected, String> {
    if digits.is_empty() {
        return Ok(Expected {
            digits: None,
            exact: false,
        });
    }
    let (digits, exact) = match digits.strip_suffix('$') {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    let parsed: Option<Vec<Option<u8>>> = digits
        .chars()
        .map(|c| {
            if c == '*' {
                Some(None)
            } else {
                digit(c).map(Some)
            }
        })
        .collect();
    let digits = parsed.ok_or("the frame is not a string of hexadecimal digits and *")?;
    Ok(Expected {
        digits: Some(digits),
        exact,
    })
}

fn digit(c: char) -> Option<u8> {
    c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::{Call, Expected, Script, Statement, expected};

    #[test]
    fn an_add_has_priority_key_call_and_label() {
        let script = Script::parse(
            "add ingress.acl 10 h.f:0x1** g:7 ingress.set(port:2, val:0xff) = A # why\n",
        )
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            script.statements,
            [(
                1,
                Statement::Add {
                    table: "ingress.acl".to_owned(),
                    priority: Some(10),
                    key: vec![pair("h.f", "0x1**"), pair("g", "7")],
                    call: Call {
                        action: "ingress.set".to_owned(),
                        args: vec![pair("port", "2"), pair("val", "0xff")],
                    },
                    label: Some("A".to_owned()),
                }
            )]
        );
    }

    #[test]
    fn frames_match_by_digit_and_length() {
        let matches =
            |text: &str, frame: &[u8]| expected(text).is_ok_and(|want| want.matches(frame));
        assert!(matches("12**", &[0x12, 0x34, 0x56]));
        assert!(!matches("12**$", &[0x12, 0x34, 0x56]));
        assert!(!matches("1234", &[0x12]));
        assert!(matches("", &[]));
        assert_eq!(
            expected("1*$").map(|want| want.to_string()),
            Ok("1*$".to_owned())
        );
        assert_ne!(
            expected("1"),
            Ok(Expected {
                digits: None,
                exact: false
            })
        );
    }

    #[test]
    fn errors_name_the_line() {
        let error = Script::parse("wait\nfrobnicate 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Line 2: the command frobnicate is not known"
        );
        assert!(Script::parse("packet 0 1").is_err());
        assert!(Script::parse("packet 65536 11").is_err());
        assert!(Script::parse("add t x:1 a").is_err());
    }
}
