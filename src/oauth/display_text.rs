//! Makes text from strangers safe to show on pages, in the terminal and in the log.
//!
//! One rule decides which characters are removed, so that a name looks the same everywhere.

/// `raw` as one trimmed line of at most `max_chars` characters. The last one is `…` if the text was cut.
///
/// Characters that are invisible or change the reading order (controls, bidirectional marks, zero-width
/// characters, blank fillers, tags) are removed. A run of white space becomes one space.
#[must_use]
pub fn display_text(raw: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(raw.len().min(max_chars));
    let mut length = 0;
    let mut cut_at = 0;
    for word in raw.split(is_blank) {
        for (nth, character) in word.chars().filter(|&c| !is_hidden(c)).enumerate() {
            let space = nth == 0 && length > 0;
            for character in space.then_some(' ').into_iter().chain([character]) {
                if length == max_chars {
                    shown.truncate(cut_at);
                    shown.truncate(shown.trim_end().len());
                    shown.extend((max_chars > 0).then_some('…'));
                    return shown;
                }
                cut_at = shown.len();
                shown.push(character);
                length += 1;
            }
        }
    }
    shown
}

/// Whether a character is invisible or changes the reading order: controls, line and paragraph separators,
/// and default ignorable code points (UAX #44).
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// White space, the controls that move to another place, and the empty Braille cell.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn consent_16_hidden_and_reordering_characters_are_removed() {
        for (raw, shown) in [
            ("Claude", "Claude"),
            ("  Claude \t\r\n Code\u{a0}\u{2003}1\u{2028}2  ", "Claude Code 1 2"),
            ("evil\u{202e}edualC\u{202c}", "eviledualC"),
            ("\u{2066}a\u{2067}b\u{2068}c\u{2069}", "abc"),
            ("\u{200e}a\u{200f}b\u{61c}c", "abc"),
            ("Cl\u{200b}au\u{200c}d\u{200d}e\u{feff}\u{2060}\u{ad}", "Claude"),
            ("a\u{0}b\u{1b}[31mc\u{7f}d\u{85}e\u{9b}f", "ab[31mcd ef"),
            ("a\u{e0041}\u{e007f}b", "ab"),
            ("\u{3164}\u{2800}\u{115f}\u{ffa0}", ""),
            ("a \u{200b} b", "a b"),
            ("\u{202e}", ""),
            ("محرر النصوص", "محرر النصوص"),
            ("日本語 🙂", "日本語 🙂"),
        ] {
            assert_eq!(display_text(raw, 80), shown, "{raw:?}");
        }
    }

    #[test]
    fn consent_16_length_is_capped_in_characters() {
        for (raw, max, shown) in [
            ("Claude", 6, "Claude"),
            ("Claude", 5, "Clau…"),
            ("Claude Code", 8, "Claude…"),
            ("日本語のクライアント", 4, "日本語…"),
            ("\u{200b}\u{200b}\u{200b}abc", 3, "abc"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
            ("", 0, ""),
            ("abc   ", 3, "abc"),
        ] {
            assert_eq!(display_text(raw, max), shown, "{raw:?} {max}");
        }
    }

    proptest! {
        #[test]
        fn consent_16_any_text_is_short_trimmed_and_stays_as_it_is_the_second_time(raw: String, max in 0_usize..40) {
            let shown = display_text(&raw, max);
            prop_assert!(shown.chars().count() <= max);
            prop_assert_eq!(shown.trim(), &shown);
            prop_assert!(!shown.chars().any(|c| is_hidden(c) || (is_blank(c) && c != ' ')));
            prop_assert_eq!(display_text(&shown, max), shown);
        }
    }
}
