//! The modifiers behind a field: which there are, and which go together.

use super::encoding::Rewrite;
use crate::atom::{Anchor, Relation};
use crate::diagnostic::{Place, Report, code};
use crate::time_part::TimePart;

/// What kind of comparison it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparison {
    #[default]
    Text,
    Regex,
    Cidr,
    Exists,
    Order(Relation),
    Field,
}

/// The modifiers of one key.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    pub rewrites: Vec<Rewrite>,
    pub anchor: Anchor,
    pub comparison: Comparison,
    /// The part of a time that is compared, instead of the whole value.
    pub part: Option<TimePart>,
    /// Placeholders are filled in.
    pub expand: bool,
    pub all: bool,
    pub cased: bool,
    pub differs: bool,
    pub ignore_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
}

/// Every word that may stand behind a field.
pub const NAMES: [&str; 35] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "neq",
    "re",
    "i",
    "ignorecase",
    "m",
    "multiline",
    "s",
    "dotall",
    "cidr",
    "exists",
    "gt",
    "gte",
    "lt",
    "lte",
    "eq",
    "fieldref",
    "expand",
    "base64",
    "base64offset",
    "wide",
    "utf16le",
    "utf16be",
    "utf16",
    "windash",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

const KNOWN: &str = "known: contains, startswith, endswith, all, cased, neq, re (i, m, s), cidr, exists, gt, gte, lt, \
                     lte, fieldref, expand, base64, base64offset, wide, utf16le, utf16be, utf16, windash, minute, \
                     hour, day, week, month, year";

impl Chain {
    /// Reads modifiers in their order; `None` after reporting.
    pub fn parse(names: &[&str], at: Place, report: &mut Report) -> Option<Self> {
        let mut chain = Self::default();
        for name in names {
            let taken = chain.take(name);
            if let Err(message) = taken {
                let hint = if message.starts_with("unknown") { KNOWN } else { "remove one of the two" };
                report.add(at, code::BAD_MODIFIER, message, hint);
                return None;
            }
        }
        match chain.fault() {
            None => Some(chain),
            Some((message, hint)) => {
                report.add(at, code::BAD_MODIFIER, message, hint);
                None
            }
        }
    }

    fn take(&mut self, name: &str) -> Result<(), String> {
        let is_regex = self.comparison == Comparison::Regex;
        match name {
            "contains" => return self.stand(Anchor::Contains),
            "startswith" => return self.stand(Anchor::Start),
            "endswith" => return self.stand(Anchor::End),
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.differs = true,
            "expand" => self.expand = true,
            "re" => return self.compare(Comparison::Regex),
            "i" | "ignorecase" if is_regex => self.ignore_case = true,
            "m" | "multiline" if is_regex => self.multi_line = true,
            "s" | "dotall" if is_regex => self.dot_all = true,
            "i" | "ignorecase" | "m" | "multiline" | "s" | "dotall" => {
                return Err(format!("unknown modifier {name:?}: it is a flag of re, and must follow it"));
            }
            "cidr" => return self.compare(Comparison::Cidr),
            "exists" => return self.compare(Comparison::Exists),
            "fieldref" => return self.compare(Comparison::Field),
            "base64" => self.rewrites.push(Rewrite::Base64),
            "base64offset" => self.rewrites.push(Rewrite::Base64Offset),
            "windash" => self.rewrites.push(Rewrite::Windash),
            "wide" | "utf16le" => self.rewrites.push(Rewrite::Utf16Le),
            "utf16be" => self.rewrites.push(Rewrite::Utf16Be),
            "utf16" => self.rewrites.push(Rewrite::Utf16),
            other => {
                if let Some(relation) = Relation::ALL.into_iter().find(|relation| relation.as_str() == other) {
                    return self.compare(Comparison::Order(relation));
                }
                let part = TimePart::find(other).ok_or_else(|| format!("unknown modifier {other:?}"))?;
                if self.part.replace(part).is_some() {
                    return Err(format!("{other} beside another part of a time"));
                }
            }
        }
        Ok(())
    }

    fn stand(&mut self, anchor: Anchor) -> Result<(), String> {
        match std::mem::replace(&mut self.anchor, anchor) {
            Anchor::Whole => Ok(()),
            _ => Err("contains, startswith and endswith exclude each other".to_owned()),
        }
    }

    fn compare(&mut self, comparison: Comparison) -> Result<(), String> {
        match std::mem::replace(&mut self.comparison, comparison) {
            Comparison::Text => Ok(()),
            _ => Err("re, cidr, exists, fieldref, gt, gte, lt and lte exclude each other".to_owned()),
        }
    }

    /// The same chain for keywords, whose texts may stand anywhere in a value.
    pub fn for_field(self, field: Option<&str>) -> Self {
        let is_keyword = field.is_none() && self.comparison == Comparison::Text && self.part.is_none();
        Self { anchor: if is_keyword { Anchor::Contains } else { self.anchor }, ..self }
    }

    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let is_text = self.comparison == Comparison::Text;
        let has_anchor = self.anchor != Anchor::Whole;
        let is_alone = !(self.all || self.cased || self.differs || self.expand);
        if !is_text && !self.rewrites.is_empty() {
            return Some(("encodings apply to plain text only", "remove the other modifier"));
        }
        if self.comparison == Comparison::Exists && (has_anchor || self.part.is_some() || !is_alone) {
            return Some(("exists goes with no other modifier", "ask for the value in an item of its own"));
        }
        let takes_anchor = matches!(self.comparison, Comparison::Text | Comparison::Regex | Comparison::Field);
        if has_anchor && !takes_anchor {
            let message = "contains, startswith and endswith apply to text, re and fieldref only";
            return Some((message, "remove one of the two"));
        }
        let takes_part = matches!(self.comparison, Comparison::Text | Comparison::Order(_));
        if self.part.is_some() && (!takes_part || has_anchor || self.cased || !self.rewrites.is_empty()) {
            return Some(("a part of a time is a number", "compare it as it is, or with gt, gte, lt, lte or neq"));
        }
        None
    }
}

#[cfg(test)]
mod tests;
