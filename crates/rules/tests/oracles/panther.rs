//! Correlations of another engine, with their tests, said in Sigma by fixed steps and judged the same.
//!
//! A `Group` is a `temporal` correlation over its steps; `MinMatchCount` is an `event_count` beneath it; a step that must
//! be absent may come neither before nor after, so it is denied twice: inside the window, and as the first of an ordered
//! pair. A `Sequence` is a chain of `temporal_ordered` pairs, one for each transition.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use granit_parser::{Event, Parser};
use rules::{RuleBook, offline};
use serde_json::{Map, Value as Json, json};

const KEY: &str = "key";

#[test]
fn correlations_of_panther_judge_their_tests_alike() {
    let Some(folder) = super::cases("panther-correlation") else { return };
    let (mut alike, mut total, mut wrong) = (0, 0, Vec::new());
    for file in super::yaml_files(folder) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case = yaml(&std::fs::read_to_string(&file).expect("readable"));
        let sigma = translated(&case).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        let mut book = RuleBook::new();
        book.update("rule.yml", &sigma).unwrap_or_else(|faults| panic!("{name}: {faults:?}\n{sigma}"));
        for test in list(&case["Tests"]) {
            let lines = events(test);
            let found =
                offline::replay(&book.compile(), lines.iter().map(String::as_str), "ts", "id").expect("replayed");
            total += 1;
            if found.iter().any(|alert| alert.rule == "whole") == (test["ExpectedResult"] == json!(true)) {
                alike += 1;
            } else {
                wrong.push(format!("{name}: {}", test["Name"]));
            }
        }
    }
    println!("rules   panther-correlation  {alike}/{total} tests judged alike");
    assert!(wrong.is_empty() && total > 0, "{}", wrong.join("\n"));
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// One step: a rule on single events, or a number of them.
struct Step {
    name: String,
    field: String,
    is_absent: bool,
}

/// The rules written so far, as documents of one file.
#[derive(Default)]
struct Documents(String);

impl Documents {
    fn rule(&mut self, name: &str, correlation: &Json) {
        let document = json!({"title": name, "id": name, "correlation": correlation});
        let _ = writeln!(self.0, "---\n{document}");
    }

    /// The rules of one step; its name is what others refer to.
    fn step(&mut self, step: &Json, field: &str, minutes: u64) -> Step {
        let id = text(&step["ID"]);
        let mut name = format!("event-{id}").replace(' ', "-");
        let document = json!({"title": name, "id": name, "detection": {"sel": {"step": id}, "condition": "sel"}});
        let _ = writeln!(self.0, "---\n{document}");
        let mut field = field.to_owned();
        let least = step["MinMatchCount"].as_u64().unwrap_or(1);
        if least > 1 {
            let counted = format!("count-{id}").replace(' ', "-");
            let timespan = format!("{minutes}m");
            let count = json!({"type": "event_count", "rules": [name], "timespan": timespan,
                "group-by": [field], "condition": {"gte": least}});
            self.rule(&counted, &count);
            (name, field) = (counted, field);
        }
        Step { name, field, is_absent: step["Absence"] == json!(true) }
    }

    /// One rule after another, in this order, with the same value.
    fn pair(&mut self, name: &str, first: (&str, &str), then: (&str, &str), minutes: u64) {
        let aliases = json!({KEY: {first.0: first.1, then.0: then.1}});
        let pair = json!({"type": "temporal_ordered", "rules": [first.0, then.0], "timespan": format!("{minutes}m"),
            "group-by": [KEY], "aliases": aliases});
        self.rule(name, &pair);
    }

    /// What a condition over rules says, each with its field.
    fn condition(&mut self, name: &str, condition: &str, fields: &[(&str, &str)], timespan: &str) {
        let of: Map<String, Json> = fields.iter().map(|(rule, field)| ((*rule).to_owned(), json!(field))).collect();
        let rules: Vec<&str> = fields.iter().map(|(rule, _)| *rule).collect();
        let whole = json!({"type": "temporal", "rules": rules, "timespan": timespan, "group-by": [KEY],
            "aliases": {KEY: of}, "condition": condition});
        self.rule(name, &whole);
    }
}

/// A correlation rule as a file of Sigma rules, the last of which is called `whole`.
fn translated(case: &Json) -> Result<String, String> {
    let [detection] = list(&case["Detection"]) else { return Err("not one detection".to_owned()) };
    let minutes = detection["LookbackWindowMinutes"].as_u64().ok_or("no LookbackWindowMinutes")?;
    let mut documents = Documents::default();
    if detection["Group"].is_array() {
        group(detection, minutes, &mut documents)?;
    } else {
        sequence(detection, minutes, &mut documents)?;
    }
    Ok(documents.0)
}

fn group(detection: &Json, minutes: u64, documents: &mut Documents) -> Result<(), String> {
    let criteria = detection["MatchCriteria"].as_object().ok_or("no MatchCriteria")?;
    let [fields] = criteria.values().collect::<Vec<_>>()[..] else { return Err("several MatchCriteria".to_owned()) };
    let field_of: BTreeMap<&str, &str> =
        list(fields).iter().map(|entry| (text(&entry["GroupID"]), text(&entry["Match"]))).collect();
    let mut steps = Vec::new();
    for step in list(&detection["Group"]) {
        let field = field_of.get(text(&step["ID"])).ok_or("a step without a field")?;
        steps.push(documents.step(step, field, minutes));
    }
    let (absent, present): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(|step| step.is_absent);
    let mut terms: Vec<String> = present.iter().map(|step| step.name.clone()).collect();
    let mut fields: Vec<(String, String)> =
        present.iter().map(|step| (step.name.clone(), step.field.clone())).collect();
    for missing in &absent {
        terms.push(format!("not {}", missing.name));
        fields.push((missing.name.clone(), missing.field.clone()));
        for step in &present {
            let name = format!("{}-before-{}", missing.name, step.name);
            documents.pair(&name, (&missing.name, &missing.field), (&step.name, &step.field), minutes);
            terms.push(format!("not {name}"));
            fields.push((name, KEY.to_owned()));
        }
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(rule, field)| (rule.as_str(), field.as_str())).collect();
    documents.condition("whole", &terms.join(" and "), &fields, &format!("{minutes}m"));
    Ok(())
}

/// The fields that a transition compares: of the step before, and of the step after.
fn fields(transition: &Json) -> Result<(&str, &str), String> {
    let [compared] = list(&transition["Match"]) else { return Err("not one field in a transition".to_owned()) };
    let of = |key: &str| compared[key].as_str().or_else(|| compared["On"].as_str());
    of("From").zip(of("To")).ok_or_else(|| "a transition without fields".to_owned())
}

fn sequence(detection: &Json, minutes: u64, documents: &mut Documents) -> Result<(), String> {
    let steps = list(&detection["Sequence"]);
    let transitions = list(&detection["Transitions"]);
    let Some((first, rest)) = steps.split_first().filter(|(_, rest)| rest.len() == transitions.len()) else {
        return Err("as many transitions as steps but one are needed".to_owned());
    };
    let mut before: Option<Step> = None;
    for (number, (step, transition)) in rest.iter().zip(transitions).enumerate() {
        let (from, to) = fields(transition)?;
        let within = transition["WithinTimeFrameMinutes"].as_u64().unwrap_or(minutes);
        let earlier = before.take().unwrap_or_else(|| documents.step(first, from, minutes));
        if number > 0 && earlier.field != KEY && earlier.field != from {
            return Err("steps are compared by different fields".to_owned());
        }
        let later = documents.step(step, to, minutes);
        let name = if number + 1 == rest.len() { "whole".to_owned() } else { format!("until-{number}") };
        match (earlier.is_absent, later.is_absent) {
            (false, false) => {
                documents.pair(&name, (&earlier.name, &earlier.field), (&later.name, &later.field), within);
            }
            (false, true) => {
                let sides = [(earlier.name.as_str(), earlier.field.as_str()), (&later.name, &later.field)];
                documents.condition(
                    &name,
                    &format!("{} and not {}", sides[0].0, sides[1].0),
                    &sides,
                    &format!("{within}m"),
                );
            }
            (true, false) => {
                let pair = format!("before-{number}");
                documents.pair(&pair, (&earlier.name, &earlier.field), (&later.name, &later.field), within);
                let sides = [(later.name.as_str(), later.field.as_str()), (&pair, KEY)];
                documents.condition(&name, &format!("{} and not {pair}", later.name), &sides, "1s");
            }
            (true, true) => return Err("two absent steps in a row".to_owned()),
        }
        before = Some(Step { name, field: KEY.to_owned(), is_absent: false });
    }
    Ok(())
}

/// The events of a test as lines: the step they are an output of, the value of its field, and the time. The first is of
/// a time by which every window is over: what never came can only be missed when time goes on.
fn events(test: &Json) -> Vec<String> {
    let mut lines = vec![json!({"ts": "2100-01-01T00:00:00Z"}).to_string()];
    for output in list(&test["RuleOutputs"]) {
        for (field, values) in output["Matches"].as_object().into_iter().flatten() {
            for (value, times) in values.as_object().into_iter().flatten() {
                for time in list(times) {
                    let ts = time.as_i64().map_or_else(|| time.clone(), |minute| json!(minute * 60_000));
                    lines.push(json!({"ts": ts, "step": output["ID"], field.as_str(): value}).to_string());
                }
            }
        }
    }
    lines
}

/// YAML as JSON; what looks like a whole number is one.
fn yaml(source: &str) -> Json {
    let mut open: Vec<(Json, Option<String>)> = Vec::new();
    let mut done = Json::Null;
    for event in Parser::new_from_str(source) {
        let value = match event.expect("YAML").0 {
            Event::MappingStart(..) => {
                open.push((json!({}), None));
                continue;
            }
            Event::SequenceStart(..) => {
                open.push((json!([]), None));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => open.pop().expect("opened").0,
            Event::Scalar(text, style, ..) => scalar(&text, style == granit_parser::ScalarStyle::Plain),
            _ => continue,
        };
        match open.last_mut() {
            None => done = value,
            Some((Json::Array(items), _)) => items.push(value),
            Some((Json::Object(entries), key)) => match key.take() {
                Some(key) => drop(entries.insert(key, value)),
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            },
            Some(_) => {}
        }
    }
    done
}

fn scalar(text: &str, is_plain: bool) -> Json {
    match text {
        "true" if is_plain => json!(true),
        "false" if is_plain => json!(false),
        _ => text.parse::<i64>().ok().filter(|_| is_plain).map_or_else(|| json!(text), |number| json!(number)),
    }
}
