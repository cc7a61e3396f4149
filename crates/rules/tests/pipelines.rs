//! Rules of other log sources on OpenTelemetry events: which are evaluated, on which fields, and what is said of the rest.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int8Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use model::attribute::{self, Value};
use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, RuleBook};

const START: i64 = 1_767_567_909_000_000_000;

/// One event: the kind of a span (log records have none), a body, and attributes.
#[derive(Default)]
struct Event {
    kind: i8,
    body: Option<&'static str>,
    attributes: Vec<(&'static str, Value<'static>)>,
    resource: Vec<(&'static str, &'static str)>,
}

fn span(kind: i8, attributes: &[(&'static str, &'static str)]) -> Event {
    let attributes = attributes.iter().map(|(key, text)| (*key, Value::str(text))).collect();
    Event { kind, attributes, ..Event::default() }
}

fn log(attributes: &[(&'static str, &'static str)]) -> Event {
    span(0, attributes)
}

fn batch(signal: Signal, events: &[Event]) -> EventBatch {
    let item = Field::new("item", DataType::Utf8, false);
    let mut rest = ListBuilder::new(StringBuilder::new()).with_field(item);
    for event in events {
        event.attributes.iter().for_each(|(key, value)| rest.values().append_value(attribute::entry(key, value)));
        rest.append(true);
    }
    let resources = events.iter().map(|event| {
        let mut list = String::new();
        event.resource.iter().for_each(|(key, value)| attribute::push_to_list(&mut list, key, &Value::str(value)));
        Some(list)
    });
    let resources: DictionaryArray<Int32Type> = resources.collect::<Vec<_>>().iter().map(Option::as_deref).collect();
    let times = TimestampNanosecondArray::from_iter_values(events.iter().map(|_| START)).with_timezone("+00:00");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (signal.time_column(), Arc::new(times)),
        ("resource", Arc::new(resources)),
        ("attrs_rest", Arc::new(rest.finish())),
    ];
    match signal {
        Signal::Spans => {
            columns.push(("kind", Arc::new(Int8Array::from_iter_values(events.iter().map(|event| event.kind)))));
            columns.push(("duration_nanos", Arc::new(Int64Array::from_iter_values(events.iter().map(|_| 0)))));
        }
        Signal::Logs => {
            let bodies: StringArray = events.iter().map(|event| event.body).collect();
            assert_eq!(bodies.len(), events.len());
            columns.push(("body", Arc::new(bodies)));
        }
    }
    let records =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal,
        received_at: UnixNanos(START),
        lsn: Lsn(1),
        records: records.expect("a batch"),
    }
}

fn rule(source: &str, detection: &str) -> String {
    format!("title: t\nid: t\nlogsource: {source}\ndetection:\n  s: {detection}\n  condition: s\n")
}

/// How many of the events raise a detection, judged as the server judges them.
fn raised(files: &[(&str, &str)], signal: Signal, events: &[Event]) -> usize {
    let mut book = RuleBook::new();
    let faults = book.update_all(files.iter().copied());
    assert!(faults.is_empty(), "{faults:?}");
    Engine::new(book.compile()).evaluate(&batch(signal, events), UnixNanos(START)).len()
}

fn live(source: &str, detection: &str, signal: Signal, event: Event) -> bool {
    raised(&[("x.yml", &rule(source, detection))], signal, &[event]) == 1
}

const SERVER: i8 = 2;
const CLIENT: i8 = 3;
const WEB: &str = "{category: webserver}";
const PROXY: &str = "{category: proxy}";

#[test]
fn web_server_rules_run_on_server_spans_and_access_logs() {
    let query = "{cs-uri-query|contains: '/shell.php?cmd=', cs-method: get, sc-status: 200}";
    let request = [
        ("url.path", "/a/shell.php"),
        ("url.query", "cmd=id"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
    ];
    assert!(live(WEB, query, Signal::Spans, span(SERVER, &request)));
    assert!(!live(WEB, query, Signal::Spans, span(CLIENT, &request)));
    assert!(live(WEB, query, Signal::Logs, log(&request)));
    // older conventions, and a Collector that kept the names of the access log
    let older = [("http.target", "/shell.php?cmd=id"), ("http.method", "GET"), ("http.status_code", "200")];
    assert!(live(WEB, query, Signal::Spans, span(SERVER, &older)));
    let raw = [("cs-uri-query", "/shell.php?cmd=id"), ("cs-method", "GET"), ("sc-status", "200")];
    assert!(live(WEB, query, Signal::Logs, log(&raw)));
    let whole = [
        ("url.full", "https://h/shell.php?cmd=id"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
    ];
    assert!(live(WEB, query, Signal::Logs, log(&whole)));
    assert!(!live(WEB, query, Signal::Logs, log(&[("url.query", "cmd=id")])));
    assert!(live(
        WEB,
        "{cs-user-agent|contains: nikto, cs-referer: null}",
        Signal::Logs,
        log(&[("user_agent.original", "Nikto/2")])
    ));
}

#[test]
fn proxy_rules_run_on_client_spans_and_proxy_logs() {
    let out = [("url.full", "http://evil.example/x/payload.exe?y"), ("user_agent.original", "curl/8")];
    assert!(live(
        PROXY,
        "{c-uri|startswith: 'http://evil.', c-uri-extension: [exe, dll]}",
        Signal::Spans,
        span(CLIENT, &out)
    ));
    assert!(!live(PROXY, "{c-uri|startswith: 'http://evil.'}", Signal::Spans, span(SERVER, &out)));
    assert!(live(PROXY, "{cs-host|endswith: .example}", Signal::Logs, log(&[("server.address", "evil.example")])));
    assert!(live(
        PROXY,
        "{c-uri|contains: payload.exe?y}",
        Signal::Logs,
        log(&[("url.path", "/payload.exe"), ("url.query", "y=1")])
    ));
    let list = Value::Json(r#"["a=1; sid=evil"]"#.into());
    let cookies = Event { attributes: vec![("http.request.header.cookie", list)], ..Event::default() };
    assert!(live(PROXY, "{cs-cookie|contains: sid=evil}", Signal::Logs, cookies));
}

#[test]
fn audit_logs_of_clouds_are_read_as_collectors_write_them() {
    let aws = "{product: aws, service: cloudtrail}";
    let map = Value::Json(
        r#"{"attribute": "userData", "containerDefinitions": [{"command": "sh"}, {"command": "curl x"}]}"#.into(),
    );
    let trail = || Event {
        attributes: vec![
            ("rpc.method", Value::str("ModifyInstanceAttribute")),
            ("rpc.service", Value::str("ec2.amazonaws.com")),
            ("aws.principal.type", Value::str("IAMUser")),
            ("aws.request.parameters", map.clone()),
        ],
        ..Event::default()
    };
    let asked =
        "{eventSource: ec2.amazonaws.com, eventName: ModifyInstanceAttribute, requestParameters.attribute: userData}";
    assert!(live(aws, asked, Signal::Logs, trail()) && !live(aws, asked, Signal::Spans, trail()));
    assert!(live(aws, "{requestParameters.containerDefinitions.command|contains: curl}", Signal::Logs, trail()));
    assert!(live(aws, "{requestParameters|contains: userData, userIdentity.type: IAMUser}", Signal::Logs, trail()));
    // the trail as it is, in the body
    let raw = || Event {
        body: Some(r#"{"eventName": "StopLogging", "userIdentity": {"arn": "arn:x"}}"#),
        ..Event::default()
    };
    assert!(live(aws, "{eventName: StopLogging, userIdentity.arn|startswith: arn}", Signal::Logs, raw()));
    assert!(!live(aws, "{eventName: StartLogging}", Signal::Logs, raw()));

    let gcp = "{product: gcp, service: gcp.audit}";
    let granted = Value::Json(r#"[{"permission": "a.b"}, {"permission": "compute.x.delete", "granted": true}]"#.into());
    let audit = Event {
        attributes: vec![
            ("gcp.audit.method.name", Value::str("v1.compute.x.delete")),
            ("gcp.audit.authorization", granted),
        ],
        ..Event::default()
    };
    let asked = "{gcp.audit.method_name|endswith: .delete, data.protoPayload.authorizationInfo.permission: compute.x.delete, data.protoPayload.authorizationInfo.granted: 'true'}";
    assert!(live(gcp, asked, Signal::Logs, audit));

    let azure = [("azure.operation.name", "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE")];
    assert!(live(
        "{product: azure, service: activitylogs}",
        "{operationName: Microsoft.Authorization/roleAssignments/write}",
        Signal::Logs,
        log(&azure)
    ));
    let unified = Event {
        body: Some(r#"{"Operation": "New-InboxRule", "Parameters": [{"Name": "ForwardTo"}]}"#),
        ..Event::default()
    };
    assert!(live(
        "{product: m365, service: audit}",
        "{Operation: New-InboxRule, Parameters|contains: ForwardTo}",
        Signal::Logs,
        unified
    ));
    assert!(live(
        "{product: github, service: audit}",
        "{action: org.add_member}",
        Signal::Logs,
        log(&[("action", "org.add_member")])
    ));
}

#[test]
fn identity_and_kubernetes_logs_are_read_from_attributes_and_bodies() {
    let okta = "{product: okta, service: okta}";
    let asked = "{eventtype: user.mfa.factor.deactivate, actor.alternateid: a@b}";
    let body = Event {
        body: Some(r#"{"eventType": "user.mfa.factor.deactivate", "actor": {"alternateId": "a@b"}}"#),
        ..Event::default()
    };
    // SigmaHQ writes some names in lower case; a body is looked into under every name of the field
    assert!(live(okta, asked, Signal::Logs, body));
    let actor = Value::Json(r#"{"alternateId": "a@b"}"#.into());
    let parsed = Event {
        attributes: vec![("eventType", Value::str("user.mfa.factor.deactivate")), ("actor", actor)],
        ..Event::default()
    };
    assert!(live(okta, asked, Signal::Logs, parsed));
    let body = Event {
        body: Some(r#"{"eventType": "policy.lifecycle.delete", "target": [{"displayName": "x"}]}"#),
        ..Event::default()
    };
    assert!(live(okta, "{eventType: policy.lifecycle.delete, target.displayName: x}", Signal::Logs, body));

    let entra = "{product: azure, service: signinlogs}";
    let device = Value::Json(r#"{"isCompliant": false, "trustType": ""}"#.into());
    let sign_in = Event {
        attributes: vec![("azure.result.type", Value::str("50053")), ("deviceDetail", device)],
        ..Event::default()
    };
    assert!(live(
        entra,
        "{ResultType: 50053, DeviceDetail.isCompliant: 'false', DeviceDetail.trusttype: ''}",
        Signal::Logs,
        sign_in
    ));

    let audit = "{category: application, product: kubernetes, service: audit}";
    let object = Event {
        body: Some(
            r#"{"verb": "create", "objectRef": {"resource": "pods"}, "requestObject": {"spec": {"containers": [{"securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"]}}}]}}}"#,
        ),
        ..Event::default()
    };
    assert!(live(audit, "{verb: create, objectRef.resource: pods}", Signal::Logs, object));
    let spec = Value::Json(
        r#"{"spec": {"containers": [{"securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN"]}}}]}}"#
            .into(),
    );
    let privileged = Event { attributes: vec![("requestObject", spec)], ..Event::default() };
    assert!(live(audit, "{capabilities: SYS_ADMIN}", Signal::Logs, privileged));
}

#[test]
fn application_rules_look_at_logs_and_exceptions_of_their_language() {
    let django = "{category: application, product: django}";
    let keywords = "[SuspiciousOperation, DisallowedHost]";
    let said = |resource: &[(&'static str, &'static str)]| Event {
        body: Some("django.core.exceptions.SuspiciousOperation: no"),
        resource: resource.to_vec(),
        ..Event::default()
    };
    assert!(live(django, keywords, Signal::Logs, said(&[("telemetry.sdk.language", "python")])));
    assert!(live(django, keywords, Signal::Logs, said(&[])));
    assert!(!live(django, keywords, Signal::Logs, said(&[("telemetry.sdk.language", "java")])));
    assert!(live(django, keywords, Signal::Spans, span(SERVER, &[("exception.type", "DisallowedHost")])));
    // a span that only carries the word has thrown nothing
    assert!(!live(django, keywords, Signal::Spans, span(SERVER, &[("note", "DisallowedHost")])));
}

#[test]
fn unmapped_log_sources_are_never_evaluated_and_say_so() {
    let windows = rule("{product: windows, category: process_creation}", "{Image|endswith: whoami.exe}");
    let event = || [log(&[("Image", r"C:\whoami.exe")])];
    assert_eq!(raised(&[("x.yml", &windows)], Signal::Logs, &event()), 0);
    let mut book = RuleBook::new();
    book.update("x.yml", &windows).expect("valid");
    let warnings = book.warnings();
    assert_eq!(
        warnings[0].to_string(),
        "x.yml:3:12: warning: no pipeline maps log source {category: process_creation, product: windows}: the rule is \
         kept and never evaluated [unmapped-log-source] (say where its events are with set_signal in a file of the \
         folder pipelines)"
    );
    assert!(!book.files()[0].rules[0].is_mapped);
    // offline a file does not say what its events are, so the rule is tried on them
    assert_eq!(
        rules::offline::match_events(&book.compile(), [r#"{"Image": "whoami.exe"}"#]).expect("matched").len(),
        1
    );

    let own = "name: mine\ntransformations:\n\
               - {type: set_signal, signal: log, rule_conditions: [{type: logsource, product: windows}]}\n\
               - {type: field_name_mapping, mapping: {Image: process.executable.path}}\n\
               - {type: add_condition, conditions: {os.type: windows}, rule_conditions: [{type: logsource, product: windows}]}\n";
    let files = [("pipelines/mine.yml", own), ("x.yml", windows.as_str())];
    assert_eq!(raised(&files, Signal::Logs, &event()), 0);
    let said = [("process.executable.path", r"C:\whoami.exe"), ("os.type", "windows")];
    assert_eq!(raised(&files, Signal::Logs, &[log(&said)]), 1);
    assert_eq!(raised(&files, Signal::Spans, &[span(SERVER, &said)]), 0);
}

#[test]
fn transformations_change_fields_values_and_rules() {
    let with = |transformation: &str, detection: &str, event: Event| {
        let pipeline =
            format!("name: mine\ntransformations:\n- {{type: set_signal, signal: log}}\n- {transformation}\n");
        let text = rule("{product: mine}", detection);
        raised(&[("pipelines/mine.yml", &pipeline), ("x.yml", &text)], Signal::Logs, &[event]) == 1
    };
    let says = |text: &'static str| log(&[("f", text)]);
    assert!(with("{type: map_string, mapping: {GET: [read, head]}}", "{f: GET}", says("head")));
    assert!(with("{type: replace_string, regex: '^C:', replacement: 'D:'}", r"{f|startswith: 'C:\x'}", says(r"D:\xy")));
    assert!(with(
        "{type: set_value, value: 5, field_name_conditions: [{type: include_fields, fields: [f]}]}",
        "{f: x}",
        says("5")
    ));
    assert!(with("{type: field_name_prefix, prefix: my.}", "{f: x}", log(&[("my.f", "x")])));
    assert!(with("{type: field_name_suffix, suffix: .keyword}", "{f: x}", log(&[("f.keyword", "x")])));
    assert!(with(
        "{type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [Channel]}]}",
        "{Channel: Security, f: x}",
        says("x")
    ));
    assert!(with("{type: add_condition, negated: true, conditions: {g: y}}", "{f: x}", says("x")));
    assert!(!with(
        "{type: add_condition, negated: true, conditions: {g: y}}",
        "{f: x}",
        log(&[("f", "x"), ("g", "y")])
    ));
    assert!(with("{type: change_logsource, product: otel, category: log}", "{f: x}", says("x")));
    // group-by, suppression and references are read through the same names
    assert!(with(
        "{type: field_name_mapping, mapping: {a: x.a, b: x.b}}",
        "{a|fieldref: b}",
        log(&[("x.a", "1"), ("x.b", "1")])
    ));
}

#[test]
fn pipelines_can_refuse_rules_and_what_they_empty_is_refused() {
    let found = |transformation: &str, detection: &str| {
        let pipeline = format!("name: mine\ntransformations:\n- {transformation}\n");
        let text = rule("{product: mine}", detection);
        let faults = RuleBook::new().update_all([("pipelines/mine.yml", pipeline.as_str()), ("x.yml", text.as_str())]);
        faults
            .iter()
            .map(|fault| format!("{} {}:{} {}", fault.file, fault.line, fault.column, fault.code))
            .collect::<Vec<_>>()
    };
    let refused = "x.yml 3:12 refused-by-pipeline";
    assert_eq!(
        found("{type: rule_failure, message: no, rule_conditions: [{type: logsource, product: mine}]}", "{f: x}"),
        [refused]
    );
    assert_eq!(
        found(
            "{type: detection_item_failure, message: no, field_name_conditions: [{type: include_fields, fields: [g]}]}",
            "{f: x, g: y}"
        ),
        ["x.yml 5:13 refused-by-pipeline"]
    );
    assert_eq!(found("{type: drop_detection_item}", "{f: x}"), ["x.yml 5:6 refused-by-pipeline"]);
}

#[test]
fn correlations_group_by_the_names_of_each_rule() {
    let text = "title: n\nname: nikto\nlogsource: {category: webserver}\ndetection: {s: {cs-user-agent|contains: nikto}, condition: s}\n---\n\
                title: d\nname: deleted\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: DeleteTrail}, condition: s}\n---\n\
                title: c\nid: c\ncorrelation: {type: temporal, rules: [nikto, deleted], group-by: [who], timespan: 5m, aliases: {who: {nikto: c-ip, deleted: sourceIPAddress}}}\n";
    let mut book = RuleBook::new();
    book.update("x.yml", text).expect("valid");
    let events = [
        log(&[("user_agent.original", "nikto"), ("client.address", "10.0.0.1")]),
        log(&[("rpc.method", "DeleteTrail"), ("source.address", "10.0.0.1")]),
    ];
    let found = Engine::new(book.compile()).evaluate(&batch(Signal::Logs, &events), UnixNanos(START));
    assert_eq!(
        found.iter().map(|one| one.group.clone()).collect::<Vec<_>>(),
        [vec![("who".to_owned(), "10.0.0.1".to_owned())]]
    );
}

#[test]
fn a_reason_names_the_first_of_several_names() {
    let text = rule(WEB, "{cs-method: GET}");
    let mut book = RuleBook::new();
    book.update("x.yml", &text).expect("valid");
    let events = [span(SERVER, &[("http.request.method", "GET")])];
    let found = Engine::new(book.compile()).evaluate(&batch(Signal::Spans, &events), UnixNanos(START));
    assert_eq!(found[0].reason, "http.request.method = GET");
}

#[test]
fn the_time_of_an_event_has_parts() {
    let night = "{timestamp|hour: [22, 23, 0, 1]}";
    assert!(
        live("{product: otel}", night, Signal::Logs, log(&[]))
            && live("{product: otel}", night, Signal::Spans, span(SERVER, &[]))
    );
    assert!(!live("{product: otel}", "{timestamp|hour: 12}", Signal::Logs, log(&[])));
}

#[test]
fn faults_of_pipelines_have_their_place() {
    let faults = |text: &str| {
        let found = RuleBook::new().update("pipelines/x.yml", text).expect_err("a fault");
        assert!(found.iter().all(|fault| fault.file == "pipelines/x.yml" && !fault.message.is_empty()));
        found.iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.code)).collect::<Vec<_>>()
    };
    let step = |text: &str| format!("name: p\ntransformations:\n- {text}\n");
    let cases = [
        ("name: [p\n".to_owned(), "1:7 yaml"),
        ("- x\n".to_owned(), "1:1 wrong-type"),
        ("priority: 1\n".to_owned(), "1:1 missing-key"),
        ("name: p\nprioritty: 1\n".to_owned(), "2:1 unknown-key"),
        ("name: p\npriority: high\n".to_owned(), "2:11 wrong-type"),
        ("name: p\nvars: {a: []}\n".to_owned(), "2:11 wrong-type"),
        ("name: p\nfinalizers: []\n".to_owned(), "2:1 unknown-key"),
        ("name: p\ntransformations: {type: x}\n".to_owned(), "2:18 wrong-type"),
        (step("{type: field_nam_mapping}"), "3:10 unknown-type"),
        (step("{type: field_name_mapping}"), "3:3 missing-key"),
        (step("{type: field_name_mapping, mapping: {a: {b: c}}}"), "3:43 wrong-type"),
        (step("{type: field_name_prefix, prefix: x, mappings: {}}"), "3:40 unknown-key"),
        (step("{type: set_signal, signal: metric}"), "3:30 bad-value"),
        (step("{type: replace_string, regex: '(', replacement: x}"), "3:33 bad-regex"),
        (step("{type: add_condition, conditions: {a|contians: x}}"), "3:38 bad-modifier"),
        (step("{type: set_signal, signal: log, rule_conditions: [{type: logsuorce}]}"), "3:60 unknown-type"),
        (
            step("{type: set_signal, signal: log, rule_conditions: [{type: tag, tag: a.b}], rule_cond_op: xor}"),
            "3:91 bad-value",
        ),
        (
            step(
                "{type: set_signal, signal: log, rule_conditions: {a: {type: tag, tag: a.b}}, rule_cond_expr: a and c}",
            ),
            "3:102 unknown-selection",
        ),
        (step("{type: query_expression_placeholders}"), "3:10 unknown-type"),
        (
            step(&format!("{}{{type: drop_detection_item}}{}", "{type: nest, items: [".repeat(6), "]}".repeat(6))),
            "3:94 too-large",
        ),
    ];
    let wrong: Vec<_> = cases.iter().map(|(text, expected)| (text, expected, faults(text))).collect();
    let wrong: Vec<_> = wrong.into_iter().filter(|(_, expected, found)| *found != [**expected]).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
