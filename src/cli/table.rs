//! Lays rows out as a table that fits the terminal.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, TableStyle};

#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// On a narrow terminal the columns with the highest rank are left out first; rank 0 always stays.
    pub(super) rank: u8,
}

impl Column {
    pub(super) const fn new(title: &'static str, rank: u8) -> Self {
        Self { title, rank }
    }
}

/// Spaces between two columns.
const GAP: usize = 2;

/// Width of the terminal in columns; 80 if it is unknown.
pub(super) fn terminal_width() -> u16 {
    // A pseudo-terminal without a size reports 0.
    Table::new().width().filter(|width| *width >= 20).unwrap_or(80)
}

#[derive(Debug)]
pub(super) struct LaidOut {
    pub(super) text: String,
    /// Titles of the columns that were left out although they have values.
    pub(super) hidden: Vec<&'static str>,
}

pub(super) fn lay_out(columns: &[Column], rows: &[Vec<String>], width: u16, colour: bool) -> LaidOut {
    let shown = columns_that_fit(columns, rows, usize::from(width));
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .force_no_tty();
    if colour {
        table.enforce_styling();
    }
    table.set_header(shown.iter().map(|&at| Cell::new(columns[at].title).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(shown.iter().map(|&at| row[at].as_str()));
    }
    let last = shown.len().saturating_sub(1);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == last { 0 } else { 2 }));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let is_hidden = |at: &usize| !shown.contains(at) && rows.iter().any(|row| !row[*at].is_empty());
    let hidden = (0..columns.len()).filter(is_hidden).map(|at| columns[at].title).collect();
    LaidOut { text: lines.concat(), hidden }
}

/// Indices of the columns that are shown.
fn columns_that_fit(columns: &[Column], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.max().unwrap_or(0).max(columns[at].title.len())
        })
        .collect();
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while shown.iter().map(|&at| widths[at] + GAP).sum::<usize>() > width + GAP {
        let droppable = shown.iter().enumerate().filter(|(_, at)| columns[**at].rank > 0);
        let Some((place, _)) = droppable.max_by_key(|(_, at)| columns[**at].rank) else { break };
        shown.remove(place);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [Column::new("ID", 0), Column::new("USER", 1), Column::new("SCOPE", 2)];

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_rest_wrapped() {
        let rows = [row(["d0abc", "ada@example.com", "user admin"]), row(["d0abd", "é", ""])];
        let wide = "ID     USER             SCOPE\nd0abc  ada@example.com  user admin\nd0abd  é\n";
        let whole = lay_out(&COLUMNS, &rows, 80, false);
        assert_eq!((&*whole.text, whole.hidden), (wide, vec![]));
        let cut = lay_out(&COLUMNS, &rows, 24, false);
        assert_eq!(cut.text, "ID     USER\nd0abc  ada@example.com\nd0abd  é\n");
        assert_eq!(cut.hidden, ["SCOPE"]);
        let narrow = lay_out(&COLUMNS, &[row([&"x".repeat(50), "", ""])], 20, false).text;
        assert!(narrow.lines().all(|line| line.chars().count() <= 20), "{narrow}");
    }
}
