//! One attack, scripted to the tenth of a second: passwords are tried, a session is stolen, a cloud credential is
//! fetched through the image provider, and the customer table leaves by the back office.
//!
//! | from | to | stage | what a defender can see |
//! |---|---|---|---|
//! | 0.0 s | 6.6 s | credential stuffing | 46 accounts from one hosting address, 44 refused, 2 let in |
//! | 1.0 s | 7.2 s | (the victim at work) | an administrator's session, from the office |
//! | 7.6 s | 8.8 s | stolen session | the same session id from the hosting address |
//! | 9.2 s | 10.4 s | request forgery | image-provider calls 169.254.169.254 below `GET /images` |
//! | 11.0 s | 12.5 s | bulk export | `GET /admin/export` answers 48,213 rows with the stolen session |

use std::collections::VecDeque;

use crate::batch::{Export, Tray};
use crate::dice::{Dice, Stream};
use crate::journey::NANOS_PER_SEC;
use crate::people::{self, SHOP_HOST, STAFF, Visitor};
use crate::shop::{self, Credentials, Listing, Source};
use crate::weave::Weave;

/// Accounts tried.
const TRIED: u64 = 46;
/// The tries that succeed.
const LUCKY: [u64; 2] = [19, 37];
const NANOS_PER_MILLI: u64 = 1_000_000;
const EXPORTED_ROWS: u64 = 48_213;
/// Administrators are the first staff members.
const ADMINS: u64 = 6;
const STUFFING_AGENT: &str = "python-requests/2.32.5";
const ATTACKER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const METADATA_ADDRESS: &str = "169.254.169.254";
const METADATA_PATHS: [(&str, u64); 3] = [
    ("/latest/meta-data/", 280),
    ("/latest/meta-data/iam/security-credentials/", 21),
    ("/latest/meta-data/iam/security-credentials/shop-image-provider", 1_230),
];

/// What a malicious trace is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Passwords leaked elsewhere are tried on many accounts (T1110.004).
    CredentialStuffing,
    /// Someone else's session id is used (T1550.004).
    StolenSession,
    /// The image provider is made to call the cloud's metadata address (T1552.005).
    RequestForgery,
    /// The customer table is taken in one answer (T1567).
    BulkExport,
}

/// A malicious trace, for scoring; nothing in the telemetry says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What it is part of.
    pub stage: Stage,
    /// The trace.
    pub trace_id: [u8; 16],
}

/// The attack, and the truth about it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What to send, with nanoseconds after the start at which the exporters send it, in order.
    pub exports: Vec<(u64, Export)>,
    /// Every malicious trace, in order of time. The victim's own requests are not among them.
    pub labels: Vec<Label>,
    /// Where the attacker comes from.
    pub attacker_address: String,
    /// Accounts whose password was right.
    pub taken_over_users: Vec<String>,
    /// The administrator whose session is stolen.
    pub victim_user: String,
    /// Where the administrator works.
    pub victim_address: String,
    /// The stolen session.
    pub stolen_session_id: String,
}

/// The traces of the attack as they are played.
struct Script {
    seed: u64,
    start: u64,
    played: u64,
    tray: Tray,
    labels: Vec<Label>,
}

impl Script {
    fn play(&mut self, at_millis: u64, stage: Option<Stage>, scene: impl FnOnce(&mut Weave)) {
        let dice = Dice::new(self.seed, Stream::Attack, self.start, self.played);
        self.played += 1;
        let mut weave = Weave::scripted(dice, self.start + at_millis * NANOS_PER_MILLI);
        scene(&mut weave);
        let woven = weave.finish();
        if let (Some(stage), Ok(trace_id)) = (stage, woven.trace_id.as_slice().try_into()) {
            self.labels.push(Label { stage, trace_id });
        }
        self.tray.put(woven);
    }
}

/// Plays the attack from `start_unix_nanos` on; all of it happens within 15 seconds of event time. Other starts and
/// seeds give other accounts, another victim and another address.
pub fn attack(seed: u64, start_unix_nanos: u64) -> Scenario {
    let mut dice = Dice::new(seed, Stream::Attack, start_unix_nanos, u64::MAX);
    let attacker_address = format!("203.0.113.{}", dice.between(2, 250));
    let victim_number = dice.below(ADMINS.min(STAFF));
    let victim = people::staff(seed, &mut dice, victim_number);
    let thief = Visitor { address: attacker_address.clone(), agent: ATTACKER_AGENT, ..victim.clone() };
    let mut script = Script { seed, start: start_unix_nanos, played: 0, tray: Tray::default(), labels: Vec::new() };

    let taken_over_users = stuff_credentials(&mut script, &mut dice, &attacker_address);
    let pages = [(1_000, Listing::Orders), (3_400, Listing::Users), (5_300, Listing::Orders), (7_200, Listing::Users)];
    for (at_millis, listing) in pages {
        script.play(at_millis, None, |w| shop::list(w, &victim, listing));
    }
    script.play(7_600, Some(Stage::StolenSession), |w| shop::open_account(w, &thief));
    script.play(8_200, Some(Stage::StolenSession), |w| shop::list(w, &thief, Listing::Users));
    script.play(8_800, Some(Stage::StolenSession), |w| shop::list(w, &thief, Listing::Orders));
    forge_requests(&mut script, &attacker_address);
    script.play(11_000, Some(Stage::BulkExport), |w| shop::export(w, &thief, EXPORTED_ROWS));

    let Script { mut tray, labels, .. } = script;
    Scenario {
        exports: send(seed, start_unix_nanos, &mut tray),
        labels,
        attacker_address,
        taken_over_users,
        victim_user: victim.user_id.unwrap_or_default(),
        victim_address: victim.address,
        stolen_session_id: victim.session_id.unwrap_or_default(),
    }
}

/// Tries one password on each of many accounts; answers the accounts where it was right.
fn stuff_credentials(script: &mut Script, dice: &mut Dice, address: &str) -> Vec<String> {
    let mut taken_over = Vec::new();
    // a step coprime to the number of customers visits every account once
    let first = dice.below(people::CUSTOMERS);
    for number in 0..TRIED {
        let user_id = people::customer_id((first + number * 7_919) % people::CUSTOMERS);
        let visitor = Visitor {
            user_id: Some(user_id.clone()),
            roles: &["customer"],
            session_id: Some(dice.hex(16)),
            token_hash: None,
            address: address.to_owned(),
            agent: STUFFING_AGENT,
            host: SHOP_HOST,
        };
        let credentials = if LUCKY.contains(&number) { Credentials::Right } else { Credentials::WrongPassword };
        if credentials == Credentials::Right {
            taken_over.push(user_id);
        }
        let at_millis = number * 140 + dice.below(60);
        script.play(at_millis, Some(Stage::CredentialStuffing), |w| shop::log_in(w, &visitor, credentials));
    }
    taken_over
}

/// Asks the public image route for the metadata address, three paths deeper each time.
fn forge_requests(script: &mut Script, address: &str) {
    let visitor = Visitor { address: address.to_owned(), agent: ATTACKER_AGENT, ..people::probe(0) };
    for (step, (path, answer_bytes)) in (0..).zip(METADATA_PATHS) {
        let source = Source {
            scheme: "http",
            host: METADATA_ADDRESS.to_owned(),
            path: path.to_owned(),
            answer_bytes,
            is_image: false,
        };
        script.play(9_200 + step * 600, Some(Stage::RequestForgery), |w| shop::show(w, &visitor, &source));
    }
}

/// One batch per second, as the exporters of ordinary traffic do.
fn send(seed: u64, start: u64, tray: &mut Tray) -> Vec<(u64, Export)> {
    let mut out = VecDeque::new();
    let mut offset = 0;
    while !tray.is_empty() {
        offset += NANOS_PER_SEC;
        tray.send_before(seed, start + offset, &mut out);
    }
    out.into_iter().map(|export| (export.at_unix_nanos - start, export)).collect()
}
