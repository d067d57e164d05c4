//! The Canaries of `tests/corpus/canaries`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A Canary and where it comes from.
pub struct Case {
    /// The name of its file, without the ending.
    pub file: String,
    /// The Canary.
    pub canary: Value,
}

// === impl Case ===

impl Case {
    /// How a failing test names it.
    pub fn name(&self) -> String {
        format!("{}.yaml: {}", self.file, self.canary["metadata"]["name"])
    }
}

/// Every Canary of a folder: `refused` has a file for each rule, with nothing in it but Canaries that break this rule alone.
/// What stands beside them (Deployments, say) is left out, and a folder that is not there is empty.
pub fn canaries(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus/canaries")
        .join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let canaries = documents.into_iter().filter(|document| document["kind"] == "Canary");
    canaries
        .map(|canary| Case {
            file: file.clone(),
            canary,
        })
        .collect()
}
