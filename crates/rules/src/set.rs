//! Rules linked to each other and compiled: what the engine runs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use model::Signal;
use model::detection::RuleInfo;
use sha2::{Digest, Sha256};

use crate::atom::Atom;
use crate::baseline::network::Network;
use crate::baseline::{self, Baseline};
use crate::column::Plan;
use crate::diagnostic::{Diagnostic, Place, Report, code};
use crate::edge;
use crate::expression::Expression;
use crate::field;
use crate::index::Index;
use crate::inherited::REACH_NANOS;
use crate::inherited::plan::{self, Inheritance, Waiting};
use crate::kinds::{Kind, Settles};
use crate::log_source::Reach;
use crate::narrowing::Narrowing;
use crate::policy::{self, Policy};
use crate::rule::{Body, Condition, Correlation, EventRule, Reference, Rule, Suppress};
use crate::trace::TracePattern;
use crate::trace::lineage::Fields;

/// Rules ready to run. Immutable, cheap to share; made by [`crate::RuleBook::compile`].
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<Compiled>,
    pub(crate) atoms: Vec<Arc<Atom>>,
    pub(crate) plan: Plan,
    /// Number of the field `service.name`.
    pub(crate) service: usize,
    /// Correlations, each after those it refers to.
    pub(crate) order: Vec<usize>,
    /// Policies, in the order of their files.
    pub(crate) policies: Vec<usize>,
    /// What is needed to find calls between services, when some policy judges them.
    pub(crate) edges: Option<edge::side::Fields>,
    /// What is needed to follow traces, when some rule looks at them.
    pub(crate) traces: Option<TracePlan>,
    /// What the rules ask, turned around, for spans, logs, and events of any kind; made when first needed.
    indexes: [OnceLock<Index>; 3],
    /// What rules inherit from other spans of the trace, when some rule does.
    pub(crate) inherited: Option<Inheritance>,
}

/// How traces are followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TracePlan {
    pub lineage: Fields,
    /// The longest timespan of the rules that look at traces.
    pub span_nanos: i64,
    /// How far patterns over traces lag behind the watermark.
    pub lag_nanos: i64,
    /// Some pattern looks along span links.
    pub links: bool,
    /// Some pattern asks whether a trace is sampled.
    pub sampling: bool,
}

/// A rule ready to run.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub info: Arc<RuleInfo>,
    /// Raises no alert of its own: a correlation refers to it.
    pub silent: bool,
    /// Some correlation needs its events.
    pub referred: bool,
    pub suppress: Option<Suppress>,
    pub body: CompiledBody,
}

impl Compiled {
    /// Whether it looks for patterns in traces.
    pub fn looks_at_traces(&self) -> bool {
        matches!(&self.body, CompiledBody::Correlation(correlation) if correlation.trace.is_some())
    }

    /// Whether it is judged later than the watermark allows, because it is fed by rows that wait.
    pub fn lags(&self) -> bool {
        matches!(&self.body, CompiledBody::Correlation(correlation) if correlation.lags)
    }

    /// Whether it asks something that its rows inherit.
    pub fn asks_of_others(&self) -> bool {
        let CompiledBody::Event(event) = &self.body else { return false };
        event.waiting.as_deref().is_some_and(|waiting| waiting.rest.is_some())
    }

    /// Whether it needs the spans of traces.
    pub fn needs_traces(&self) -> bool {
        self.looks_at_traces() || matches!(&self.body, CompiledBody::Event(event) if event.waiting.is_some())
    }
}

#[derive(Debug)]
pub(crate) enum CompiledBody {
    Event(CompiledEvent),
    Correlation(CompiledCorrelation),
    Policy(Arc<Policy>),
}

/// A rule on single events, its atoms and fields numbered.
#[derive(Debug)]
pub(crate) struct CompiledEvent {
    /// Which events it is shown.
    pub reach: Reach,
    /// What events of its log source look like; asked only where events have a signal.
    pub within: Option<Expression<usize>>,
    pub expression: Expression<usize>,
    /// Fields it asks about, for the sentence that says why it fired.
    pub shown: Vec<(String, usize)>,
    /// Fields of `suppress.by`.
    pub by: Vec<(String, usize)>,
    /// What its rows wait for, when it inherits; `expression` then leaves out what is not known of a row that comes.
    pub waiting: Option<Box<Waiting>>,
}

impl CompiledEvent {
    /// What it asks in all, of the row and of the spans that the row inherits from.
    pub fn whole(&self) -> &Expression<usize> {
        self.waiting.as_deref().and_then(|waiting| waiting.rest.as_ref()).unwrap_or(&self.expression)
    }
}

/// A rule on several events, its inputs numbered.
#[derive(Debug)]
pub(crate) struct CompiledCorrelation {
    pub kind: &'static Kind,
    pub feeds: Vec<Feed>,
    pub group_by: Vec<String>,
    pub span_nanos: i64,
    pub condition: Condition,
    pub settles: Settles,
    /// Positions in `group_by` that tell repeats apart.
    pub by: Vec<usize>,
    /// What it looks for in a trace; its feeds then bring, as values, the fields remembered of each step.
    pub trace: Option<Arc<TracePattern>>,
    /// It is fed by rows that wait for what they inherit, or builds on one that is.
    pub lags: bool,
    /// What it learns, and whose baseline that is; its feeds then bring the values of the group and of what is learned.
    pub baseline: Option<(Arc<Baseline>, baseline::Key)>,
}

/// Where a correlation takes its events from. Fields are numbers of the plan when the input is a rule on single events,
/// positions in the group when it is a correlation.
#[derive(Debug)]
pub(crate) struct Feed {
    pub rule: usize,
    pub keys: Vec<usize>,
    pub values: Vec<usize>,
    /// Its rows come when what they inherit is known.
    pub inherits: bool,
}

impl RuleSet {
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Gets everything ready that the first batch of either signal would have to wait for.
    pub fn warm(&self) {
        Signal::ALL.into_iter().for_each(|signal| {
            self.index(Some(signal));
        });
    }

    pub(crate) fn index(&self, signal: Option<Signal>) -> &Index {
        let place = match signal {
            Some(Signal::Spans) => 0,
            Some(Signal::Logs) => 1,
            None => 2,
        };
        self.indexes[place].get_or_init(|| Index::new(self, signal))
    }

    /// The moment before which no row comes any more, not even one that waited.
    pub(crate) fn behind(&self, floor: i64) -> i64 {
        floor.saturating_sub(if self.inherited.is_some() { REACH_NANOS } else { 0 })
    }

    /// The names of what is remembered of spans that others inherit from.
    pub(crate) fn facts(&self) -> Vec<String> {
        self.inherited.iter().flat_map(|plan| &plan.facts).map(|fact| fact.name.clone()).collect()
    }

    /// Whose baselines there are.
    pub(crate) fn baseline_keys(&self) -> impl Iterator<Item = &baseline::Key> {
        self.rules.iter().filter_map(|rule| match &rule.body {
            CompiledBody::Correlation(rule) => rule.baseline.as_ref().map(|(_, key)| key),
            CompiledBody::Event(_) | CompiledBody::Policy(_) => None,
        })
    }

    /// Whether the field of this name is inherited from other spans of the trace.
    pub(crate) fn is_inherited(&self, field: &str) -> bool {
        let number = self.plan.number(field);
        number.zip(self.inherited.as_ref()).is_some_and(|(number, plan)| plan.sources.contains_key(&number))
    }

    /// What alerts say of each rule.
    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &*rule.info)
    }
}

/// Links and compiles the rules of some files. Rules whose references do not resolve are left out and reported; there
/// may be warnings among what is reported.
pub(crate) fn link(files: &[(&str, &[Rule])]) -> (RuleSet, Vec<Diagnostic>) {
    let mut linker = Linker::new(files);
    linker.name();
    linker.resolve();
    linker.sort();
    linker.relate();
    linker.compile()
}

struct Linker<'r> {
    rules: Vec<(&'r str, &'r Rule)>,
    reports: HashMap<&'r str, Report>,
    names: HashMap<&'r str, usize>,
    /// For each rule, the rules it refers to; `None` when it cannot run.
    inputs: Vec<Option<Vec<usize>>>,
    order: Vec<usize>,
    /// For each rule that some correlation refers to, whether it raises alerts nevertheless.
    referred: HashMap<usize, bool>,
    narrowing: Narrowing<'r>,
    /// Names in lower case, made when a reference leads nowhere.
    folded: Option<HashMap<String, &'r str>>,
}

impl<'r> Linker<'r> {
    fn new(files: &[(&'r str, &'r [Rule])]) -> Self {
        let rules = files.iter().flat_map(|(file, rules)| rules.iter().map(move |rule| (*file, rule))).collect();
        let reports = files.iter().map(|(file, _)| (*file, Report::new(file))).collect();
        Self {
            rules,
            reports,
            names: HashMap::new(),
            inputs: Vec::new(),
            order: Vec::new(),
            referred: HashMap::new(),
            narrowing: Narrowing::default(),
            folded: None,
        }
    }

    fn report(&mut self, file: &str, at: Place, code: &'static str, message: String, hint: String) {
        if let Some(report) = self.reports.get_mut(file) {
            report.add(at, code, message, hint);
        }
    }

    fn name(&mut self) {
        for number in 0..self.rules.len() {
            let (file, rule) = self.rules[number];
            let mut usable = true;
            for name in std::iter::once(&rule.info.id).chain(rule.name.as_ref().filter(|name| **name != rule.info.id)) {
                if let Some(first) = self.names.get(name.as_str()) {
                    let message = format!("another rule is already called {name:?}");
                    let hint =
                        format!("it stands in {} at line {}", self.rules[*first].0, self.rules[*first].1.at.line);
                    self.report(file, rule.at, code::DUPLICATE_RULE, message, hint);
                    usable = false;
                } else {
                    self.names.insert(name, number);
                }
            }
            self.inputs.push(usable.then(Vec::new));
        }
    }

    fn resolve(&mut self) {
        for number in 0..self.rules.len() {
            let (file, rule) = self.rules[number];
            if matches!(rule.body, Body::Event(_) | Body::Policy(_)) {
                continue;
            }
            let references = rule.references();
            let found: Option<Vec<usize>> =
                references.iter().map(|reference| self.find(file, reference, &rule.body)).collect();
            if self.inputs[number].is_some() {
                self.inputs[number] = found;
            }
        }
    }

    fn find(&mut self, file: &str, reference: &Reference, from: &Body) -> Option<usize> {
        let Some(number) = self.names.get(reference.rule.as_str()).copied() else {
            let names = &self.names;
            let folded = self
                .folded
                .get_or_insert_with(|| names.keys().map(|name| (name.to_ascii_lowercase(), *name)).collect());
            let hint = match folded.get(&reference.rule.to_ascii_lowercase()) {
                Some(name) => format!("did you mean {name:?}?"),
                None => "refer to a rule by its id or name".to_owned(),
            };
            let message = format!("there is no rule {:?}", reference.rule);
            self.report(file, reference.at, code::UNKNOWN_RULE, message, hint);
            return None;
        };
        let wrong = match (from, &self.rules[number].1.body) {
            (Body::Filter(_), Body::Event(_)) => None,
            (Body::Correlation(_), Body::Event(_) | Body::Correlation(_) | Body::Policy(_)) => None,
            (Body::Filter(_), _) => Some("a filter can only be put on rules for single events"),
            _ => Some("a filter cannot be correlated"),
        };
        if let Some(wrong) = wrong {
            let message = format!("{:?}: {wrong}", reference.rule);
            self.report(file, reference.at, code::UNKNOWN_RULE, message, String::new());
            return None;
        }
        Some(number)
    }

    /// Orders correlations after their inputs; those in a circle, or on top of something broken, are left out.
    fn sort(&mut self) {
        let mut placed: HashSet<usize> = HashSet::new();
        // how many inputs each correlation still waits for, and who waits for a rule
        let mut waits: HashMap<usize, usize> = HashMap::new();
        let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut ready: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
        for number in 0..self.rules.len() {
            let Some(inputs) = &self.inputs[number] else { continue };
            if matches!(self.rules[number].1.body, Body::Event(_) | Body::Policy(_)) {
                placed.insert(number);
            } else if self.is_correlation(number) {
                waits.insert(number, inputs.len());
                inputs.iter().for_each(|input| waiting.entry(*input).or_default().push(number));
            }
        }
        let mut done: Vec<usize> = placed.iter().copied().collect();
        loop {
            while let Some(number) = done.pop() {
                for other in waiting.remove(&number).unwrap_or_default() {
                    if let Some(left) = waits.get_mut(&other) {
                        *left -= 1;
                        if *left == 0 {
                            ready.push(Reverse(other));
                        }
                    }
                }
            }
            let Some(Reverse(number)) = ready.pop() else { break };
            placed.insert(number);
            self.order.push(number);
            done.push(number);
        }
        for number in 0..self.rules.len() {
            let (file, rule) = self.rules[number];
            let Body::Correlation(correlation) = &rule.body else { continue };
            if placed.contains(&number) {
                continue;
            }
            if let Some(inputs) = self.inputs[number].take() {
                let stuck = inputs.iter().position(|input| !placed.contains(input)).unwrap_or(0);
                let reference = &correlation.rules[stuck];
                let message =
                    format!("{:?} cannot run: it refers back to this rule, or to a faulty one", reference.rule);
                self.report(file, reference.at, code::CYCLE, message, "correlations must not form a circle".to_owned());
            }
        }
    }

    /// Notes who is referred to, and the filters, once for all rules.
    ///
    /// `generate: true` on a rule that others refer to speaks of that rule. On a correlation that nobody refers to it
    /// has Sigma's meaning: the rules it refers to raise alerts as well.
    fn relate(&mut self) {
        for number in (0..self.rules.len()).filter(|number| self.is_correlation(*number)).collect::<Vec<_>>() {
            self.referred.extend(self.inputs[number].iter().flatten().map(|input| (*input, false)));
        }
        for (number, (_, rule)) in self.rules.iter().enumerate() {
            match &rule.body {
                Body::Event(_) | Body::Policy(_) => {}
                Body::Filter(filter) => {
                    let rules = self.inputs[number].as_deref();
                    rules.into_iter().for_each(|rules| self.narrowing.add(number, rule, filter, rules));
                }
                Body::Correlation(correlation) => {
                    let is_referred = self.referred.contains_key(&number);
                    let generates = correlation.generate_inputs || (rule.generate && !is_referred);
                    for input in self.inputs[number].iter().flatten() {
                        *self.referred.entry(*input).or_default() |= generates;
                    }
                }
            }
        }
    }

    fn is_correlation(&self, number: usize) -> bool {
        matches!(self.rules[number].1.body, Body::Correlation(_))
    }

    fn compile(mut self) -> (RuleSet, Vec<Diagnostic>) {
        let mut set = RuleSet::default();
        set.service = set.plan.field("service.name");
        let mut atoms: HashMap<String, usize> = HashMap::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let events: Vec<usize> = (0..self.rules.len()).filter(|number| self.inputs[*number].is_some()).collect();
        for number in events {
            let (_, rule) = self.rules[number];
            let (body, meaning) = match &rule.body {
                Body::Event(event) => self.event(number, event, &mut set, &mut atoms),
                Body::Policy(policy) => {
                    set.policies.push(set.rules.len());
                    set.edges = Some(edge::side::Fields::new(&mut set.plan));
                    (CompiledBody::Policy(Arc::clone(policy)), rule.meaning.clone())
                }
                _ => continue,
            };
            numbers.insert(number, set.rules.len());
            set.rules.push(self.compiled(number, rule, body, meaning));
        }
        for number in self.order.clone() {
            let (file, rule) = self.rules[number];
            let Body::Correlation(correlation) = &rule.body else { continue };
            let inputs = self.inputs[number].clone().unwrap_or_default();
            let Some(inputs) = inputs.iter().map(|input| numbers.get(input).copied()).collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            let mut meaning = rule.meaning.clone();
            inputs.iter().for_each(|input| meaning.push_str(&set.rules[*input].info.version));
            if let Some(body) = self.correlation(file, rule, correlation, &inputs, &mut set) {
                numbers.insert(number, set.rules.len());
                set.order.push(set.rules.len());
                set.rules.push(self.compiled(number, rule, CompiledBody::Correlation(body), meaning));
            }
        }
        plan::finish(&mut set);
        for (filter, at) in self.narrowing.idle() {
            let (file, rule) = self.rules[filter];
            if let Some(report) = self.reports.get_mut(file) {
                let message =
                    format!("filter {:?} applies to none of its rules: they have other log sources", rule.info.title);
                report.warn(at, code::IDLE_FILTER, message, "name the log source of the rules, or less of it");
            }
        }
        let warnings: Vec<Diagnostic> = self.reports.values_mut().flat_map(Report::take_warnings).collect();
        let mut faults: Vec<Diagnostic> = self.reports.into_values().flat_map(Report::into_found).collect();
        faults.extend(warnings);
        faults
            .sort_by(|left, right| (&left.file, left.line, left.column).cmp(&(&right.file, right.line, right.column)));
        (set, faults)
    }

    fn compiled(&self, number: usize, rule: &Rule, body: CompiledBody, meaning: String) -> Compiled {
        let version = hex::encode(&Sha256::digest(&meaning)[..8]);
        let referred = self.referred.get(&number);
        Compiled {
            info: Arc::new(RuleInfo { version, ..rule.info.clone() }),
            silent: referred.is_some_and(|generates| !generates && !rule.generate),
            referred: referred.is_some(),
            suppress: rule.suppress.clone(),
            body,
        }
    }

    fn event(
        &mut self,
        number: usize,
        event: &EventRule,
        set: &mut RuleSet,
        atoms: &mut HashMap<String, usize>,
    ) -> (CompiledBody, String) {
        let (file, rule) = self.rules[number];
        let mut meaning = rule.meaning.clone();
        let mut parts = vec![event.expression.clone()];
        match self.narrowing.of(number, event, &mut meaning) {
            Ok(filters) => parts.extend(filters),
            Err(message) => {
                self.report(file, rule.at, code::TOO_LARGE, message, "join filters into fewer".to_owned());
            }
        }
        let whole = Expression::all(parts);
        let mut shown = Vec::new();
        asked(&whole, &mut shown);
        let mut number_of = |atom: &Arc<Atom>| {
            if let Some(field) = &atom.field {
                set.plan.field(field);
            }
            if let crate::atom::Test::SameAs { other, .. } = &atom.test {
                set.plan.field(other);
            }
            *atoms.entry(atom.canonical.clone()).or_insert_with(|| {
                set.atoms.push(Arc::clone(atom));
                set.atoms.len() - 1
            })
        };
        let mut expression = whole.map(&mut number_of);
        let within = event.within.as_ref().map(|within| within.map(&mut number_of));
        expression.cheapest_first(&|atom| 1 + u32::from(set.atoms[*atom].test.cost()));
        let mut numbered = |field: String, source: String| (field, set.plan.field(&source));
        let shown = shown.into_iter().map(|field| numbered(field::shown(&field).to_owned(), field)).collect();
        let by = rule.suppress.iter().flat_map(|suppress| suppress.by.clone());
        let by = by.map(|field| numbered(field.clone(), event.mapping.field(&field))).collect();
        (
            CompiledBody::Event(CompiledEvent { reach: event.reach, within, expression, shown, by, waiting: None }),
            meaning,
        )
    }

    fn correlation(
        &mut self,
        file: &str,
        rule: &Rule,
        correlation: &Correlation,
        inputs: &[usize],
        set: &mut RuleSet,
    ) -> Option<CompiledCorrelation> {
        let mut wired = Vec::new();
        if let Some(pattern) = &correlation.trace {
            wired = self.steps(file, correlation, pattern, inputs, set)?;
        }
        let windowed = inputs.iter().zip(&correlation.rules).filter(|_| correlation.trace.is_none());
        for (input, reference) in windowed {
            let mut find = |name: &String| {
                let alias = correlation.aliases.iter().find(|alias| alias.name == *name);
                let stands_for = alias.and_then(|alias| alias.fields.iter().find(|(of, _)| of.rule == reference.rule));
                let whole = stands_for.map_or(name.as_str(), |(_, field)| field);
                let field = if correlation.baseline.is_some() { Network::field(whole) } else { whole };
                match &set.rules[*input].body {
                    CompiledBody::Event(_) => Ok(set.plan.field(&self.name_of(&reference.rule, field))),
                    CompiledBody::Correlation(inner) => {
                        let position = |wanted: &str| inner.group_by.iter().position(|known| known == wanted);
                        position(whole).or_else(|| position(field)).ok_or_else(|| field.to_owned())
                    }
                    CompiledBody::Policy(_) => {
                        policy::GROUP.iter().position(|known| *known == field).ok_or_else(|| field.to_owned())
                    }
                }
            };
            let keys: Result<Vec<usize>, String> = correlation.group_by.iter().map(&mut find).collect();
            let values: Result<Vec<usize>, String> = correlation.condition.fields.iter().map(&mut find).collect();
            match (keys, values) {
                (Ok(keys), Ok(values)) => wired.push(Feed { rule: *input, keys, values, inherits: false }),
                (Err(field), _) | (_, Err(field)) => {
                    let message =
                        format!("{:?} does not group by {field:?}, so its firings have no such field", reference.rule);
                    let hint = "add the field to that rule's group-by, or name another in an alias".to_owned();
                    self.report(file, reference.at, code::BAD_VALUE, message, hint);
                    return None;
                }
            }
        }
        let baseline = match &correlation.baseline {
            Some(baseline) => Some(self.learning(file, rule, (correlation, baseline), inputs, set)?),
            None => None,
        };
        let by = rule.suppress.iter().flat_map(|suppress| &suppress.by);
        let by = by.filter_map(|field| correlation.group_by.iter().position(|known| known == field)).collect();
        Some(CompiledCorrelation {
            kind: correlation.kind,
            feeds: wired,
            group_by: correlation.group_by.clone(),
            span_nanos: correlation.span_nanos,
            condition: correlation.condition.clone(),
            settles: (correlation.kind.settles)(&correlation.condition),
            by,
            trace: correlation.trace.clone(),
            lags: false,
            baseline,
        })
    }

    /// What a rule learns, and whose baseline that is.
    fn learning(
        &mut self,
        file: &str,
        rule: &Rule,
        (correlation, baseline): (&Correlation, &Arc<Baseline>),
        inputs: &[usize],
        set: &RuleSet,
    ) -> Option<(Arc<Baseline>, baseline::Key)> {
        let is_stored = |input: &usize| matches!(set.rules[*input].body, CompiledBody::Event(_));
        if let Some((_, reference)) =
            inputs.iter().zip(&correlation.rules).find(|(input, _)| baseline.has_history && !is_stored(input))
        {
            let message = format!("{:?} is a correlation, whose firings are not stored", reference.rule);
            let hint = "warm_start: history needs rules on single events; leave it out to learn from now on".to_owned();
            self.report(file, reference.at, code::BAD_VALUE, message, hint);
            return None;
        }
        let identity = baseline::identity::of(correlation, baseline, inputs, set);
        Some((Arc::clone(baseline), (rule.info.id.clone(), identity)))
    }

    /// What a field is called in the events of a rule on single events.
    fn name_of(&self, rule: &str, field: &str) -> String {
        match self.names.get(rule).map(|number| &self.rules[*number].1.body) {
            Some(Body::Event(event)) => event.mapping.field(field),
            _ => field.to_owned(),
        }
    }

    /// Where a pattern over traces takes its steps from: rules on single spans, and nothing else.
    fn steps(
        &mut self,
        file: &str,
        correlation: &Correlation,
        pattern: &TracePattern,
        inputs: &[usize],
        set: &mut RuleSet,
    ) -> Option<Vec<Feed>> {
        let mut wired = Vec::new();
        for ((input, reference), fields) in inputs.iter().zip(&correlation.rules).zip(&pattern.fields) {
            match &set.rules[*input].body {
                CompiledBody::Event(event) if event.reach.admits(Some(Signal::Spans)) => {}
                _ => {
                    let message = format!("{:?} does not match single spans, so no trace can hold it", reference.rule);
                    let hint =
                        "refer to a rule with detection and logsource {product: otel, category: span}".to_owned();
                    self.report(file, reference.at, code::BAD_VALUE, message, hint);
                    return None;
                }
            }
            let values = fields.iter().map(|field| set.plan.field(&self.name_of(&reference.rule, field))).collect();
            wired.push(Feed { rule: *input, keys: Vec::new(), values, inherits: false });
        }
        let known = |asks: fn(TracePlan) -> bool| set.traces.is_some_and(asks);
        let links = known(|plan| plan.links) || pattern.looks_along_links();
        let sampling = known(|plan| plan.sampling) || pattern.unsampled;
        let span_nanos = set.traces.map_or(0, |known| known.span_nanos).max(pattern.span_nanos);
        set.traces = Some(TracePlan { lineage: Fields::new(&mut set.plan), span_nanos, lag_nanos: 0, links, sampling });
        Some(wired)
    }
}

/// The fields an expression asks about, negations left out.
fn asked(expression: &Expression<Arc<Atom>>, fields: &mut Vec<String>) {
    match expression {
        Expression::Atom(atom) => {
            if let Some(field) = atom.field.as_ref().filter(|field| !fields.contains(field)) {
                fields.push(field.clone());
            }
        }
        Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| asked(part, fields)),
        Expression::Not(_) => {}
    }
}
