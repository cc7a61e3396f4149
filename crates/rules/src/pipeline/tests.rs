//! Pipelines apply to the rules they name, in order, and the shipped ones are sound.

use super::*;
use crate::diagnostic::Report;
use crate::log_source::{LogSource, Reach};
use crate::read;

fn source(category: &str, product: &str, service: &str) -> Subject {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let log_source = LogSource { category: part(category), product: part(product), service: part(service) };
    Subject { log_source, taxonomy: "sigma".to_owned(), ..Subject::default() }
}

fn with(text: &str) -> Pipelines {
    let mut report = Report::new("p.yml");
    let read = read::pipelines(text, &mut report);
    let faults = report.into_found();
    assert!(faults.is_empty(), "{faults:?}");
    Pipelines::new(&read)
}

#[test]
fn shipped_pipelines_have_no_faults() {
    for (name, text) in shipped::FILES {
        let mut report = Report::new(name);
        let read = read::pipelines(text, &mut report);
        let faults = report.into_found();
        assert!(faults.is_empty() && !read.is_empty(), "{faults:?}");
    }
}

#[test]
fn shipped_pipelines_say_where_events_are() {
    let shipped = Pipelines::shipped();
    let reach = |category, product, service| shipped.mapping(&source(category, product, service)).reach();
    assert_eq!(reach("webserver", "", ""), Some(Reach::Everywhere));
    assert_eq!(reach("webserver", "apache", ""), Some(Reach::Everywhere));
    assert_eq!(reach("", "aws", "cloudtrail"), Some(Reach::Only(model::Signal::Logs)));
    assert_eq!(reach("", "AWS", "CloudTrail"), Some(Reach::Only(model::Signal::Logs)));
    assert_eq!(reach("", "aws", ""), None);
    assert_eq!(reach("process_creation", "windows", ""), None);
    // a log source of our own needs no pipeline
    assert_eq!(reach("span", "otel", ""), Some(Reach::Only(model::Signal::Spans)));
    assert_eq!(reach("trace", "otel", ""), Some(Reach::Everywhere));
    assert_eq!(reach("span", "windows", ""), None);
}

#[test]
fn a_renamed_field_is_looked_for_under_its_own_name_last() {
    let shipped = Pipelines::shipped();
    let web = shipped.mapping(&source("webserver", "", ""));
    assert_eq!(web.field("cs-method"), "http.request.method|cs-method|body.http.request.method|body.cs-method");
    assert!(web.field("c-uri").starts_with("url.full|request.target|c-uri|body."));
    assert_eq!(web.field("else"), "else|body.else");
    let own = shipped.mapping(&source("span", "otel", ""));
    assert_eq!(own.field("cs-method"), "cs-method");
    let unmapped = shipped.mapping(&source("process_creation", "windows", ""));
    assert_eq!(unmapped.field("Image"), "Image");
}

#[test]
fn prefixes_are_replaced_longest_first_and_conditions_choose_fields() {
    let pipelines = with(
        "name: p\ntransformations:\n\
         - {type: field_name_prefix_mapping, mapping: {a.: x., a.b.: y.}, rule_conditions: [{type: logsource, product: p}]}\n\
         - {type: field_name_prefix, prefix: 'win.', field_name_conditions: [{type: include_fields, fields: [Image]}]}\n\
         - {type: field_name_suffix, suffix: .s, field_name_conditions: [{type: exclude_fields, fields: ['[a-zI].*'], mode: re}]}\n\
         - {type: set_signal, signal: span, rule_conditions: [{type: logsource, product: p}]}\n",
    );
    let mapping = pipelines.mapping(&source("", "p", ""));
    let names = ["a.b.c", "a.c", "Image", "Q"].map(|name| mapping.field(name));
    assert_eq!(names, ["y.c|a.b.c", "x.c|a.c", "win.Image|Image", "Q.s|Q"]);
    let other = pipelines.mapping(&source("", "q", ""));
    assert!(other.field("a.b.c").starts_with("a.b.c"));
}

#[test]
fn conditions_are_joined_negated_and_named() {
    let pipelines = with(
        "name: p\ntransformations:\n\
         - {id: one, type: set_signal, signal: span, rule_cond_op: or, rule_conditions: [{type: tag, tag: a.b}, {type: taxonomy, taxonomy: ecs}]}\n\
         - {type: set_signal, signal: log, rule_cond_expr: done and not high, rule_conditions: {done: {type: processing_item_applied, processing_item_id: one}, high: {type: rule_attribute, attribute: level, value: high}}}\n",
    );
    let reach = |taxonomy: &str, level: &str| {
        let mut subject = source("x", "", "");
        subject.taxonomy = taxonomy.to_owned();
        subject.attributes = vec![("level".to_owned(), level.to_owned())];
        pipelines.mapping(&subject).reach()
    };
    assert_eq!(reach("sigma", "low"), None);
    assert_eq!(reach("ecs", "low"), Some(Reach::Only(model::Signal::Logs)));
    assert_eq!(reach("ecs", "high"), Some(Reach::Only(model::Signal::Spans)));
}

#[test]
fn pipelines_run_by_priority_and_replace_others_of_their_name() {
    let text = "name: late\npriority: 20\ntransformations: [{type: field_name_mapping, mapping: {b: c}}]\n---\n\
                name: early\npriority: 10\ntransformations: [{type: field_name_mapping, mapping: {a: b}}]\n---\n\
                name: tracehound web\ntransformations: []\n";
    let pipelines = with(text);
    assert!(pipelines.mapping(&source("", "q", "")).field("a").starts_with("c|a"));
    assert_eq!(pipelines.mapping(&source("webserver", "", "")).reach(), None);
}

#[test]
fn the_fingerprint_changes_with_what_applies() {
    let print = |text: &str| with(text).mapping(&source("", "q", "")).fingerprint(true);
    let one = print("name: p\nvars: {a: 1}\ntransformations: [{type: field_name_mapping, mapping: {a: b}}]\n");
    assert_eq!(one, print("name: p\nvars: {a: 1}\ntransformations:\n- type: field_name_mapping\n  mapping: {a: b}\n"));
    assert_ne!(one, print("name: p\nvars: {a: 1}\ntransformations: [{type: field_name_mapping, mapping: {a: c}}]\n"));
    assert_ne!(one, print("name: p\nvars: {a: 2}\ntransformations: [{type: field_name_mapping, mapping: {a: b}}]\n"));
    let elsewhere =
        "name: p\ntransformations: [{type: set_value, value: x, rule_conditions: [{type: tag, tag: t.t}]}]\n";
    assert_eq!(with(elsewhere).mapping(&source("", "q", "")).fingerprint(false), "");
}
