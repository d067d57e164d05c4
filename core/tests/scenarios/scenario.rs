//! A scenario: what a Canary, its workloads and its pods look like over time, and what Curfew makes of it.
//!
//! The same three functions run as in the enforcer, at every change and at every moment at which the evaluation
//! wants to look again, in no time at all.

use curfew_core::{
    deadline::{Conditions, Inputs, evaluate, evaluate::Evaluation, limits::Limits, remedy},
    flagger::{canary::Canary, objects::Objects, observe, workload::Workload},
    policy::EnforcementPolicy,
    rollout::{
        Clock,
        observation::Observation,
        pods::{ContainerSeen, PodSeen},
        remedy::Remedy,
        stamp::Stamp,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// When every scenario begins.
const BEGIN: &str = "2026-11-23T14:00:00Z";

/// The state of everything, and the moment that it is.
pub struct Scenario {
    pub now: Timestamp,
    pub canary: Value,
    pub target: Option<Value>,
    pub primary: Option<Value>,
    /// Ready or not, for each pod; and since when, and how old it is.
    pub pods: Vec<Pod>,
    /// The containers of every pod.
    pub containers: Vec<ContainerSeen>,
    pub policy: EnforcementPolicy,
    /// The second of Flagger's last Event; none: it looks all the time.
    pub last_event: Option<i64>,
    /// What speaks against acting, and what is known of Flagger.
    pub conditions: Conditions,
    /// How many Canaries Flagger looks after.
    pub canaries: usize,
    /// Every deadline that passed and was only to be told, with the second at which that was first seen.
    pub reports: Vec<(i64, Clock)>,
    /// Until when the Curfew before this one certainly saw every edit.
    pub watched_until: Option<Timestamp>,
    pub stamp: Stamp,
    /// Every remedy other than none, with the second at which it was first asked for.
    pub remedies: Vec<(i64, Remedy)>,
    judged: Option<Evaluation>,
    seen: Option<Observation>,
}

#[derive(Clone)]
pub struct Pod {
    pub created: i64,
    pub ready: bool,
    pub since: i64,
}

impl Scenario {
    /// A rollout that begins now: four pods wanted, none of them there yet, 60 s of deadline.
    pub fn begin() -> Self {
        let canary = json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "1", "generation": 1, "annotations": {}},
            "spec": {
                "progressDeadlineSeconds": 60,
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "analysis": {"interval": "10s", "threshold": 5, "maxWeight": 50, "stepWeight": 10},
            },
            "status": {
                "phase": "Progressing", "canaryWeight": 0, "iterations": 0, "failedChecks": 0,
                "lastAppliedSpec": "v2", "lastTransitionTime": BEGIN,
                "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing",
                    "lastTransitionTime": BEGIN, "lastUpdateTime": BEGIN}],
            },
        });
        let mut scenario = Self {
            now: BEGIN.parse().expect("a time"),
            canary,
            target: Some(deployment("v2", 4, 0)),
            primary: Some(deployment("v1", 4, 4)),
            pods: vec![
                Pod {
                    created: 0,
                    ready: false,
                    since: 0
                };
                4
            ],
            containers: Vec::new(),
            policy: EnforcementPolicy::default(),
            last_event: None,
            conditions: Conditions::default(),
            canaries: 0,
            reports: Vec::new(),
            watched_until: None,
            stamp: Stamp::default(),
            remedies: Vec::new(),
            judged: None,
            seen: None,
        };
        scenario.look();
        scenario
    }

    /// What the clocks said at the last look.
    pub fn evaluation(&self) -> &Evaluation {
        self.judged.as_ref().expect("a look")
    }

    /// What the last look saw.
    pub fn seen(&self) -> &Observation {
        self.seen.as_ref().expect("a look")
    }

    /// The second that it is.
    pub fn second(&self) -> i64 {
        self.now.as_second() - BEGIN.parse::<Timestamp>().expect("a time").as_second()
    }

    /// The time at a second of the scenario.
    pub fn at(second: i64) -> Timestamp {
        BEGIN.parse::<Timestamp>().expect("a time") + SignedDuration::from_secs(second)
    }

    /// Lets time pass until a second of the scenario, looking whenever the evaluation asked to.
    pub fn until(&mut self, second: i64) -> &mut Self {
        let end = Self::at(second);
        while let Some(changes_at) = self
            .judged
            .as_ref()
            .and_then(|judged| judged.changes_at)
            .filter(|changes_at| *changes_at > self.now && *changes_at < end)
        {
            self.now = changes_at;
            self.look();
        }
        self.now = end;
        self.look();
        self
    }

    /// So many of the four pods are ready from now on.
    pub fn ready(&mut self, count: usize) -> &mut Self {
        let now = self.second();
        for (index, pod) in self.pods.iter_mut().enumerate() {
            let ready = index < count;
            if pod.ready != ready {
                (pod.ready, pod.since) = (ready, now);
            }
        }
        let (wanted, available) = (self.pods.len(), count);
        let target = self.target.as_mut().expect("a target");
        target["spec"]["replicas"] = json!(wanted);
        target["status"]["replicas"] = json!(wanted);
        target["status"]["updatedReplicas"] = json!(wanted);
        target["status"]["availableReplicas"] = json!(available);
        self.look();
        self
    }

    /// Flagger writes its status now.
    pub fn flagger(&mut self, changes: &[(&str, Value)]) -> &mut Self {
        let status = &mut self.canary["status"];
        for (field, value) in changes {
            status[*field] = value.clone();
        }
        status["lastTransitionTime"] = json!(self.now.to_string());
        self.look();
        self
    }

    /// Flagger moves to another phase now.
    pub fn phase(&mut self, phase: &str) -> &mut Self {
        let now = json!(self.now.to_string());
        let condition = &mut self.canary["status"]["conditions"][0];
        condition["reason"] = json!(phase);
        condition["lastUpdateTime"] = now.clone();
        match phase {
            "Failed" => condition["status"] = json!("False"),
            "Succeeded" => condition["status"] = json!("True"),
            _ if condition["status"] != "Unknown" => {
                condition["status"] = json!("Unknown");
                condition["lastTransitionTime"] = now;
            }
            _ => {}
        }
        self.flagger(&[("phase", json!(phase))])
    }

    /// A user pushes another version; Flagger does not know yet.
    pub fn push(&mut self, version: &str) -> &mut Self {
        self.target.as_mut().expect("a target")["spec"]["template"] = template(version);
        self.look();
        self
    }

    /// Somebody changes the Canary's spec.
    pub fn spec(&mut self, field: &str, value: Value) -> &mut Self {
        self.edit(field, value);
        self.look();
        self
    }

    /// Somebody changes the Canary's spec while nobody looks.
    pub fn edit(&mut self, field: &str, value: Value) {
        self.canary["spec"][field] = value;
        let generation = &mut self.canary["metadata"]["generation"];
        *generation = json!(generation.as_i64().expect("a generation") + 1);
    }

    /// Somebody deletes the Canary, which waits for its finalizers.
    pub fn delete(&mut self) -> &mut Self {
        self.canary["metadata"]["deletionTimestamp"] = json!(self.now.to_string());
        self.look();
        self
    }

    /// Curfew writes its annotations, ends, and starts again: all that it knows is what stands on the Canary.
    pub fn restart(&mut self) -> &mut Self {
        let pending = self
            .evaluation()
            .pending
            .map(|pending| (pending.clock, pending.deadline));
        let annotations = self.stamp.annotations(pending);
        let written = self.canary["metadata"]["annotations"]
            .as_object_mut()
            .expect("annotations");
        for (key, value) in annotations {
            match value {
                Some(value) => written.insert(key.to_owned(), json!(value)),
                None => written.remove(key),
            };
        }
        self.forget()
    }

    /// Curfew starts and remembers nothing but the annotations.
    pub fn forget(&mut self) -> &mut Self {
        self.stamp = Stamp::recall(&Canary::from_json(self.canary.clone()), self.watched_until, self.now);
        self.judged = None;
        self
    }

    pub fn look(&mut self) {
        let canary = Canary::from_json(self.canary.clone());
        let distil = match canary.spec.target.kind.as_str() {
            "DaemonSet" => Workload::daemon_set,
            _ => Workload::deployment,
        };
        let target = self.target.as_ref().map(distil);
        let primary = self.primary.as_ref().map(distil);
        let pods: Vec<_> = self
            .pods
            .iter()
            .map(|pod| PodSeen {
                name: "web-x".to_owned(),
                created: Some(Self::at(pod.created)),
                ready: pod.ready,
                since: Some(Self::at(pod.since)),
                failure: None,
                containers: self.containers.clone(),
            })
            .collect();
        let objects = Objects {
            canary: &canary,
            target: target.as_ref(),
            primary: primary.as_ref(),
            pods: Some(&pods),
            last_event: Some(self.last_event.map_or(self.now, Self::at)),
            canaries: self.canaries,
        };
        let (seen, stamp) = observe(objects, &self.stamp, self.now);
        let limits = Limits::of(&canary, &self.policy);
        let inputs = Inputs {
            observation: &seen,
            limits: &limits,
            conditions: self.conditions,
        };
        let evaluation = evaluate(&inputs, &stamp, self.now);
        let remedy = remedy(&evaluation, &inputs, &stamp, self.now);
        self.stamp = stamp;
        for breach in &evaluation.reports {
            if !self.reports.iter().any(|(_, clock)| *clock == breach.clock) {
                self.reports.push((self.second(), breach.clock));
            }
        }
        self.seen = Some(seen);
        self.judged = Some(evaluation);
        if remedy != Remedy::None && self.remedies.last().is_none_or(|(_, last)| *last != remedy) {
            self.remedies.push((self.second(), remedy));
        }
    }

    /// The second of the first request to roll back, if there was one.
    pub fn rolled_back_at(&self) -> Option<i64> {
        self.remedies
            .iter()
            .find(|(_, remedy)| matches!(remedy, Remedy::RollBack(..)))
            .map(|(second, _)| *second)
    }

    /// The second at which a clock was first reported, if it was.
    pub fn reported(&self, clock: Clock) -> Option<i64> {
        let mut reports = self.reports.iter();
        reports
            .find(|(_, reported)| *reported == clock)
            .map(|(second, _)| *second)
    }

    /// The second of the readiness clock's deadline, if that is pending.
    pub fn deadline(&self) -> Option<i64> {
        let begin = BEGIN.parse::<Timestamp>().expect("a time");
        let pending = self
            .evaluation()
            .pending
            .filter(|pending| pending.clock == Clock::READINESS)?;
        Some(pending.deadline.duration_since(begin).as_secs())
    }
}

/// A Deployment of a version, with so many pods wanted and available.
pub fn deployment(version: &str, wanted: i64, available: i64) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "2", "generation": 3},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "web"}}, "template": template(version)},
        "status": {"observedGeneration": 3, "replicas": wanted, "updatedReplicas": wanted,
            "availableReplicas": available},
    })
}

fn template(version: &str) -> Value {
    json!({"spec": {"containers": [{"name": "app", "image": format!("app:{version}")}]}})
}
