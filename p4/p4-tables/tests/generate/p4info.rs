//! A reader of the p4info text format, as far as p4c writes it, for the generator.

/// A message: fields in order, each a scalar or a message.
#[derive(Debug, Default, Clone)]
pub(crate) struct Message(Vec<(String, Value)>);

#[derive(Debug, Clone)]
enum Value {
    Scalar(String),
    Message(Message),
}

impl Message {
    /// All submessages of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Message> {
        self.0.iter().filter_map(move |(field, value)| match value {
            Value::Message(message) if field == name => Some(message),
            _ => None,
        })
    }

    /// The submessage of this name.
    pub(crate) fn one(&self, name: &str) -> &Message {
        self.0
            .iter()
            .find_map(|(field, value)| match value {
                Value::Message(message) if field == name => Some(message),
                _ => None,
            })
            .unwrap_or_else(|| panic!("p4info lacks {name}"))
    }

    /// The scalar of this name.
    pub(crate) fn scalar(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(field, value)| match value {
            Value::Scalar(text) if field == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// All scalars of this name, which must be numbers.
    pub(crate) fn numbers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u64> + 'a {
        self.0.iter().filter_map(move |(field, value)| match value {
            Value::Scalar(text) if field == name => Some(text.parse().unwrap()),
            _ => None,
        })
    }

    /// A scalar that must be a number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.scalar(name)
            .unwrap_or_else(|| panic!("p4info lacks {name}"))
            .parse()
            .unwrap()
    }
}

/// Parses the text.
pub(crate) fn parse(text: &str) -> Message {
    let mut stack = vec![(String::new(), Message::default())];
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(name) = line.strip_suffix(" {") {
            stack.push((name.to_owned(), Message::default()));
        } else if line == "}" {
            let (name, message) = stack.pop().unwrap();
            stack
                .last_mut()
                .unwrap()
                .1
                .0
                .push((name, Value::Message(message)));
        } else {
            let (name, value) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("odd line: {line}"));
            let value = value.trim_matches('"').to_owned();
            stack
                .last_mut()
                .unwrap()
                .1
                .0
                .push((name.to_owned(), Value::Scalar(value)));
        }
    }
    stack.pop().unwrap().1
}
