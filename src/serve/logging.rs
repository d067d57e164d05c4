//! The log, on standard error.

use std::{io::IsTerminal as _, str::FromStr as _};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use super::{args::LogFormat, error::StartError};

/// What a level without modules leaves out: the client repeats each failure that Curfew tells anyway, without its cause.
const QUIET: &str = "kube_client=off";

/// Starts logging.
///
/// # Errors
/// The level is none.
pub fn start(format: LogFormat, level: &str) -> Result<(), StartError> {
    let log = fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Text => log.try_init(),
    }
    .map_err(|error| StartError::Log(error.to_string()))
}

/// What is logged.
fn filter(level: &str) -> Result<EnvFilter, StartError> {
    let refused = |why: String| StartError::LogLevel {
        level: level.to_owned(),
        why,
    };
    // A bare word that is no level would be the name of a module, and everything else would be silent.
    let is_misspelt = |word: &&str| !word.contains(['=', '[', ']']) && LevelFilter::from_str(word).is_err();
    if let Some(word) = level.split(',').find(is_misspelt) {
        return Err(refused(format!("{word:?} is not a level")));
    }
    let quiet = if level.contains('=') {
        level.to_owned()
    } else {
        format!("{level},{QUIET}")
    };
    EnvFilter::try_new(quiet).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_level_leaves_out_the_client_and_a_word_that_is_none_is_refused() {
        for (level, expected) in [
            ("info", Some("kube_client=off,info")),
            ("DEBUG", Some("kube_client=off,debug")),
            ("off", Some("kube_client=off,off")),
            ("info,kube_client=warn", Some("kube_client=warn,info")),
            ("warn,curfew=debug", Some("curfew=debug,warn")),
            ("loud", None),
            ("wrn", None),
            ("info,curfew", None),
            ("curfew=loud", None),
            ("lo=u=d", None),
        ] {
            let filter = filter(level).map(|filter| filter.to_string());
            assert_eq!(filter.as_deref().ok(), expected, "{level}: {filter:?}");
        }
    }
}
