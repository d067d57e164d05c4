//! Why a target is not ready: its pods' failures, in one line.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{pod_failure::PodFailure, pods::PodSeen};

/// How many different failures a reason names.
const MOST_FAILURES: usize = 3;
/// Why a target is not ready, in one line: its unready pods, those with the same failure together.
#[must_use]
pub fn reason(pods: &[PodSeen]) -> Option<String> {
    let unready: Vec<_> = pods.iter().filter(|pod| !pod.ready).collect();
    if unready.is_empty() {
        return None;
    }
    // Together are those who say the same of the same container, whatever their restarts.
    let mut groups: BTreeMap<(Option<&str>, &str), Vec<&PodSeen>> = BTreeMap::new();
    for pod in &unready {
        let key = pod
            .failure
            .as_ref()
            .map_or((None, "not ready"), |it| (it.container.as_deref(), it.reason.as_str()));
        groups.entry(key).or_default().push(pod);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|pods| std::cmp::Reverse((pods[0].failure.as_ref().map(PodFailure::weight), pods.len())));

    let mut text = format!("{} of {} pods not ready: ", unready.len(), pods.len());
    for (index, group) in groups.iter().take(MOST_FAILURES).enumerate() {
        let worst = group
            .iter()
            .max_by_key(|pod| pod.failure.as_ref().map(|failure| failure.restarts));
        let Some(worst) = worst else { continue };
        if index > 0 {
            text.push_str("; ");
        }
        text.push_str(&worst.name);
        if group.len() > 1 {
            let _ = write!(text, " and {} more", group.len() - 1);
        }
        match &worst.failure {
            Some(failure) => {
                let _ = write!(text, " {failure}");
            }
            None => text.push_str(" not ready"),
        }
    }
    if groups.len() > MOST_FAILURES {
        let _ = write!(text, "; and {} more kinds", groups.len() - MOST_FAILURES);
    }
    Some(text)
}

/// Which container failed, where every pod is ready again at this moment.
#[must_use]
pub fn failed_before(pods: &[PodSeen]) -> Option<String> {
    let failed = pods.iter().filter_map(|pod| Some((pod, pod.failure.as_ref()?)));
    let (worst, failure) = failed.max_by_key(|(_, failure)| failure.rank())?;
    Some(format!("{} {failure}", worst.name))
}

#[cfg(test)]
#[path = "unready_pods_test.rs"]
mod tests;
