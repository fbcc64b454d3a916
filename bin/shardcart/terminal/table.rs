//! Tables that fit the terminal: by the width that characters take on the screen, not by their number.

use std::fmt;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::width::columns;

/// The space between two columns.
const GAP: usize = 2;
/// The least width that a column is cut to.
const MIN_WIDTH: usize = 4;
const ELLIPSIS: char = '…';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Cut with an ellipsis where there is no room.
    Text,
    /// Never cut.
    Fixed,
    /// Never cut, and at the right.
    Number,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    kind: Kind,
}

impl Column {
    /// A column whose cells are cut where there is no room.
    pub const fn text(title: &'static str) -> Self {
        Column { title, kind: Kind::Text }
    }

    /// A column whose cells are always whole, as ids that are copied.
    pub const fn fixed(title: &'static str) -> Self {
        Column { title, kind: Kind::Fixed }
    }

    /// A column of numbers.
    pub const fn number(title: &'static str) -> Self {
        Column { title, kind: Kind::Number }
    }
}

/// A table with a head. `Display` renders it for the terminal.
pub struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
    width: usize,
}

impl<const N: usize> Table<N> {
    /// An empty table as wide as the terminal.
    pub fn new(of: [Column; N]) -> Self {
        Table { columns: of, rows: Vec::new(), width: columns() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(printable));
    }

    /// The width of each column, so that all fit.
    fn widths(&self) -> [usize; N] {
        let mut widths = self.columns.map(|column| column.title.width());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        loop {
            let excess = (widths.iter().sum::<usize>() + GAP * N.saturating_sub(1)).saturating_sub(self.width);
            let can_shrink = |index: &usize| self.columns[*index].kind == Kind::Text && widths[*index] > MIN_WIDTH;
            let widest = (0..N).filter(can_shrink).max_by_key(|index| widths[*index]);
            match widest {
                Some(widest) if excess > 0 => widths[widest] -= 1,
                _ => return widths,
            }
        }
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let titles = self.columns.map(|column| column.title.to_owned());
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(widths) {
                let cell = cut(cell, width);
                let space = " ".repeat(width - cell.width());
                match column.kind {
                    Kind::Number => line.extend([space, cell]),
                    Kind::Text | Kind::Fixed => line.extend([cell, space]),
                }
                line.push_str(&" ".repeat(GAP));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Labels with values, which go on in further lines where there is no room.
pub fn details(members: &[(&str, &str)]) -> String {
    details_within(members, columns())
}

fn details_within(members: &[(&str, &str)], width: usize) -> String {
    let label_width = members.iter().map(|(label, _)| label.width()).max().unwrap_or_default() + GAP;
    let mut text = String::new();
    for (label, value) in members {
        for (number, line) in wrapped(&printable(value), width - label_width).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            text.push_str(format!("{label:label_width$}{line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// A text in lines of at most this width: broken at spaces, or within words that are longer.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        if used > 0 && used + word.trim_end().width() > width {
            lines.push(String::new());
            used = 0;
        }
        for char in word.chars() {
            let columns = char.width().unwrap_or_default();
            if used + columns > width && char != ' ' {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(char);
            }
            used += columns;
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A text without characters that would move the cursor or change the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// A text that is at most so wide; what is cut is marked.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for char in text.chars() {
        let columns = char.width().unwrap_or_default();
        if used + columns > width.saturating_sub(1) {
            break;
        }
        used += columns;
        kept.push(char);
    }
    kept.push(ELLIPSIS);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(width: usize, rows: &[[&str; 3]]) -> String {
        let mut table = Table::new([Column::text("NAME"), Column::number("N"), Column::fixed("ID")]);
        table.width = width;
        rows.iter().for_each(|row| table.row(*row));
        table.to_string()
    }

    #[test]
    fn cells_stand_below_each_other_and_the_longest_text_is_cut() {
        let text = table(20, &[["a", "1", "id-1"], ["a long, long name", "22", "id-22"]]);
        assert_eq!(text, "NAME        N  ID\na           1  id-1\na long, …  22  id-22\n");
    }

    #[test]
    fn wide_characters_take_two_columns_and_none_controls_the_terminal() {
        let text = table(16, &[["日本語日本語", "1", "id"], ["a\x1b[2Jb", "1", "x"]]);
        assert!(text.lines().all(|line| line.width() <= 16), "{text}");
        assert!(text.contains("…") && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn values_go_on_below_themselves() {
        let text = details_within(&[("title", "one two three"), ("id", "abcdefghijkl")], 15);
        assert_eq!(text, "title  one two\n       three\nid     abcdefgh\n       ijkl\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(width in 30_usize..100, name in ".{0,60}", value in ".{0,200}") {
            for text in [table(width, &[[&name, "12", "id"]]), details_within(&[("label", &value)], width)] {
                for line in text.lines() {
                    prop_assert!(line.width() <= width, "{line:?}");
                }
            }
        }
    }
}
