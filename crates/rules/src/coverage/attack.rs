//! The techniques of ATT&CK that rules say they detect, as a list and as a layer of the ATT&CK Navigator.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::RuleCoverage;

/// Version of ATT&CK whose technique ids the shipped rules use.
const ATTACK_VERSION: &str = "19";
/// Version of the layer format, and of a Navigator that reads it.
const LAYER_VERSION: &str = "4.5";
const NAVIGATOR_VERSION: &str = "5.1.0";
/// Rules from which on a technique has the darkest colour.
const DARKEST: u64 = 5;

/// A technique with the rules that say they detect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technique {
    /// As in `T1110.003`.
    pub id: String,
    /// Ids and titles of rules that can fire on the data.
    pub rules: Vec<(String, String)>,
    /// Ids and titles of rules that cannot.
    pub blind: Vec<(String, String)>,
}

/// Techniques by id. Rules that raise no alerts are left out.
pub fn techniques(rules: &[RuleCoverage]) -> Vec<Technique> {
    let mut found: BTreeMap<String, Technique> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| !rule.silent) {
        for id in rule.info.tags.iter().filter_map(|tag| technique_id(tag)) {
            let technique =
                found.entry(id.clone()).or_insert_with(|| Technique { id, rules: Vec::new(), blind: Vec::new() });
            let named = (rule.info.id.clone(), rule.info.title.clone());
            if rule.can_fire { technique.rules.push(named) } else { technique.blind.push(named) }
        }
    }
    found.into_values().collect()
}

/// `T1110.003` of `attack.t1110.003`; `None` for tactics, groups, software and other tags.
fn technique_id(tag: &str) -> Option<String> {
    let rest = tag.get(..7).filter(|start| start.eq_ignore_ascii_case("attack."))?;
    let id = tag[rest.len()..].to_ascii_uppercase();
    let digits = id.strip_prefix('T')?;
    let (main, sub) = digits.split_once('.').map_or((digits, None), |(main, sub)| (main, Some(sub)));
    let are_digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    (are_digits(main, 4) && sub.is_none_or(|sub| are_digits(sub, 3))).then_some(id)
}

fn titles(rules: &[(String, String)]) -> Vec<&str> {
    rules.iter().map(|(_, title)| title.as_str()).collect()
}

/// A layer of the ATT&CK Navigator: the score of a technique is the number of rules that can fire; techniques whose every
/// rule is blind are shown and have score 0.
pub fn navigator(name: &str, techniques: &[Technique]) -> Json {
    let one = |technique: &Technique| {
        let mut metadata: Vec<Json> =
            titles(&technique.rules).iter().map(|title| json!({"name": "rule", "value": title})).collect();
        metadata.extend(titles(&technique.blind).iter().map(|title| json!({"name": "cannot fire", "value": title})));
        json!({
            "techniqueID": technique.id,
            "score": technique.rules.len(),
            "comment": titles(&technique.rules).join("; "),
            "enabled": true,
            "metadata": metadata,
            "showSubtechniques": technique.id.contains('.'),
        })
    };
    json!({
        "name": name,
        "versions": {"attack": ATTACK_VERSION, "navigator": NAVIGATOR_VERSION, "layer": LAYER_VERSION},
        "domain": "enterprise-attack",
        "description": "Rules by technique: the score is how many of them can fire on the data seen.",
        "sorting": 3,
        "layout": {"layout": "side", "showID": true, "showName": true, "showAggregateScores": true, "countUnscored": false,
            "aggregateFunction": "sum"},
        "hideDisabled": false,
        "techniques": techniques.iter().map(one).collect::<Vec<_>>(),
        "gradient": {"colors": ["#ff6666", "#ffe766", "#8ec843"], "minValue": 0, "maxValue": DARKEST},
        "legendItems": [{"label": "no rule can fire", "color": "#ff6666"}, {"label": "rules can fire", "color": "#8ec843"}],
        "metadata": [],
        "showTacticRowBackground": false,
        "selectTechniquesAcrossTactics": true,
        "selectSubtechniquesWithParent": false,
    })
}
