//! What is to be checked: objects and policies, and what of it cannot be read.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    object::{Kind, Object, objects},
    source, yaml,
};
use crate::{
    policy::{Checked, file},
    rules,
};

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) file: Arc<str>,
    pub(super) line: Option<usize>,
    pub(super) why: String,
}

/// The objects of everything that is named, and what could not be read.
pub(super) fn read(paths: &[PathBuf]) -> (Vec<Object>, Vec<Broken>) {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for source in source::read(paths, std::io::stdin().lock()) {
        let file = source.name;
        let text = match source.text {
            Ok(text) => text,
            Err(why) => {
                let line = None;
                broken.push(Broken { file, line, why });
                continue;
            }
        };
        for document in yaml::documents(&text) {
            match document {
                Ok(node) if node.text().is_some() => broken.push(Broken {
                    file: Arc::clone(&file),
                    line: Some(node.at.line),
                    why: "this is text and no object; write YAML or JSON of Kubernetes".to_owned(),
                }),
                Ok(node) => {
                    let (objects, strays) = objects(&file, node);
                    found.extend(objects);
                    broken.extend(strays.into_iter().map(|(at, why)| Broken {
                        file: Arc::clone(&file),
                        line: Some(at.line),
                        why,
                    }));
                }
                Err(error) => broken.push(Broken {
                    file: Arc::clone(&file),
                    line: Some(error.line),
                    why: error.why,
                }),
            }
        }
    }
    (found, broken)
}

pub(super) fn policies(path: Option<&Path>) -> Result<Vec<Checked>, String> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let bad = |why: String| format!("--policy {}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let policies = file::read(&text, &rules::vocabulary()).map_err(|error| bad(error.to_string()))?;
    if policies.is_empty() {
        return Err(bad(
            "there is no policy in it; `curfew policy default` prints one to start from".to_owned(),
        ));
    }
    Ok(policies)
}

/// Adds the policies among the objects, and says which cannot be used. The file of `--policy` may be among those that
/// are checked.
pub(super) fn add_policies(policies: &mut Vec<Checked>, objects: &[Object]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for object in objects.iter().filter(|object| object.kind == Kind::Policy) {
        let (field, why) = match file::object(object.json.clone(), &rules::vocabulary()) {
            Err(error) => (error.field.clone(), error.to_string()),
            Ok(policy) => match policies
                .iter()
                .find(|known| known.policy().name == policy.policy().name)
            {
                None => {
                    policies.push(policy);
                    continue;
                }
                Some(known) if *known == policy => continue,
                Some(_) => {
                    let name = &policy.policy().name;
                    let why =
                        format!("CanaryPolicy {name} is there twice, and they differ; give each a name of its own");
                    (String::from("metadata.name"), why)
                }
            },
        };
        broken.push(Broken {
            file: Arc::clone(&object.file),
            line: Some(object.node.place(&field).line),
            why: format!("{why}; nothing was judged by it"),
        });
    }
    broken
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, why } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: cannot be read: {why}"),
            None => write!(f, "{file}: cannot be read: {why}"),
        }
    }
}
