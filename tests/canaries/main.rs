//! The corpus of Canaries says of the rules what its files are named after.

#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of tests fail as tests do")]

mod corpus;

use std::collections::BTreeSet;

use curfew::{
    policy::{CanaryPolicySpec, Mode, Rule},
    rules::{self, lookup::NoLookup},
};

#[test]
fn each_refused_canary_breaks_the_rule_of_its_file_and_no_other() {
    let cases = corpus::canaries("refused");
    let policy = CanaryPolicySpec::default();
    for case in &cases {
        let findings = rules::findings(&case.canary, "shop", &policy, &NoLookup);
        let refused: Vec<Rule> = findings
            .iter()
            .filter(|finding| finding.mode(&policy.admission) == Mode::Enforce)
            .map(|finding| finding.rule)
            .collect();
        let expected: Rule = rules::named(&case.file).expect("the file is named after a rule");
        assert_eq!(refused, [expected], "{}: {findings:?}", case.name());
    }
    let names: BTreeSet<_> = cases
        .iter()
        .map(|case| case.canary["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names.len(), cases.len(), "every case has a name of its own");
    assert!(cases.len() > 80, "only {} cases", cases.len());
}
