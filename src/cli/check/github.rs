//! Writing a report down as commands of a GitHub workflow, which become annotations of the changed lines.

use super::{
    input::Broken,
    judge::{Found, Report},
    print::level,
    source::STDIN,
};
use crate::policy::Mode;

/// One command for each finding and for everything that could not be read.
#[must_use]
pub fn github(report: &Report, broken: &[Broken], strict: bool) -> String {
    let findings = report.told(strict).map(found);
    let broken = broken.iter().map(|broken| {
        let place = place(&broken.file, broken.line.map(|line| (line, 1)));
        command("error", &place, "curfew", &format!("cannot be read: {}", broken.why))
    });
    findings.chain(broken).collect()
}

fn found(found: &Found) -> String {
    let name = match found.mode {
        Mode::Audit | Mode::Disabled => "notice",
        Mode::Warn | Mode::Enforce => level(found.mode),
    };
    let finding = &found.finding;
    let message = format!(
        "{}/{} {}: {}; {}",
        found.namespace, found.name, finding.field, finding.message, finding.fix
    );
    let title = format!("curfew {}", finding.rule);
    let place = place(&found.file, Some((found.at.line, found.at.column)));
    command(name, &place, &title, &message)
}

/// Standard input has no lines that GitHub could show.
fn place(file: &str, at: Option<(usize, usize)>) -> String {
    if file == STDIN {
        return String::new();
    }
    let at = at.map(|(line, column)| format!("line={line},col={column},"));
    format!("file={},{}", property(file), at.unwrap_or_default())
}

fn command(name: &str, place: &str, title: &str, message: &str) -> String {
    format!("::{name} {place}title={}::{}\n", property(title), data(message))
}

/// What a message may not hold as it is (`escapeData` in `@actions/core`, `command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What a property may not hold as it is (`escapeProperty`, in the same place).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(
            command(
                "error",
                &place("a,b:c%.yaml", Some((3, 5))),
                "x: y",
                "50 %\r\nnext: a, b"
            ),
            "::error file=a%2Cb%3Ac%25.yaml,line=3,col=5,title=x%3A y::50 %25%0D%0Anext: a, b\n"
        );
    }

    #[test]
    fn standard_input_has_no_place() {
        assert_eq!(
            command("warning", &place("-", Some((3, 5))), "x", "y"),
            "::warning title=x::y\n"
        );
        assert_eq!(
            command("error", &place("a", None), "x", "y"),
            "::error file=a,title=x::y\n"
        );
    }
}
