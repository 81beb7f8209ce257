//! The colours of the pages.

use super::*;

#[test]
fn colours_of_text_have_the_contrast_of_wcag_aaa() {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
    for theme in [light, dark] {
        let luminance = |name: &str| {
            let hex = theme.split_once(&format!("--{name}: #")).unwrap().1;
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.0722_f64.mul_add(channel(4), 0.2126_f64.mul_add(channel(0), 0.7152 * channel(2)))
        };
        let contrast = |one: &str, two: &str| {
            let (one, two) = (luminance(one), luminance(two));
            (one.max(two) + 0.05) / (one.min(two) + 0.05)
        };
        for (text, ground, wanted) in [
            ("text", "card", 7.0),
            ("text", "page", 7.0),
            ("text", "caution", 7.0),
            ("text", "warning", 7.0),
            ("quiet", "card", 7.0),
            ("quiet", "page", 7.0),
            ("accent", "card", 7.0),
            ("on-accent", "accent", 7.0),
            ("edge", "card", 3.0),
            ("caution-edge", "caution", 3.0),
            ("warning-edge", "warning", 3.0),
        ] {
            assert!(contrast(text, ground) >= wanted, "{text} on {ground}: {}", contrast(text, ground));
        }
    }
}
