//! How long each story takes, for the table that `cargo xtask test` prints.

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    time::{Duration, Instant},
};

use serde_json::json;

/// The variable that names the file in which stories write down their times.
const FILE: &str = "CURFEW_TEST_TIMES";

/// A story from its turn to its end, when it is dropped.
pub struct Clock {
    plane: &'static str,
    waited: Duration,
    turn: Instant,
}

// === impl Clock ===

impl Clock {
    /// The story's turn has come, so long after it asked for it.
    pub fn start(plane: &'static str, asked: Instant) -> Self {
        Self {
            plane,
            waited: asked.elapsed(),
            turn: Instant::now(),
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let Some(file) = env::var_os(FILE) else { return };
        let line = json!({
            // The test's own: tests run in threads that are named after them.
            "name": std::thread::current().name(),
            "plane": self.plane,
            "waited": self.waited.as_secs_f64(),
            "took": self.turn.elapsed().as_secs_f64(),
        });
        // One write, so that stories which end at the same time do not mix their lines.
        let file = OpenOptions::new().append(true).open(file);
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
            eprintln!("a story could not write down its time: {error}");
        }
    }
}
