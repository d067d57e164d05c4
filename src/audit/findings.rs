//! What the audit found, Canary by Canary: for the policies' status, the metrics, and to know what is new.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{
    policy::{Mode, Rule},
    rules::{Finding, finding::Fault},
};

/// So many findings are told in a policy's status.
pub const MOST_ITEMS: usize = 50;

/// Of so many findings of one policy and gravity the words are kept: ten thousand Canaries may share a fault. Twice as many as
/// are told, so that some may go before all are judged again.
const MOST_WORDS: usize = 2 * MOST_ITEMS;

/// So many characters of a finding are kept: what users write is part of it.
const LONGEST: usize = 512;

/// A namespace and a name.
pub type Key = (String, String);

/// What was found, and in what. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct FindingStore(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    audited: BTreeMap<Key, Audited>,
    /// Of how many findings there are words, by policy and gravity.
    words: BTreeMap<(String, Mode), usize>,
}

/// One Canary as it was judged last.
#[derive(Clone, Debug)]
struct Audited {
    /// What the evaluation rested on.
    inputs: u64,
    /// The names by which it has to do with its neighbours.
    shares: [String; 2],
    policy: String,
    found: Vec<Found>,
}

#[derive(Clone, Debug)]
struct Found {
    rule: Rule,
    mode: Mode,
    fault: u64,
    words: Option<Box<FindingText>>,
}

#[derive(Clone, Debug)]
struct FindingText {
    field: String,
    message: String,
}

/// What is new about a Canary.
#[derive(Debug)]
pub struct Noted<'a> {
    /// What it did not have before, and of a Canary that was not known what would be refused or stops Flagger.
    pub news: Vec<&'a Finding>,
    /// The workload and Service that it had to do with before, and has not any more.
    pub left: Vec<String>,
}

/// What is told of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The Canaries that it applies to.
    pub matched: usize,
    /// What was found in them.
    pub total: usize,
    /// The gravest of it.
    pub items: Vec<Item>,
}

/// One finding, as a policy's status tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The Canary.
    pub canary: Key,
    /// The rule that found it.
    pub rule: Rule,
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

// === impl FindingStore ===

impl FindingStore {
    /// Whether a Canary was judged on exactly this.
    #[must_use]
    pub fn is_current(&self, canary: &Key, inputs: u64) -> bool {
        let state = self.0.lock();
        state
            .audited
            .get(canary)
            .is_some_and(|audited| audited.inputs == inputs)
    }

    /// Whether a rule finds something in a Canary.
    #[must_use]
    pub fn finds(&self, canary: &Key, rule: Rule) -> bool {
        let state = self.0.lock();
        let audited = state.audited.get(canary);
        audited.is_some_and(|audited| audited.found.iter().any(|found| found.rule == rule))
    }

    /// Writes down what was found in a Canary.
    #[must_use]
    pub fn note<'a>(
        &self,
        canary: &Key,
        inputs: u64,
        shares: [&str; 2],
        policy: &str,
        findings: &'a [(Finding, Mode)],
    ) -> Noted<'a> {
        let mut state = self.0.lock();
        let before = state.remove(canary);
        // What stops Flagger for everybody concerns more than those who were told of it when they wrote it.
        let least = |rule: Rule, least: Mode| if rule == Rule::UNDECODABLE { Mode::Audit } else { least };
        let is_news = |finding: &Finding, mode: Mode| match &before {
            Some(before) => {
                let least = least(finding.rule, Mode::Warn);
                let fault = number(&finding.fault());
                mode >= least
                    && !before
                        .found
                        .iter()
                        .any(|found| found.fault == fault && found.mode >= least)
            }
            None => mode >= least(finding.rule, Mode::Enforce),
        };
        let news = findings
            .iter()
            .filter(|(finding, mode)| is_news(finding, *mode))
            .map(|(finding, _)| finding)
            .collect();
        let found = findings
            .iter()
            .map(|(finding, mode)| state.found(policy, finding, *mode))
            .collect();
        let audited = Audited {
            inputs,
            shares: shares.map(str::to_owned),
            policy: policy.to_owned(),
            found,
        };
        state.audited.insert(canary.clone(), audited);
        let mut left = before.map(|before| before.shares.to_vec()).unwrap_or_default();
        left.retain(|name| !shares.contains(&name.as_str()));
        Noted { news, left }
    }

    /// Forgets every Canary but these.
    pub fn retain(&self, canaries: &BTreeSet<Key>) {
        let mut state = self.0.lock();
        let gone: Vec<_> = state
            .audited
            .keys()
            .filter(|key| !canaries.contains(*key))
            .cloned()
            .collect();
        for canary in gone {
            state.remove(&canary);
        }
    }

    /// Forgets a Canary.
    pub fn forget(&self, canary: &Key) {
        self.0.lock().remove(canary);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.0.lock() = Inner::default();
    }

    /// What is to be told of each policy that applies to any Canary.
    #[must_use]
    pub fn summaries(&self) -> BTreeMap<String, Summary> {
        let state = self.0.lock();
        let mut summaries = BTreeMap::<String, Summary>::new();
        // The gravest first, and then by name.
        for mode in [Mode::Enforce, Mode::Warn, Mode::Audit] {
            for (canary, audited) in &state.audited {
                let summary = summaries.entry(audited.policy.clone()).or_default();
                summary.matched += usize::from(mode == Mode::Enforce);
                for found in audited.found.iter().filter(|found| found.gravity() == mode) {
                    summary.total += 1;
                    if let Some(words) = found.words.as_ref().filter(|_| summary.items.len() < MOST_ITEMS) {
                        summary.items.push(Item {
                            canary: canary.clone(),
                            rule: found.rule,
                            field: words.field.clone(),
                            message: words.message.clone(),
                        });
                    }
                }
            }
        }
        summaries
    }

    /// How often each rule finds something, by policy.
    fn counts(&self) -> BTreeMap<(Rule, String), i64> {
        let mut counts = BTreeMap::new();
        for audited in self.0.lock().audited.values() {
            for found in &audited.found {
                *counts.entry((found.rule, audited.policy.clone())).or_default() += 1;
            }
        }
        counts
    }
}

// === impl Found ===

impl Found {
    /// In whatever mode it was found, nothing is graver than what stops Flagger.
    fn gravity(&self) -> Mode {
        if self.rule == Rule::UNDECODABLE {
            Mode::Enforce
        } else {
            self.mode
        }
    }
}

// === impl Inner ===

impl Inner {
    fn found(&mut self, policy: &str, finding: &Finding, mode: Mode) -> Found {
        let mut found = Found {
            rule: finding.rule,
            mode,
            fault: number(&finding.fault()),
            words: None,
        };
        let kept = self.words.entry((policy.to_owned(), found.gravity())).or_default();
        if *kept < MOST_WORDS {
            *kept += 1;
            found.words = Some(Box::new(FindingText {
                field: shortened(&finding.field),
                message: shortened(&format!("{}; {}", finding.message, finding.fix)),
            }));
        }
        found
    }

    fn remove(&mut self, canary: &Key) -> Option<Audited> {
        let removed = self.audited.remove(canary)?;
        for found in removed.found.iter().filter(|found| found.words.is_some()) {
            if let Entry::Occupied(mut words) = self.words.entry((removed.policy.clone(), found.gravity())) {
                match words.get() {
                    0 | 1 => drop(words.remove()),
                    _ => *words.get_mut() -= 1,
                }
            }
        }
        Some(removed)
    }
}

/// Of a fault only a number is kept: two of one number are told once.
fn number(fault: &Fault) -> u64 {
    let mut hasher = DefaultHasher::new();
    fault.hash(&mut hasher);
    hasher.finish()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Tells the counts when it is asked.
#[derive(Debug)]
pub struct Counts(pub FindingStore);

// === impl Counts ===

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "What the audit finds in stored Canaries";
        let mut family = encoder.encode_descriptor("audit_findings", help, None, MetricType::Gauge)?;
        for ((rule, policy), count) in self.0.counts() {
            let labels = [("rule", rule.name().to_owned()), ("policy", policy)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("shop".to_owned(), name.to_owned())
    }

    fn finding(rule: Rule, value: &str, mode: Mode) -> (Finding, Mode) {
        let finding = Finding {
            rule,
            severity: mode,
            at_most: Mode::Enforce,
            field: "spec".to_owned(),
            value: value.to_owned(),
            message: format!("wrong {value}"),
            fix: "fix it".to_owned(),
        };
        (finding, mode)
    }

    fn news(finding_store: &FindingStore, canary: &str, found: &[(Finding, Mode)]) -> Vec<Rule> {
        let noted = finding_store.note(&key(canary), 1, ["web", "front"], "default", found);
        noted.news.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_is_new_is_told_once() {
        let finding_store = FindingStore::default();
        let refused = finding(Rule::UNDECODABLE, "180.5", Mode::Enforce);
        let warned = finding(Rule::PROBES, "readiness", Mode::Warn);
        let noted = finding(Rule::PARTIAL_AVAILABILITY, "1", Mode::Audit);
        let all = [refused.clone(), warned.clone(), noted.clone()];
        assert_eq!(
            news(&finding_store, "web", &all),
            [Rule::UNDECODABLE],
            "of a Canary that was not known"
        );
        assert_eq!(news(&finding_store, "web", &all), []);
        assert_eq!(news(&finding_store, "web", std::slice::from_ref(&noted)), []);
        assert_eq!(news(&finding_store, "web", &[noted, warned]), [Rule::PROBES]);
        let worse = finding(Rule::UNDECODABLE, "2.5", Mode::Enforce);
        assert_eq!(news(&finding_store, "web", &[refused, worse]), [Rule::UNDECODABLE; 2]);
        // What stops Flagger is news in whatever mode it is found.
        let let_in = [finding(Rule::UNDECODABLE, "180.5", Mode::Audit)];
        assert_eq!(news(&finding_store, "other", &let_in), [Rule::UNDECODABLE]);
        assert_eq!(news(&finding_store, "other", &let_in), []);
    }

    #[test]
    fn a_policy_is_told_the_gravest_and_how_much_there_is() {
        let finding_store = FindingStore::default();
        for index in 0..60 {
            news(
                &finding_store,
                &format!("web-{index:02}"),
                &[finding(Rule::PROBES, "readiness", Mode::Warn)],
            );
        }
        news(
            &finding_store,
            "worst",
            &[finding(Rule::UNDECODABLE, "180.5", Mode::Enforce)],
        );
        news(&finding_store, "sound", &[]);
        let summary = &finding_store.summaries()["default"];
        assert_eq!(
            (summary.matched, summary.total, summary.items.len()),
            (62, 61, MOST_ITEMS)
        );
        assert_eq!(
            (summary.items[0].rule, &summary.items[0].canary),
            (Rule::UNDECODABLE, &key("worst"))
        );
        assert_eq!(summary.items[1].message, "wrong readiness; fix it");
    }

    #[test]
    fn of_very_many_findings_the_words_are_not_kept() {
        let finding_store = FindingStore::default();
        for index in 0..2 * MOST_WORDS {
            news(
                &finding_store,
                &format!("web-{index}"),
                &[finding(Rule::PROBES, "readiness", Mode::Warn)],
            );
        }
        let state = finding_store.0.lock();
        assert_eq!(state.words[&("default".to_owned(), Mode::Warn)], MOST_WORDS);
        let kept = state
            .audited
            .values()
            .flat_map(|audited| &audited.found)
            .filter(|found| found.words.is_some());
        assert_eq!(kept.count(), MOST_WORDS);
        drop(state);
        // What is graver and comes later is told nevertheless.
        news(
            &finding_store,
            "worst",
            &[finding(Rule::UNDECODABLE, "180.5", Mode::Audit)],
        );
        news(&finding_store, "worse", &[finding(Rule::WEIGHTS, "120", Mode::Enforce)]);
        let items = finding_store.summaries()["default"].items.clone();
        let gravest: Vec<_> = items.iter().take(2).map(|item| item.rule).collect();
        assert_eq!(
            (gravest, items.len()),
            (vec![Rule::WEIGHTS, Rule::UNDECODABLE], MOST_ITEMS)
        );
        finding_store.retain(&BTreeSet::from([key("web-0")]));
        let words: Vec<_> = finding_store.0.lock().words.values().copied().collect();
        assert_eq!(words, [1]);
        assert_eq!(finding_store.summaries()["default"].total, 1);
    }

    #[test]
    fn a_canary_is_current_until_something_that_matters_changes() {
        let finding_store = FindingStore::default();
        news(&finding_store, "web", &[]);
        assert!(finding_store.is_current(&key("web"), 1));
        assert!(!finding_store.is_current(&key("web"), 2));
        assert!(!finding_store.is_current(&key("api"), 1));
        finding_store.forget(&key("web"));
        assert!(!finding_store.is_current(&key("web"), 1));
    }

    #[test]
    fn what_a_canary_has_to_do_with_no_more_is_left_to_the_others() {
        let finding_store = FindingStore::default();
        let left = |shares| finding_store.note(&key("web"), 1, shares, "default", &[]).left;
        assert_eq!(left(["web", "front"]), Vec::<String>::new());
        assert_eq!(left(["front", "web"]), Vec::<String>::new());
        assert_eq!(left(["api", "front"]), ["web"]);
        assert_eq!(left(["shop", "shop"]), ["api", "front"]);
    }

    #[test]
    fn of_what_somebody_wrote_the_end_is_left_out() {
        let finding_store = FindingStore::default();
        let mut long = finding(Rule::INTERVAL, "1", Mode::Warn);
        long.0.message = "é".repeat(1_000_000);
        news(&finding_store, "web", &[long]);
        let summary = &finding_store.summaries()["default"];
        assert_eq!(summary.items[0].message.chars().count(), LONGEST + 1);
    }
}
