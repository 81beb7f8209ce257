//! The pages in every language.

use super::{
    super::texts::{LANGUAGES, Texts},
    *,
};

fn pages_in(texts: &'static Texts) -> Vec<String> {
    let mut pages = Vec::new();
    let trusts =
        [RedirectTrust::Known, RedirectTrust::ThisComputer, RedirectTrust::AppLink, RedirectTrust::Unknown];
    for redirect_trust in trusts {
        for client_kind in [ClientKind::SelfRegistered, ClientKind::Operator, ClientKind::Document] {
            for client_name in [Some("Claude"), None] {
                let asked = Asked { client_name, redirect_trust, ..consent().asked };
                pages.push(ConsentPage { texts, asked, client_kind, ..consent() }.render());
            }
        }
    }
    for refusal in [None, Some("7F3K-22Q1")] {
        pages.push(
            SignedInPage { texts, brand: &PLAIN, refusal, asked: consent().asked, account: "ada" }.render(),
        );
    }
    pages.extend(connections::pages_in(texts));
    pages.push(ContinuePage { texts, ..continuing() }.render());
    pages.push(NoticePage { texts, ..notice() }.render());
    pages
}

#[test]
fn pages_have_the_same_elements_and_values_in_every_language() {
    for texts in LANGUAGES {
        for (page, english) in pages_in(texts).iter().zip(&pages_in(&EN)) {
            assert!(page.contains(&format!("<html lang=\"{}\">", texts.tag)));
            assert_eq!(skeleton(page), skeleton(english), "{}", texts.tag);
            assert_eq!(values(page), values(english), "{}", texts.tag);
        }
    }
}

/// What the page isolates, in order.
fn values(page: &str) -> Vec<&str> {
    page.split("<bdi").skip(1).map(|rest| rest.split("</bdi>").next().unwrap()).collect()
}

/// A screen reader would read English words with the sounds of another language.
#[test]
fn a_reason_in_english_is_marked_on_pages_in_other_languages() {
    let in_english = Some(InEnglish { reason: "the document is <empty>", after: "。" });
    for texts in LANGUAGES {
        let continuing = ContinuePage { texts, in_english, what_happened: "A: ", ..continuing() }.render();
        let told = Notice { what_happened: "A: ", ..notice().notice };
        let notice = NoticePage { texts, in_english, notice: told, ..notice() }.render();
        for page in [continuing, notice] {
            let expected = if texts.tag == "en" {
                "<p class=\"lead\">A: the document is &#60;empty&#62;。</p>"
            } else {
                "<p class=\"lead\">A: <span lang=\"en\">the document is &#60;empty&#62;</span>。</p>"
            };
            assert!(page.contains(expected), "{}: {page}", texts.tag);
        }
    }
}

#[test]
fn no_text_is_missing_or_left_in_english() {
    let lines = |texts: &Texts| format!("{texts:#?}").lines().map(str::to_owned).collect::<Vec<_>>();
    let english = lines(&EN);
    for texts in LANGUAGES {
        for (line, english) in lines(texts).iter().zip(&english) {
            assert!(!line.contains(": \"\""), "{}: {line}", texts.tag);
            assert!(!line.contains(['<', '>', '&']), "{}: {line}", texts.tag);
            let is_sentence = english.trim().split(' ').count() > 3 && english.contains('"');
            assert!(texts.tag == EN.tag || !is_sentence || line != english, "{}: {line}", texts.tag);
        }
    }
}

#[test]
fn each_language_has_a_tag_of_its_own() {
    let mut tags = LANGUAGES.map(|texts| texts.tag);
    tags.sort_unstable();
    assert!(tags.windows(2).all(|pair| pair[0] != pair[1]), "{tags:?}");
}
