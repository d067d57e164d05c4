//! What the scripted API server holds: objects with uids and resource versions, and the history that its watches tell.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The objects, by resource, namespace and name.
#[derive(Default)]
pub struct World {
    version: u64,
    made: u64,
    objects: BTreeMap<(String, String, String), Value>,
    history: Vec<Change>,
}

/// One change, as a watch tells it.
pub struct Change {
    pub version: u64,
    pub resource: String,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub kind: &'static str,
    pub object: Value,
}

/// Why a write is refused: the code, the reason and the message of the API server's Status.
pub type Refusal = (u16, &'static str, String);

// === impl World ===

impl World {
    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What changed after a version.
    pub fn since(&self, version: u64) -> &[Change] {
        let first = self.history.partition_point(|change| change.version <= version);
        &self.history[first..]
    }

    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&key(resource, namespace, name))
    }

    /// All objects of a resource, in one namespace or in all.
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<&Value> {
        self.objects
            .range(key(resource, namespace.unwrap_or_default(), "")..)
            .take_while(|((of, within, _), _)| of == resource && namespace.is_none_or(|namespace| within == namespace))
            .map(|(_, object)| object)
            .collect()
    }

    /// Makes an object, with a uid of its own.
    pub fn create(&mut self, resource: &str, mut object: Value) -> Value {
        self.made += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", self.made));
        self.store(resource, "ADDED", object)
    }

    /// Somebody else changes an object that is there.
    pub fn change(&mut self, resource: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(resource, namespace, name).expect("the object").clone();
        change(&mut object);
        self.store(resource, "MODIFIED", object);
    }

    /// Somebody else deletes an object.
    pub fn delete(&mut self, resource: &str, namespace: &str, name: &str) {
        let mut object = self
            .objects
            .remove(&key(resource, namespace, name))
            .expect("the object");
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.remember(resource, "DELETED", object);
    }

    /// Merges a patch into an object, or only into its status, if its preconditions hold.
    pub fn patch(
        &mut self,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Refusal> {
        let Some(object) = self.get(resource, namespace, name) else {
            return Err((404, "NotFound", format!("{resource} {name:?} not found")));
        };
        for precondition in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][precondition];
            if !wanted.is_null() && *wanted != object["metadata"][precondition] {
                let message = format!("the object has been modified: another {precondition}");
                return Err((409, "Conflict", message));
            }
        }
        let before = object.clone();
        let mut object = before.clone();
        if subresource == "status" {
            merge(&mut object["status"], &patch["status"]);
        } else {
            merge(&mut object, patch);
            object["status"] = before["status"].clone();
        }
        object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        // As the API server does with a write that changes nothing.
        if object == before {
            return Ok(object);
        }
        Ok(self.store(resource, "MODIFIED", object))
    }

    fn store(&mut self, resource: &str, kind: &'static str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let key = key(resource, text("namespace"), text("name"));
        self.objects.insert(key, object.clone());
        self.remember(resource, kind, object.clone());
        object
    }

    fn remember(&mut self, resource: &str, kind: &'static str, object: Value) {
        self.history.push(Change {
            version: self.version,
            resource: resource.to_owned(),
            kind,
            object,
        });
    }
}

fn key(resource: &str, namespace: &str, name: &str) -> (String, String, String) {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().expect("an object");
    for (key, value) in changes {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
