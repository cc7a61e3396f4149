//! How texts stand in YAML that we write: plain where that is safe, in double quotes with JSON's escapes where not.

use serde_json::Value as Json;

/// A text as a YAML scalar that reads back as the same text.
pub fn scalar(text: &str) -> String {
    let is_word =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b' '));
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.ends_with(' ');
    let means_something = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_plain = is_word && begins_well && !means_something.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain { text.to_owned() } else { Json::from(text).to_string() }
}

/// A text for a comment: on one line, and not endless.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// A document in block style; keys stand in the order of the value.
pub fn document(value: &Json) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn is_block(value: &Json) -> bool {
    match value {
        Json::Object(entries) => !entries.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn block(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            for (number, (key, inner)) in entries.iter().enumerate() {
                if number > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str(&scalar(key));
                out.push(':');
                if is_block(inner) {
                    out.push('\n');
                    out.push_str(&" ".repeat(indent + 2));
                    block(inner, indent + 2, out);
                } else {
                    out.push(' ');
                    block(inner, indent, out);
                }
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push_str(&" ".repeat(indent));
                }
                out.push_str("- ");
                block(item, indent + 2, out);
            }
        }
        Json::String(text) => {
            out.push_str(&scalar(text));
            out.push('\n');
        }
        // numbers, booleans, null, and what is empty read the same in YAML and JSON
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}
