//! Each stage is named when it is the one that holds everything up.

use super::*;

/// Gauges and sums of an idle server, with some changed.
fn sample(taken_secs: f64, changes: &[(&str, f64)]) -> Sample {
    let mut values: Vec<(String, f64)> = Vec::new();
    for stage in &STAGES {
        let (queue, limit) = stage.queue;
        values.extend([(queue.to_owned(), 0.0), (limit.to_owned(), 100.0)]);
        values.extend(stage.work.map(|(seconds, _)| (format!("{seconds}_sum"), 40.0)));
    }
    values.push((metric::COLLECT_DECODES_LIMIT.to_owned(), 2.0));
    values.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), *value)));
    let lines: Vec<String> = values.iter().map(|(name, value)| format!("{name} {value}")).collect();
    Sample::parse(taken_secs, &format!("# TYPE tracehound_collect_in_flight gauge\n{}\n", lines.join("\n")))
}

fn bottleneck(before: &[(&str, f64)], after: &[(&str, f64)]) -> Option<&'static str> {
    weigh(&sample(10.0, before), &sample(11.0, after)).bottleneck
}

#[test]
fn an_idle_server_has_no_bottleneck() {
    assert_eq!(bottleneck(&[], &[]), None);
    let pressure = weigh(&Sample::default(), &Sample::default());
    assert_eq!(pressure.bottleneck, None, "nor has one that says nothing");
    assert!(
        pressure.text().contains("  decode         fill    ?\n") && pressure.text().ends_with("bottleneck: none\n")
    );
}

#[test]
fn every_stage_is_named_when_its_queue_stays_full() {
    for stage in &STAGES {
        let full = if stage.name == "decode" { 2.0 } else { 90.0 };
        let changes = [(stage.queue.0, full)];
        assert_eq!(bottleneck(&changes, &changes), Some(stage.name));
        assert_eq!(bottleneck(&changes, &[]), None, "{} was full for a moment", stage.name);
    }
}

#[test]
fn every_stage_that_works_is_named_when_it_is_busy_while_its_queue_fills() {
    for stage in &STAGES {
        let Some((seconds, workers)) = stage.work else { continue };
        let (half, worked) = match workers {
            Workers::One => (50.0, 0.95),
            Workers::Many(_) => (1.0, 1.9),
        };
        let sum = format!("{seconds}_sum");
        let (queue, busy) = ((stage.queue.0, half), (sum.as_str(), 40.0 + worked));
        assert_eq!(bottleneck(&[queue], &[queue, busy]), Some(stage.name));
        assert_eq!(bottleneck(&[queue], &[queue]), None, "{} has work and does it", stage.name);
        assert_eq!(bottleneck(&[], &[busy]), None, "{} is busy and keeps up", stage.name);
    }
}

#[test]
fn of_several_the_most_downstream_one_is_the_bottleneck() {
    let full: Vec<_> = STAGES.iter().map(|stage| (stage.queue.0, 95.0)).collect();
    for end in 1..=STAGES.len() {
        let changes = &full[..end];
        assert_eq!(bottleneck(changes, changes), Some(STAGES[end - 1].name));
    }
}

#[test]
fn a_full_listener_is_seen_beside_an_empty_one() {
    let text = |grpc: u32| {
        format!(
            "tracehound_collect_connections{{transport=\"grpc\"}} {grpc}\n\
             tracehound_collect_connections{{transport=\"http\"}} 0\n\
             tracehound_collect_connections_limit{{transport=\"grpc\"}} 4096\n\
             tracehound_collect_connections_limit{{transport=\"http\"}} 4096\n"
        )
    };
    let (before, after) = (Sample::parse(0.0, &text(4_096)), Sample::parse(1.0, &text(4_000)));
    let pressure = weigh(&before, &after);
    assert_eq!(pressure.bottleneck, Some("connections"));
    assert!(pressure.text().contains("  connections    fill  98%\n"), "{}", pressure.text());
}

#[test]
fn a_flush_that_took_longer_than_the_time_between_the_looks_counts_as_all_of_it() {
    let pressure = weigh(&sample(0.0, &[]), &sample(1.0, &[("tracehound_lake_flush_seconds_sum", 45.0)]));
    assert_eq!(pressure.stages.last().map(|stage| (stage.name, stage.busy)), Some(("memtable", Some(1.0))));
    assert_eq!(pressure.bottleneck, None);
}
