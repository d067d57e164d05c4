//! The breaker: many breaches at once are a sign that it is not the rollouts that are broken.
//!
//! A breaker counts the deadlines that pass, those that nobody has asked about yet too, so that of five hundred in the same
//! second not one is acted upon before the others are seen. When it is open, breaches are only reported. After
//! one window it lets them go at a steady rate, the oldest first; each is judged afresh when its turn comes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    policy::canary_policy,
    rollout::guard::{Cause, Share},
};

/// One that waits and does not ask again for so long is not waiting any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(10);

/// How long whoever must wait waits at the least, and at the most before asking again.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_millis(200);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// How late somebody may ask without the rate suffering from it.
const LENIENCE: SignedDuration = SignedDuration::from_secs(2);

/// The breaker of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Breaker {
    /// When each breach was first seen, for a window.
    seen: BTreeMap<String, Timestamp>,
    /// The breaches held back: their deadlines, and when they last asked.
    waiting: BTreeMap<String, (Timestamp, Timestamp)>,
    /// When it last became clear that there are too many, while it is open.
    open_since: Option<Timestamp>,
    /// Until when the breaches that were let go use up the rate.
    paid_until: Option<Timestamp>,
    /// Why it is open.
    cause: Option<Cause>,
}

/// What a breaker's Canaries are up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Load {
    /// Rollouts that run.
    pub running: usize,
    /// Those whose deadline to be rolled back has passed.
    pub due: BTreeSet<String>,
    /// How the primaries are doing, of all Canaries that are not being initialized or promoted.
    pub primaries: Share,
    /// How many running rollouts have a workload whose controller did not look at its spec yet.
    pub behind: Share,
}

/// Whether a breach may be acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerAnswer {
    /// It may.
    Allow,
    /// Not before this moment, and then it is to be judged afresh.
    Hold(Timestamp, Cause),
}

// === impl Breaker ===

impl Breaker {
    /// Asks for a breach: `who` is the rollout, `deadline` the one that it missed.
    pub fn ask(
        &mut self,
        who: &str,
        deadline: Timestamp,
        load: &Load,
        settings: canary_policy::BreakerSettings,
        now: Timestamp,
    ) -> BreakerAnswer {
        if !settings.enabled {
            *self = Self::default();
            return BreakerAnswer::Allow;
        }
        let window = signed(settings.window);
        let limit = limit(load.running, settings);
        self.look(who, load, limit, settings, now);
        let (Some(open_since), Some(cause)) = (self.open_since, self.cause) else {
            return BreakerAnswer::Allow;
        };
        // Those that recovered or went away keep nobody waiting.
        self.waiting.retain(|waiting, _| load.due.contains(waiting));
        self.waiting.insert(who.to_owned(), (deadline, now));
        let pause = window / i32::try_from(limit.max(1)).unwrap_or(i32::MAX);
        // Whose turn it is may come a little late: what was not let go meanwhile is let go together.
        let paid = self.paid_until.unwrap_or(Timestamp::MIN);
        let next = later(open_since, window).max(paid).max(earlier(now, LENIENCE));
        let mut queue: Vec<_> = self
            .waiting
            .iter()
            .map(|(who, (deadline, _))| (*deadline, who.as_str()))
            .collect();
        queue.sort_unstable();
        let place = queue.iter().position(|(_, waiting)| *waiting == who).unwrap_or(0);
        let turn = later(next, pause.saturating_mul(i32::try_from(place).unwrap_or(i32::MAX)));
        if now >= turn {
            self.waiting.remove(who);
            self.paid_until = Some(later(next, pause));
            return BreakerAnswer::Allow;
        }
        // Whoever is first may be gone by then, so everybody asks again before they are forgotten.
        let until = turn.max(later(now, LEAST_PAUSE)).min(later(now, LONGEST_PAUSE));
        BreakerAnswer::Hold(until, cause)
    }

    /// Why it is open, if it is; looks at the clock, since it closes by itself.
    pub fn state(&mut self, now: Timestamp) -> Option<Cause> {
        self.close(now);
        self.cause.filter(|_| self.open_since.is_some())
    }

    /// Whether it opens or goes on being open.
    fn look(&mut self, who: &str, load: &Load, limit: usize, settings: canary_policy::BreakerSettings, now: Timestamp) {
        let window = signed(settings.window);
        for due in load.due.iter().map(String::as_str).chain([who]) {
            if !self.seen.contains_key(due) {
                self.seen.insert(due.to_owned(), now);
            }
        }
        // One that is still due stays known, so that it is not counted as new when its window is over.
        self.seen
            .retain(|seen, at| now.duration_since(*at) < window || seen == who || load.due.contains(seen));
        let count = self
            .seen
            .values()
            .filter(|at| now.duration_since(**at) < window)
            .count();
        let percent = settings.percent;
        let cause = if count > limit {
            Some(Cause::Breaches { count, limit })
        } else if load.primaries.is_above(percent) {
            Some(Cause::Primaries(load.primaries))
        } else if load.behind.is_above(percent) {
            Some(Cause::Controllers(load.behind))
        } else {
            None
        };
        match cause {
            // Those who are counted are let go when their window is over; those who come on top begin another one.
            Some(cause @ Cause::Breaches { .. }) => {
                if self.cause.is_none() {
                    self.open_since = Some(now);
                }
                self.cause = Some(cause);
            }
            // Trouble elsewhere lasts as long as it lasts.
            Some(cause @ (Cause::Primaries(_) | Cause::Controllers(_))) => {
                self.open_since = Some(now);
                self.cause = Some(cause);
            }
            Some(Cause::Starting) | None => self.close(now),
        }
    }

    /// Closes it when nobody waits any more.
    fn close(&mut self, now: Timestamp) {
        self.waiting
            .retain(|_, (_, asked)| now.duration_since(*asked) < FORGOTTEN);
        if self.waiting.is_empty() {
            (self.open_since, self.paid_until, self.cause) = (None, None, None);
        }
    }
}

/// How many breaches within a window are no sign of trouble.
fn limit(running: usize, settings: canary_policy::BreakerSettings) -> usize {
    let share = running.saturating_mul(usize::from(settings.percent)) / 100;
    share.max(usize::try_from(settings.min).unwrap_or(usize::MAX))
}

fn earlier(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: canary_policy::BreakerSettings = canary_policy::BreakerSettings {
        enabled: true,
        min: 20,
        percent: 50,
        window: std::time::Duration::from_mins(5),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn name(index: usize) -> String {
        format!("web-{index:03}")
    }

    /// So many rollouts run, and all of these are due.
    fn load(running: usize, due: impl Iterator<Item = usize>) -> Load {
        Load {
            running,
            due: due.map(name).collect(),
            ..Load::default()
        }
    }

    fn share(troubled: usize, of: usize) -> Share {
        Share { troubled, of }
    }

    #[test]
    fn a_few_breaches_pass_at_once() {
        let mut breaker = Breaker::default();
        for index in 0..20 {
            let load = load(30, index..20);
            assert_eq!(
                breaker.ask(&name(index), at(0), &load, SETTINGS, at(0)),
                BreakerAnswer::Allow
            );
        }
        assert_eq!(breaker.state(at(0)), None);
    }

    #[test]
    fn half_of_many_rollouts_may_fail_at_once() {
        let mut breaker = Breaker::default();
        let all = load(100, 0..50);
        assert_eq!(
            breaker.ask(&name(0), at(0), &all, SETTINGS, at(0)),
            BreakerAnswer::Allow
        );
        let all = load(100, 0..51);
        let held = BreakerAnswer::Hold(at(300), Cause::Breaches { count: 51, limit: 50 });
        assert_eq!(breaker.ask(&name(1), at(0), &all, SETTINGS, at(0)), held);
    }

    /// Everybody asks again when they were told to; answers who was let go, and when.
    fn let_go(breaker: &mut Breaker, running: usize, count: usize, recovered: &[usize]) -> Vec<(i64, usize)> {
        let mut next: Vec<_> = (0..count).map(|index| (at(0), index)).collect();
        let mut free = Vec::new();
        while let Some((now, index)) = next.iter().min().copied() {
            next.retain(|(_, other)| *other != index);
            let second = now.duration_since(at(0)).as_secs();
            if second > 0 && recovered.contains(&index) {
                continue;
            }
            let due = load(running, next.iter().map(|(_, other)| *other).chain([index]));
            let deadline = at(-i64::try_from(index).expect("small"));
            match breaker.ask(&name(index), deadline, &due, SETTINGS, now) {
                BreakerAnswer::Allow => free.push((second, index)),
                BreakerAnswer::Hold(until, _) => {
                    assert!(until > now);
                    next.push((until, index));
                }
            }
        }
        free
    }

    #[test]
    fn of_five_hundred_none_is_let_go_within_the_window_and_then_one_after_the_other_the_oldest_first() {
        let mut breaker = Breaker::default();
        let free = let_go(&mut breaker, 500, 500, &[]);
        assert_eq!(free.len(), 500);
        assert_eq!(free[0], (300, 499), "the oldest deadline");
        let order: Vec<_> = free.iter().map(|(_, index)| *index).collect();
        assert!(order.windows(2).all(|pair| pair[0] > pair[1]), "{order:?}");
        // 250 within five minutes are no sign of trouble: that is the rate.
        let within = |from: i64, to: i64| free.iter().filter(|(second, _)| (from..to).contains(second)).count();
        assert!((240..=251).contains(&within(300, 600)), "{}", within(300, 600));
        assert!(free.last().expect("one").0 <= 300 + 2 * 320);
        assert_eq!(breaker.state(at(2_000)), None, "it closes");
    }

    #[test]
    fn those_that_recover_keep_nobody_waiting_for_ever() {
        let mut breaker = Breaker::default();
        let recovered: Vec<_> = (30..60).collect();
        let free = let_go(&mut breaker, 60, 60, &recovered);
        assert_eq!(free.len(), 30);
        assert_eq!(breaker.state(at(10_000)), None);
    }

    #[test]
    fn one_that_is_gone_does_not_stay_first() {
        let mut breaker = Breaker::default();
        let all = load(30, 0..21);
        breaker.ask(&name(0), at(-10), &all, SETTINGS, at(0));
        breaker.ask(&name(1), at(0), &all, SETTINGS, at(0));
        let without_the_first = load(30, 1..21);
        assert_eq!(
            breaker.ask(&name(1), at(0), &without_the_first, SETTINGS, at(300)),
            BreakerAnswer::Allow
        );
    }

    #[test]
    fn those_that_wait_are_not_counted_again_when_their_window_is_over() {
        let mut breaker = Breaker::default();
        let all = load(30, 0..21);
        breaker.ask(&name(0), at(0), &all, SETTINGS, at(0));
        breaker.ask(&name(1), at(0), &all, SETTINGS, at(299));
        assert_eq!(
            breaker.ask(&name(0), at(0), &all, SETTINGS, at(300)),
            BreakerAnswer::Allow
        );
    }

    #[test]
    fn a_breaker_that_is_switched_off_holds_nobody() {
        let mut breaker = Breaker::default();
        let off = canary_policy::BreakerSettings {
            enabled: false,
            ..SETTINGS
        };
        let all = load(500, 0..500);
        assert_eq!(breaker.ask(&name(0), at(0), &all, off, at(0)), BreakerAnswer::Allow);
    }

    #[test]
    fn trouble_elsewhere_opens_it_while_it_lasts() {
        for (primaries, behind, cause) in [
            (share(6, 10), share(0, 10), Some(Cause::Primaries(share(6, 10)))),
            (share(0, 10), share(6, 10), Some(Cause::Controllers(share(6, 10)))),
            (share(5, 10), share(5, 10), None),
            // Two of three are no sign of anything.
            (share(2, 3), share(2, 3), None),
        ] {
            let mut breaker = Breaker::default();
            let troubled = Load {
                primaries,
                behind,
                ..load(10, 0..1)
            };
            let passage = breaker.ask(&name(0), at(0), &troubled, SETTINGS, at(0));
            assert_eq!(
                passage,
                cause.map_or(BreakerAnswer::Allow, |cause| BreakerAnswer::Hold(at(300), cause))
            );
        }
        let mut breaker = Breaker::default();
        let troubled = Load {
            primaries: share(10, 10),
            ..load(10, 0..1)
        };
        breaker.ask(&name(0), at(0), &troubled, SETTINGS, at(0));
        breaker.ask(&name(0), at(0), &troubled, SETTINGS, at(300));
        let calm = load(10, 0..1);
        assert!(matches!(
            breaker.ask(&name(0), at(0), &calm, SETTINGS, at(400)),
            BreakerAnswer::Hold(..)
        ));
        assert_eq!(
            breaker.ask(&name(0), at(0), &calm, SETTINGS, at(600)),
            BreakerAnswer::Allow
        );
    }

    #[test]
    fn absurd_settings_do_no_harm() {
        let absurd = canary_policy::BreakerSettings {
            enabled: true,
            min: 0,
            percent: 0,
            window: std::time::Duration::MAX,
        };
        let mut breaker = Breaker::default();
        let passage = breaker.ask(&name(0), at(0), &load(1, 0..1), absurd, at(0));
        assert!(matches!(passage, BreakerAnswer::Hold(..)));
    }
}
