//! Tables of text: columns as wide as their content, long cells wrapped at words.

/// Space between two columns.
const GAP: usize = 2;
/// No column is squeezed below this.
const NARROWEST: usize = 12;

/// Lines of a table whose first row is its header; at most `width` characters wide where the words allow.
pub(super) fn lines(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns).map(widest).collect();
    let gaps = GAP * columns.saturating_sub(1);
    // Takes from the widest column until all fit.
    while widths.iter().sum::<usize>() + gaps > width {
        let Some(w) = widths.iter_mut().max().filter(|w| **w > NARROWEST) else { break };
        *w -= 1;
    }
    let mut out = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(text, w)| wrap(text, *w)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..height {
            let padded = cells.iter().zip(&widths).map(|(cell, w)| {
                let text = cell.get(at).map_or("", String::as_str);
                format!("{text:<w$}")
            });
            out.push(padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned());
        }
        if i == 0 {
            out.push(widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join(&" ".repeat(GAP)));
        }
    }
    out
}

/// Words are never broken: one that is longer than the line stands out of it. Control characters are replaced.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    let text = super::words::clean(text);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cells_wrap_and_columns_stay_aligned() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let rows = [row("gate", "verdict"), row("one two three four five six", "pass")];
        let lines = lines(&rows, 24);
        assert_eq!(lines[0], "gate             verdict");
        assert_eq!(lines[2], "one two three    pass");
        assert_eq!(lines[3], "four five six");
        assert!(lines.iter().all(|l| l.chars().count() <= 24));
    }
}
