//! The CRD manifests of the pinned modules, kept as one JSON file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The Go modules whose files hold the CRDs.
pub(super) const MODULES: [&str; 2] = ["github.com/fluxcd/flagger", "sigs.k8s.io/gateway-api"];
/// Where in each module they are.
const PLACES: [&str; 2] = ["artifacts/flagger/crd.yaml", "config/crd/standard"];

const FILE: &str = "crds.json";

/// Collects the CRDs from the modules' folders (in the order of [`MODULES`]) into the cache.
pub(super) fn keep(cache: &Path, dirs: &[String]) -> Result<()> {
    let mut crds = Vec::new();
    for (dir, place) in dirs.iter().zip(PLACES) {
        for file in yaml_files(&Path::new(dir).join(place))? {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let documents = documents(&text).with_context(|| format!("cannot parse {}", file.display()))?;
            crds.extend(
                documents
                    .into_iter()
                    .filter(|object| object["kind"] == "CustomResourceDefinition"),
            );
        }
    }
    let temporary = cache.join(format!(".{FILE}.{}", std::process::id()));
    fs::write(&temporary, serde_json::to_vec(&crds)?)?;
    Ok(fs::rename(&temporary, cache.join(FILE))?)
}

/// The CRDs that an earlier build kept.
pub(super) fn read(cache: &Path) -> Result<Option<Vec<Value>>> {
    match fs::read(cache.join(FILE)) {
        Ok(bytes) => Ok(Some(
            serde_json::from_slice(&bytes).with_context(|| format!("{FILE} in the cache"))?,
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Every document of a YAML stream, empty ones left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn yaml_files(place: &Path) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place).with_context(|| format!("cannot read {}", place.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_documents_is_read_in_order() {
        let text = "# licence\n---\nkind: A\nspec: {x: [1, true, \"no\"]}\n---\n---\nkind: B\n";
        let documents = documents(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0]["spec"]["x"], serde_json::json!([1, true, "no"]));
        assert_eq!(documents[1]["kind"], "B");
    }
}
