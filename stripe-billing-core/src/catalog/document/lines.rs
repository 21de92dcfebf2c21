use std::ops::Range;

use crate::catalog::mistake::Position;

/// Turns byte offsets into lines and columns.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The place of an offset; beyond the last character, the end of the last written line.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.trim_end().len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied();
        let before = self.text.get(start.unwrap_or(0)..offset).unwrap_or("");
        Position { line, column: before.chars().count() + 1 }
    }

    /// The bytes of a line, counted from 1, without its end.
    pub(super) fn range(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let length = self.text.get(start..)?.lines().next().map_or(0, str::len);
        Some(start..start + length)
    }

    /// Whether a line, counted from 1, is the header of a table.
    pub(super) fn is_header(&self, line: usize) -> bool {
        let text = self.range(line).and_then(|range| self.text.get(range));
        text.is_some_and(|text| text.trim_start().starts_with('['))
    }
}
