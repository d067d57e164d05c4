//! Where the text comes from: files, folders and standard input.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What stands for standard input among the files, and in what is printed.
pub const STDIN: &str = "-";

/// More than any manifest: a file of this many bytes was not meant.
const MOST_BYTES: u64 = 64 << 20;

/// A text and the name that it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as it was given, without a `./`, or `-`.
    pub name: Arc<str>,
    /// All of it, or why it cannot be read.
    pub text: Result<String, String>,
}

/// Reads everything that is named, each file once: of folders what looks like YAML or JSON by its name, in order.
#[must_use]
pub fn read(paths: &[PathBuf], stdin: impl Read) -> Vec<Source> {
    let mut stdin = Some(stdin);
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for path in paths {
        if path == Path::new(STDIN) {
            if let Some(stdin) = stdin.take() {
                sources.push(Source::new(path, all(stdin)));
            }
            continue;
        }
        let mut files = Vec::new();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => match below(path, &mut files) {
                Ok(()) if files.is_empty() => {
                    let why = "there is no *.yaml, *.yml or *.json in this folder";
                    sources.push(Source::new(path, Err(why.to_owned())));
                }
                Ok(()) => {}
                Err((folder, error)) => sources.push(Source::new(&folder, Err(error.to_string()))),
            },
            Ok(_) => files.push(path.clone()),
            Err(error) => sources.push(Source::new(path, Err(error.to_string()))),
        }
        for file in files {
            if seen.insert(fs::canonicalize(&file).unwrap_or_else(|_| file.clone())) {
                let text = fs::File::open(&file).map_err(|error| error.to_string()).and_then(all);
                sources.push(Source::new(&file, text));
            }
        }
    }
    sources
}

fn all(source: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = source.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("there are more than {} MiB of it", MOST_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text: {}", error.utf8_error()))
}

/// The files of a folder and of those below it. What is hidden is left out, and folders behind links are not followed.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let of_folder = |error| (folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(of_folder)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(of_folder)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().map_err(of_folder)?;
        if kind.is_dir() {
            below(&path, files)?;
        } else if path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
            && (kind.is_file() || path.is_file())
        {
            files.push(path);
        }
    }
    Ok(())
}

// === impl Source ===

impl Source {
    fn new(path: &Path, text: Result<String, String>) -> Self {
        // GitHub and code scanners compare names with those of the repository.
        let short = path.strip_prefix(".").ok().filter(|short| *short != Path::new(""));
        Self {
            name: short.unwrap_or(path).display().to_string().into(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        folder
    }

    fn names(folder: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
        read(&paths, io::empty())
            .iter()
            .map(|source| {
                let name = Path::new(&*source.name).strip_prefix(folder).expect("below");
                format!("{}{}", name.display(), if source.text.is_err() { "!" } else { "" })
            })
            .collect()
    }

    #[test]
    fn of_a_folder_everything_that_looks_like_a_manifest_is_read_in_order() {
        let files = [
            "b.yaml",
            "a.yml",
            "c/d.json",
            "c/README.md",
            ".git/e.yaml",
            ".f.yaml",
            "z.yaml",
        ];
        let folder = folder(&files.map(|name| (name, "x")));
        std::os::unix::fs::symlink(folder.path().join("c"), folder.path().join("loop")).expect("a link");
        std::os::unix::fs::symlink(folder.path().join("c/README.md"), folder.path().join("g.yaml")).expect("a link");
        std::os::unix::fs::symlink(folder.path().join("nothing"), folder.path().join("h.yaml")).expect("a link");
        assert_eq!(
            names(folder.path(), &[""]),
            ["a.yml", "b.yaml", "c/d.json", "g.yaml", "z.yaml"]
        );
    }

    #[test]
    fn what_is_named_twice_is_read_once_and_what_is_named_is_read_whatever_its_name() {
        let folder = folder(&[("a.yaml", "x"), ("b.txt", "x")]);
        assert_eq!(
            names(folder.path(), &["a.yaml", "", "./a.yaml", "b.txt"]),
            ["a.yaml", "b.txt"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_hides_nothing_else() {
        let folder = folder(&[("empty/README.md", "x"), ("a.yaml", "x")]);
        fs::write(folder.path().join("latin.yaml"), b"name: \xe9\n").expect("written");
        assert_eq!(
            names(folder.path(), &["none.yaml", "empty", "latin.yaml", "a.yaml"]),
            ["none.yaml!", "empty!", "latin.yaml!", "a.yaml"]
        );
    }

    #[test]
    fn a_name_is_as_short_as_a_repository_has_it() {
        for (path, name) in [
            ("./a.yaml", "a.yaml"),
            ("././b/a.yaml", "b/a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("/b/a.yaml", "/b/a.yaml"),
            (".", "."),
        ] {
            assert_eq!(&*Source::new(Path::new(path), Ok(String::new())).name, name);
        }
    }

    #[test]
    fn standard_input_is_read_once() {
        let paths = [PathBuf::from("-"), PathBuf::from("-")];
        let sources = read(&paths, "a: 1".as_bytes());
        let expected = Source {
            name: "-".into(),
            text: Ok("a: 1".to_owned()),
        };
        assert_eq!(sources, [expected]);
    }
}
