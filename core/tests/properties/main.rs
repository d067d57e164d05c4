//! Whatever comes in, nothing panics and nothing is let in by mistake: the invariants that `fuzz/` searches for days, over
//! some hundred generated inputs each.

#![expect(clippy::expect_used, reason = "the helpers of tests fail as tests do")]

mod any_json;
mod hostile;
mod invariants;

use any_json::any_json;
use fastrand::Rng;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn bodies_of_any_bytes(body: Vec<u8>) {
        invariants::spec(&body);
    }

    #[test]
    fn canaries_of_any_shape(canary in any_json(), seed: u64) {
        invariants::spec(canary.to_string().as_bytes());
        invariants::spec(hostile::canary("web", &mut Rng::with_seed(seed)).to_string().as_bytes());
    }

    #[test]
    fn durations(text in "[-+]?([0-9]{0,21}(\\.[0-9]{0,21})?(ns|us|µs|μs|ms|s|m|h|d|)){0,4}", odd in ".{0,12}") {
        invariants::duration(&text);
        invariants::duration(&odd);
    }

    #[test]
    fn policies(line in 0_usize..40, value in "[ a-zA-Z0-9:{}\\[\\]\\-\"'&*!|>%@#,.~\n]{0,30}", keep: bool) {
        let mut lines: Vec<&str> = include_str!("../../src/policy/default.yaml").lines().collect();
        let at = line % lines.len();
        let changed = if keep { format!("{}{value}", lines[at]) } else { value.clone() };
        lines[at] = &changed;
        invariants::policy(&lines.join("\n"));
        invariants::policy(&value);
    }
}
