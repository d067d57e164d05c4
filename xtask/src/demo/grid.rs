//! Rows of cells side by side, each wrapped to its column. Pure: text in, lines out.

use std::iter::repeat_n;

use crossterm::style::{Attribute, Color, Stylize as _};
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter, wrap};

/// The width of the time before the columns.
const TIME: usize = 7;
/// A wider line is hard to read.
const WIDEST: usize = 130;
/// In less than that nothing fits side by side.
const NARROWEST: usize = 60;

/// What a text means to its reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    Plain,
    /// What was done to the cluster.
    Deed,
    Good,
    Bad,
    /// Of passing interest.
    Faint,
    Title,
}

/// A text and what it means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cell {
    pub mark: Mark,
    pub text: String,
    /// Where its lines are wrapped they go on indented, so that one entry is told from the next.
    hanging: bool,
}

/// The columns of one output.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Of the whole output, in terminal cells.
    pub width: usize,
    pub coloured: bool,
}

// === impl Cell ===

impl Cell {
    pub fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self {
            mark,
            text: text.into(),
            hanging: false,
        }
    }

    pub fn hanging(self) -> Self {
        Self { hanging: true, ..self }
    }

    pub fn empty() -> Self {
        Self::new(Mark::Plain, "")
    }

    /// Wraps every line of the text; words that are longer than the width are broken.
    fn fold(&self, width: usize) -> Vec<String> {
        let options = Options::new(width.max(1))
            .word_splitter(WordSplitter::NoHyphenation)
            .subsequent_indent(if self.hanging { "  " } else { "" });
        self.text
            .lines()
            .flat_map(|line| wrap(line, options.clone()))
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

// === impl Grid ===

impl Grid {
    pub fn new(width: usize, coloured: bool) -> Self {
        Self {
            width: width.clamp(NARROWEST, WIDEST),
            coloured,
        }
    }

    /// Time and two columns.
    pub fn timeline(&self) -> [usize; 3] {
        let column = (self.width - TIME - 2 * 3) / 2;
        [TIME, column, column]
    }

    /// One row: its cells wrapped and set side by side.
    pub fn row(&self, widths: &[usize], cells: &[Cell]) -> String {
        let wrapped: Vec<Vec<String>> = widths
            .iter()
            .zip(cells)
            .map(|(width, cell)| cell.fold(*width))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or_default();
        let mut row = String::new();
        for line in 0..height {
            let mut parts = Vec::new();
            for ((width, cell), lines) in widths.iter().zip(cells).zip(&wrapped) {
                let text = lines.get(line).map(String::as_str).unwrap_or_default();
                let padding = " ".repeat(width.saturating_sub(display_width(text)));
                parts.push(format!("{}{padding}", self.paint(cell.mark, text)));
            }
            row.push_str(parts.join(" │ ").trim_end());
            row.push('\n');
        }
        row
    }

    /// A line between rows.
    pub fn rule(&self, widths: &[usize]) -> String {
        let lines: Vec<String> = widths.iter().map(|width| repeat_n('─', *width).collect()).collect();
        format!("{}\n", self.paint(Mark::Faint, &lines.join("─┼─")))
    }

    /// A paragraph over the whole width.
    pub fn paragraph(&self, mark: Mark, text: &str) -> String {
        self.row(&[self.width], &[Cell::new(mark, text)])
    }

    pub fn paint(&self, mark: Mark, text: &str) -> String {
        if !self.coloured || text.is_empty() {
            return text.to_owned();
        }
        let styled = match mark {
            Mark::Plain => return text.to_owned(),
            Mark::Deed => text.with(Color::DarkCyan),
            Mark::Good => text.with(Color::DarkGreen),
            Mark::Bad => text.with(Color::DarkRed),
            Mark::Faint => text.attribute(Attribute::Dim),
            Mark::Title => text.attribute(Attribute::Bold),
        };
        styled.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_wrapped_side_by_side() {
        let grid = Grid::new(80, false);
        let cells = [
            Cell::new(Mark::Plain, "1 s"),
            Cell::new(Mark::Bad, "one two three"),
            Cell::new(Mark::Good, "four"),
        ];
        assert_eq!(
            grid.row(&[4, 8, 6], &cells),
            "1 s  │ one two  │ four\n     │ three    │\n"
        );
        assert_eq!(grid.rule(&[1, 2]), "──┼───\n");
    }

    #[test]
    fn every_line_fits_the_width() {
        let text =
            "Event DeadlineExceeded: web-77b5c-x7k2p, averylongwordthatdoesnotfitintothecolumnatallandmustbebroken";
        for width in [0, 60, 100, 300] {
            let grid = Grid::new(width, false);
            let cells = ["12.5 s", text, text].map(|text| Cell::new(Mark::Plain, text));
            for line in grid.row(&grid.timeline(), &cells).lines() {
                assert!(display_width(line) <= grid.width, "{line}");
            }
        }
    }

    #[test]
    fn only_colour_is_different_when_coloured() {
        let [plain, coloured] = [false, true].map(|coloured| Grid::new(80, coloured));
        crossterm::style::force_color_output(true);
        assert_eq!(plain.paint(Mark::Good, "yes"), "yes");
        let painted = coloured.paint(Mark::Good, "yes");
        assert!(painted.starts_with('\u{1b}') && painted.contains("yes"), "{painted:?}");
        assert_eq!(coloured.paint(Mark::Good, ""), "");
    }
}
