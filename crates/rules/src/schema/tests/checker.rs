//! JSON Schema 2020-12 for the words that our schema uses; any other word is a fault of the schema.
//!
//! The crates that check all of it switch on features of `ahash` and `serde_json` that the server would then be built with.

use regex::Regex;
use serde_json::Value as Json;

/// Words that say nothing about whether an instance is valid.
const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "examples", "deprecated"];

pub struct Checker {
    root: Json,
}

impl Checker {
    pub fn new(root: Json) -> Self {
        Self { root }
    }

    /// What is wrong first.
    pub fn check(&self, instance: &Json) -> Result<(), String> {
        self.at(&self.root, instance, "")
    }

    fn at(&self, schema: &Json, instance: &Json, path: &str) -> Result<(), String> {
        let words = match schema {
            Json::Bool(true) => return Ok(()),
            Json::Bool(false) => return Err(format!("{path}: nothing may stand here")),
            Json::Object(words) => words,
            other => panic!("{other} is no schema"),
        };
        for (word, asked) in words {
            let is_valid = self.word(words, word, asked, instance, path)?;
            if !is_valid {
                return Err(format!("{path}: {instance} is against {word}: {asked}"));
            }
        }
        Ok(())
    }

    fn word(
        &self,
        words: &serde_json::Map<String, Json>,
        word: &str,
        asked: &Json,
        instance: &Json,
        path: &str,
    ) -> Result<bool, String> {
        let all = || asked.as_array().expect("a list of schemas").iter();
        let holds = |schema: &Json| self.at(schema, instance, path).is_ok();
        let length = |found: Option<usize>| found.map(|length| length as u64);
        let (entries, items, text) = (instance.as_object(), instance.as_array(), instance.as_str());
        Ok(match word {
            _ if ANNOTATIONS.contains(&word) => true,
            "$ref" => {
                let pointer = asked.as_str().and_then(|text| text.strip_prefix('#')).expect("a place in the schema");
                let target = self.root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                self.at(target, instance, path)?;
                true
            }
            "type" => match asked {
                Json::Array(types) => types.iter().any(|one| is_type(one, instance)),
                one => is_type(one, instance),
            },
            "const" => asked == instance,
            "enum" => all().any(|one| one == instance),
            "anyOf" => all().any(holds),
            "oneOf" => all().filter(|schema| holds(schema)).count() == 1,
            "allOf" => all().try_for_each(|schema| self.at(schema, instance, path)).map(|()| true)?,
            "if" => words.get(if holds(asked) { "then" } else { "else" }).is_none_or(holds),
            "then" | "else" => true,
            "dependentRequired" => {
                let map = asked.as_object().expect("keys by key");
                let present = map.iter().filter(|(key, _)| entries.is_some_and(|map| map.contains_key(*key)));
                let mut wanted = present.flat_map(|(_, keys)| keys.as_array().expect("keys"));
                wanted.all(|key| entries.is_some_and(|map| map.contains_key(key.as_str().expect("a key"))))
            }
            "required" => entries.is_none_or(|map| all().all(|key| map.contains_key(key.as_str().expect("a key")))),
            "minProperties" => length(entries.map(serde_json::Map::len)).is_none_or(|has| has >= number(asked)),
            "maxProperties" => length(entries.map(serde_json::Map::len)).is_none_or(|has| has <= number(asked)),
            "properties" => {
                let known = asked.as_object().expect("schemas by key");
                for (key, value) in entries.into_iter().flatten() {
                    known.get(key).map_or(Ok(()), |schema| self.at(schema, value, &format!("{path}/{key}")))?;
                }
                true
            }
            "additionalProperties" => {
                let known = words.get("properties").and_then(Json::as_object);
                let mut others =
                    entries.into_iter().flatten().filter(|(key, _)| known.is_none_or(|map| !map.contains_key(*key)));
                others.try_for_each(|(key, value)| self.at(asked, value, &format!("{path}/{key}")))?;
                true
            }
            "propertyNames" => {
                let mut keys = entries.into_iter().flatten().map(|(key, _)| Json::from(key.as_str()));
                keys.try_for_each(|key| self.at(asked, &key, path))?;
                true
            }
            "items" => {
                items.into_iter().flatten().try_for_each(|item| self.at(asked, item, path))?;
                true
            }
            "minItems" => length(items.map(Vec::len)).is_none_or(|has| has >= number(asked)),
            "maxItems" => length(items.map(Vec::len)).is_none_or(|has| has <= number(asked)),
            "minLength" => length(text.map(|text| text.chars().count())).is_none_or(|has| has >= number(asked)),
            "maxLength" => length(text.map(|text| text.chars().count())).is_none_or(|has| has <= number(asked)),
            "pattern" => {
                text.is_none_or(|text| Regex::new(asked.as_str().expect("text")).expect("compiles").is_match(text))
            }
            "minimum" => instance.as_f64().is_none_or(|has| Some(has) >= asked.as_f64()),
            "exclusiveMinimum" => instance.as_f64().is_none_or(|has| Some(has) > asked.as_f64()),
            "maximum" => instance.as_f64().is_none_or(|has| Some(has) <= asked.as_f64()),
            other => panic!("{other} is not known here"),
        })
    }
}

fn number(asked: &Json) -> u64 {
    asked.as_u64().expect("a length")
}

fn is_type(name: &Json, instance: &Json) -> bool {
    match name.as_str().expect("the name of a type") {
        "null" => instance.is_null(),
        "boolean" => instance.is_boolean(),
        "number" => instance.is_number(),
        "integer" => instance.is_i64() || instance.is_u64(),
        "string" => instance.is_string(),
        "array" => instance.is_array(),
        "object" => instance.is_object(),
        other => panic!("{other} is no type"),
    }
}
