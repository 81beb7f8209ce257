//! What the documentation shows of output, compared with what is really said.

use std::fs;

use super::tree;

/// Compares the fenced block number `at` of a language on a page with what was said. With `UPDATE_DOCS`
/// in the environment, it replaces the block.
pub(crate) fn documented(page: &str, language: &str, at: usize, said: &str) {
    let path = tree::root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let fence = format!("\n```{language}\n");
    let begin = text.match_indices(&fence).nth(at).unwrap_or_else(|| panic!("{page} has no block {at}")).0;
    let begin = begin + fence.len();
    let end = begin + text[begin..].find("\n```").unwrap();
    let said = said.trim_end();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{}{said}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], said, "{page}, block {at} of {language}, is old: run with UPDATE_DOCS=1");
}
