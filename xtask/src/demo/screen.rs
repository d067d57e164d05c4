//! The terminal: what the scenes observe, as it is told.
//!
//! On a terminal a scene is a table with a column for each side. Its rows stay; the lines under it, which tell how
//! things stand now, are drawn again and again. Elsewhere every observation is a line, with the side as its tag.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossterm::cursor::MoveToPreviousLine;
use crossterm::terminal::{Clear, ClearType};
use crossterm::{Command as _, terminal};

use super::{
    grid::{Cell, Grid, Mark},
    observation::{Observation, Scene, Seen, Side},
    tell,
};

/// The width of what is not a terminal, and of a terminal that does not know its own.
const WIDTH: usize = 100;

/// Where the demo is told.
pub struct Screen {
    live: bool,
    coloured: bool,
    /// The deadline of the rollouts, in seconds.
    limit: u64,
    /// The scene that is shown.
    shown: Option<Shown>,
    /// How many lines under the table are to be drawn anew.
    footer: u16,
}

/// A scene in the middle.
struct Shown {
    /// When it began; its seconds are counted from there.
    began: Option<Instant>,
    /// Not told yet, in the order of time: observations of one second share a row.
    held: Vec<Observation>,
    now: [String; 2],
    waiting: [String; 2],
}

// === impl Screen ===

impl Screen {
    pub fn new(limit: Duration) -> Self {
        let live = std::io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            live,
            coloured: live && wanted,
            limit: limit.as_secs(),
            shown: None,
            footer: 0,
        }
    }

    /// A word between scenes.
    pub fn say(&mut self, mark: Mark, text: &str) -> Result<()> {
        let text = self.grid().paragraph(mark, text);
        self.print(&text)
    }

    /// A finished text.
    pub fn print(&mut self, text: &str) -> Result<()> {
        self.draw(text, "")
    }

    /// The columns, as wide as the terminal is now.
    pub fn grid(&self) -> Grid {
        let width = if self.live {
            terminal::size().map_or(WIDTH, |(width, _)| usize::from(width))
        } else {
            WIDTH
        };
        Grid::new(width, self.coloured)
    }

    /// Begins to show a scene.
    pub fn open(&mut self, scene: Scene) -> Result<()> {
        let grid = self.grid();
        let (title, sentence) = tell::introduction(scene, self.limit);
        let mut text = format!(
            "\n{}{}",
            grid.paragraph(Mark::Title, &format!("Scene {}: {title}", scene.number())),
            grid.paragraph(Mark::Plain, &sentence)
        );
        if self.live {
            let [alone, curfew] = Side::BOTH.map(|side| Cell::new(Mark::Title, side.title()));
            text.push('\n');
            text.push_str(&grid.row(&grid.timeline(), &[Cell::empty(), alone, curfew]));
            text.push_str(&grid.rule(&grid.timeline()));
        } else {
            text.push('\n');
        }
        self.shown = Some(Shown {
            began: None,
            held: Vec::new(),
            now: Default::default(),
            waiting: Default::default(),
        });
        self.draw(&text, "")
    }

    /// Takes an observation of the scene that is shown. `began` is when the scene's seconds began, if they have.
    pub fn observe(&mut self, observation: &Observation, began: Option<Instant>) -> Result<()> {
        if !self.live {
            return self.line(observation);
        }
        let Some(shown) = &mut self.shown else { return Ok(()) };
        shown.began = began;
        let side = observation.side as usize;
        match &observation.seen {
            Seen::Now(status) => shown.now[side] = tell::status(status),
            Seen::Waiting(what) => shown.waiting[side] = format!("waiting for {what}"),
            Seen::Ended { .. } => shown.waiting[side].clear(),
            _ => {}
        }
        shown.held.push(observation.clone());
        Ok(())
    }

    /// Draws what has changed with time.
    pub fn tick(&mut self) -> Result<()> {
        if !self.live {
            return Ok(());
        }
        let grid = self.grid();
        let Some(shown) = &mut self.shown else { return Ok(()) };
        let now = shown.began.map(|began| began.elapsed());
        let rows = shown.rows(&grid, now.unwrap_or_default().as_secs());
        let mut footer = String::new();
        let widths = grid.timeline();
        let mut time = now.map_or_else(|| "soon".to_owned(), |now| format!("{:>5} s", now.as_secs()));
        for (cells, mark) in [(&shown.now, Mark::Plain), (&shown.waiting, Mark::Faint)] {
            let [alone, curfew] = cells.each_ref().map(|text| Cell::new(mark, text.as_str()));
            if !(alone.text.is_empty() && curfew.text.is_empty()) {
                let time = Cell::new(Mark::Faint, std::mem::take(&mut time));
                footer.push_str(&grid.row(&widths, &[time, alone, curfew]));
            }
        }
        if !footer.is_empty() {
            footer.insert_str(0, &grid.rule(&widths));
        }
        self.draw(&rows, &footer)
    }

    /// The scene is over: what was held back is told, and nothing is drawn anew any more.
    pub fn close(&mut self) -> Result<()> {
        let grid = self.grid();
        let rows = self.shown.take().map(|mut shown| shown.rows(&grid, u64::MAX));
        self.draw(&rows.unwrap_or_default(), "")
    }

    /// One observation as lines with a tag.
    fn line(&mut self, observation: &Observation) -> Result<()> {
        let Observation { side, at, seen, .. } = observation;
        let cell = match seen {
            Seen::Waiting(what) => Some(Cell::new(Mark::Faint, format!("... waiting for {what}"))),
            seen => tell::words(*side, seen),
        };
        let Some(cell) = cell else { return Ok(()) };
        let grid = self.grid();
        let tag = Side::BOTH
            .map(|side| side.name().len())
            .into_iter()
            .max()
            .unwrap_or_default();
        let [time, ..] = grid.timeline();
        let widths = [time, tag, grid.width - time - tag - 2 * 3];
        let mut text = String::new();
        for (number, line) in grid.row(&widths[2..], &[cell]).lines().enumerate() {
            let time = if number == 0 {
                format!("{:>5.1} s", at.as_secs_f64())
            } else {
                String::new()
            };
            let cells = [time, side.name().to_owned(), line.to_owned()].map(|text| Cell::new(Mark::Plain, text));
            text.push_str(&grid.row(&widths, &cells));
        }
        self.draw(&text, "")
    }

    /// Puts `text` where the old footer was, and the new footer under it.
    fn draw(&mut self, text: &str, footer: &str) -> Result<()> {
        let mut all = String::new();
        if self.footer > 0 {
            // Writing to a String cannot fail.
            let _ = MoveToPreviousLine(self.footer).write_ansi(&mut all);
            let _ = Clear(ClearType::FromCursorDown).write_ansi(&mut all);
        }
        all.push_str(text);
        all.push_str(footer);
        self.footer = u16::try_from(footer.lines().count())?;
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(all.as_bytes())
            .and_then(|()| stdout.flush())
            .context("nobody reads the demo's output")
    }
}

// === impl Shown ===

impl Shown {
    /// The rows of the seconds that are over.
    fn rows(&mut self, grid: &Grid, now: u64) -> String {
        let (mut over, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|observation| observation.at.as_secs() < now);
        self.held = held;
        // Both sides write into one channel: what comes of one of them is in order, what comes of both may not be.
        over.sort_by_key(|observation| observation.at.as_secs());
        over.chunk_by(|one, other| one.at.as_secs() == other.at.as_secs())
            .map(|second| rows_of_a_second(grid, second))
            .collect()
    }
}

fn rows_of_a_second(grid: &Grid, second: &[Observation]) -> String {
    let [mut alone, mut curfew] = Side::BOTH.map(|side| {
        let mine = second.iter().filter(move |observation| observation.side == side);
        mine.filter_map(|observation| tell::words(observation.side, &observation.seen))
    });
    let mut time = second.first().map(|first| format!("{:>5} s", first.at.as_secs()));
    let mut rows = String::new();
    loop {
        let (left, right) = (alone.next(), curfew.next());
        if left.is_none() && right.is_none() {
            return rows;
        }
        let [left, right] = [left, right].map(|cell| cell.unwrap_or_else(Cell::empty));
        let time = Cell::new(Mark::Faint, time.take().unwrap_or_default());
        rows.push_str(&grid.row(&grid.timeline(), &[time, left, right]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(side: Side, at: u64, what: &str) -> Observation {
        Observation {
            scene: Scene::Hang,
            side,
            at: Duration::from_millis(at),
            seen: Seen::Did(what.to_owned()),
        }
    }

    #[test]
    fn what_happens_in_one_second_shares_a_row_when_that_second_is_over() {
        let grid = Grid::new(60, false);
        let mut shown = Shown {
            began: None,
            held: vec![
                did(Side::Alone, 900, "a"),
                did(Side::Curfew, 1100, "c"),
                did(Side::Curfew, 300, "b"),
                did(Side::Alone, 2000, "d"),
            ],
            now: Default::default(),
            waiting: Default::default(),
        };
        let lines = |rows: String| -> Vec<String> {
            rows.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(lines(shown.rows(&grid, 2)), ["0 s │ a │ b", "1 s │ │ c"]);
        assert!(shown.rows(&grid, 2).is_empty());
        assert_eq!(lines(shown.rows(&grid, u64::MAX)), ["2 s │ d │"]);
    }
}
