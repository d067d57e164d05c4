//! How long each story took: stories say it themselves, in a file that they are given (`tests/e2e/times.rs`), since only
//! they know when their turn came.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The variable that names the file.
const FILE: &str = "CURFEW_TEST_TIMES";

/// Where stories write down how long they took.
pub struct Times {
    file: tempfile::NamedTempFile,
}

/// One story, as it wrote itself down.
#[derive(Debug, Deserialize, PartialEq)]
struct Story {
    name: String,
    /// Where it played.
    plane: String,
    /// Seconds until its turn came.
    waited: f64,
    /// Seconds from its turn to its end.
    took: f64,
}

// === impl Times ===

impl Times {
    /// An empty file.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn start() -> Result<Self> {
        let file = tempfile::NamedTempFile::new().context("cannot create a file for the times of stories")?;
        Ok(Self { file })
    }

    /// Makes the stories of a command write down their times.
    pub fn ask(&self, command: &mut Command) {
        command.env(FILE, self.file.path());
    }

    /// All stories that have ended, the longest first; nothing when none has.
    ///
    /// # Errors
    /// When what they wrote cannot be read.
    pub fn table(&self) -> Result<String> {
        let text = fs::read_to_string(self.file.path()).context("cannot read the times of stories")?;
        let stories: Vec<Story> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .context("a line in the file of story times is not valid")?;
        Ok(table(stories))
    }
}

fn table(mut stories: Vec<Story>) -> String {
    if stories.is_empty() {
        return String::new();
    }
    stories.sort_by(|one, other| other.took.total_cmp(&one.took));
    let mut table = format!("{:>6}  {:>6}  {:<10}  story\n", "took", "waited", "plane");
    for Story {
        name,
        plane,
        waited,
        took,
    } in &stories
    {
        let _ = writeln!(table, "{took:>4.0} s  {waited:>4.0} s  {plane:<10}  {name}");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_story_comes_first() {
        let times = Times::start().unwrap();
        assert_eq!(times.table().unwrap(), "");
        let lines = [
            r#"{"name":"hang::one","plane":"shared","waited":0.2,"took":12.6}"#,
            r#"{"name":"restart::two","plane":"own","waited":30.0,"took":99.5}"#,
        ];
        fs::write(times.file.path(), lines.join("\n")).unwrap();
        let expected = [
            "  took  waited  plane       story\n",
            " 100 s    30 s  own         restart::two\n",
            "  13 s     0 s  shared      hang::one\n",
        ];
        assert_eq!(times.table().unwrap(), expected.concat());
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        let times = Times::start().unwrap();
        fs::write(times.file.path(), "{}\n").unwrap();
        assert!(times.table().unwrap_err().to_string().contains("not valid"));
    }
}
