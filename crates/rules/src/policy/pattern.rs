//! Which operations a pattern allows.
//!
//! Pattern and operation are cut at every `/`. A part `{name}` or `:name` stands for any one part, `**` for any number of
//! parts, `*` inside a part for any text without `/`. `**` alone allows everything. Upper and lower case differ.

/// A pattern of operations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Literal(String),
    /// With `*` in it.
    Glob(String),
    /// Any one part that is not empty.
    One,
    /// Any number of parts.
    Many,
}

/// Allows everything.
pub const EVERYTHING: &str = "**";

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            return Err("is empty");
        }
        let part = |part: &str| match part {
            "**" => Ok(Part::Many),
            _ if part.contains("**") => Err("has ** beside other text between two slashes"),
            _ if is_template(part) => Ok(Part::One),
            _ if part.contains('*') => Ok(Part::Glob(part.to_owned())),
            _ => Ok(Part::Literal(part.to_owned())),
        };
        let parts = text.split('/').map(part).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), parts })
    }

    /// A pattern that allows an operation, which may have stars of its own: `/files/*name` of a framework's routes.
    pub fn of(operation: &str) -> Self {
        let part = |part: &str| match part {
            "**" => part.to_owned(),
            _ => part.split("**").collect::<Vec<_>>().join("*"),
        };
        let text = operation.split('/').map(part).collect::<Vec<_>>().join("/");
        let everything = || Self { text: EVERYTHING.to_owned(), parts: vec![Part::Many] };
        Self::new(&text).ok().filter(|pattern| pattern.allows(operation)).unwrap_or_else(everything)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it allows everything.
    pub fn is_everything(&self) -> bool {
        self.text == EVERYTHING
    }

    /// Whether it allows an operation.
    pub fn allows(&self, operation: &str) -> bool {
        if self.is_everything() {
            return true;
        }
        let parts: Vec<&str> = operation.split('/').collect();
        // the way a glob is matched: on a mismatch, the last `**` takes one part more
        let (mut at, mut part) = (0, 0);
        let mut last_many: Option<(usize, usize)> = None;
        while let Some(text) = parts.get(part) {
            match self.parts.get(at) {
                Some(Part::Many) => {
                    last_many = Some((at, part));
                    at += 1;
                }
                Some(pattern) if pattern.is_met_by(text) => {
                    at += 1;
                    part += 1;
                }
                _ => {
                    let Some((many, taken)) = last_many else { return false };
                    last_many = Some((many, taken + 1));
                    at = many + 1;
                    part = taken + 1;
                }
            }
        }
        self.parts.get(at..).is_some_and(|rest| rest.iter().all(|part| *part == Part::Many))
    }
}

impl Part {
    fn is_met_by(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Glob(glob) => is_like(glob.as_bytes(), text.as_bytes()),
            Self::One => !text.is_empty(),
            Self::Many => true,
        }
    }
}

/// Whether a part of a route stands for any value: `{id}`, `:id`.
pub fn is_template(part: &str) -> bool {
    (part.starts_with('{') && part.ends_with('}') && part.len() > 2) || (part.starts_with(':') && part.len() > 1)
}

/// Whether a text is like a glob in which `*` is any text.
pub fn is_like(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(place) {
        match glob.get(at) {
            Some(b'*') => {
                last_star = Some((at, place));
                at += 1;
            }
            Some(literal) if literal == byte => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                at = star + 1;
                place = taken + 1;
            }
        }
    }
    glob.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}
