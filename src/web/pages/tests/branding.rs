//! What the operator's name, logo and links change.

use super::*;

fn brand() -> Brand {
    Brand {
        name: Some("Acme".to_owned()),
        logo: Some("/logo/abc".to_owned()),
        support_url: Some("https://help.example.org/".to_owned()),
        privacy_url: Some("https://example.org/privacy".to_owned()),
        host: "auth.example.org".to_owned(),
    }
}

/// One of each kind of page.
fn pages_of(brand: &Brand) -> [String; 4] {
    let signed_in = signed_in_full_of("words");
    [
        ConsentPage { brand, ..consent() }.render(),
        SignedInPage { brand, ..signed_in }.render(),
        ContinuePage { brand, ..continuing() }.render(),
        NoticePage { brand, ..notice() }.render(),
    ]
}

/// What the page has before and after its card.
fn frame(page: &str) -> (&str, &str) {
    let (before, rest) = page.split_once("<main>").unwrap();
    (before.split_once("<body>").unwrap().1, rest.split_once("</main>").unwrap().1)
}

#[test]
fn without_a_brand_nothing_is_added() {
    for page in pages_of(&PLAIN) {
        assert_eq!(frame(&page), ("\n", "\n</body>\n</html>"));
        assert!(page.contains("</title>\n<style>") && page.contains("</style>\n</head>\n<body>"));
        assert!(!page.contains(BRAND_STYLE));
    }
}

#[test]
fn every_page_shows_the_brand_outside_the_card_and_stays_the_same_inside() {
    let brand = brand();
    for (page, plain) in pages_of(&brand).iter().zip(pages_of(&PLAIN)) {
        let (header, footer) = frame(page);
        assert_eq!(
            header, "\n<header>\n<img src=\"/logo/abc\" alt=\"\">\n<bdi>Acme</bdi>\n</header>\n",
            "the name stands next to the logo, so the logo has no text of its own"
        );
        assert!(footer.contains("<bdi>Acme</bdi>"), "{footer}");
        for (url, text) in
            [("https://help.example.org/", "Help"), ("https://example.org/privacy", "Privacy policy")]
        {
            let link = format!("<a href=\"{url}\" target=\"_blank\" rel=\"noopener noreferrer\">{text}</a>");
            assert!(footer.contains(&link), "{footer}");
        }
        let card = |page: &str| page[page.find("<main>").unwrap()..page.find("</main>").unwrap()].to_owned();
        assert_eq!(card(page), card(&plain));
    }
}

#[test]
fn without_a_name_the_host_says_whose_page_it_is() {
    let nameless = Brand { name: None, ..brand() };
    for page in pages_of(&nameless) {
        let (header, footer) = frame(&page);
        assert_eq!(header, "\n<header>\n<img src=\"/logo/abc\" alt=\"auth.example.org\">\n</header>\n");
        assert!(footer.contains("<bdi>auth.example.org</bdi>"), "{footer}");
    }
    let only_links = Brand { name: None, logo: None, ..brand() };
    assert_eq!(frame(&pages_of(&only_links)[0]).0, "\n");
    let only_name = Brand { logo: None, support_url: None, privacy_url: None, ..brand() };
    assert_eq!(
        frame(&pages_of(&only_name)[0]),
        ("\n<header>\n<bdi>Acme</bdi>\n</header>\n", "\n</body>\n</html>")
    );
}

#[test]
fn consent_16_no_part_of_a_brand_becomes_markup() {
    let harmless = pages_of(&brand()).map(|page| skeleton_of_frame(&page));
    for attack in
        ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style><script>", "{{ STYLE }}"]
    {
        let attacked = Brand {
            name: Some(attack.to_owned()),
            logo: Some(attack.to_owned()),
            support_url: Some(attack.to_owned()),
            privacy_url: Some(attack.to_owned()),
            host: attack.to_owned(),
        };
        assert_eq!(pages_of(&attacked).map(|page| skeleton_of_frame(&page)), harmless, "{attack}");
    }
}

/// The tags around the card, without the values of their attributes.
fn skeleton_of_frame(page: &str) -> Vec<String> {
    let (header, footer) = frame(page);
    let tags = [header, footer].into_iter().flat_map(|html| html.split('<').skip(1));
    tags.map(|tag| tag.split('>').next().unwrap().split('"').step_by(2).collect()).collect()
}

#[test]
fn hdr_1_the_policy_names_both_styles_of_a_page_with_a_brand() {
    let brand = brand();
    for page in pages_of(&brand) {
        let styles = page.split("<style>").skip(1).map(|style| style.split("</style>").next().unwrap());
        let hashes: Vec<String> =
            styles.map(|style| format!("'sha256-{}'", STANDARD.encode(sha256(style.as_bytes())))).collect();
        assert_eq!(hashes.len(), 2);
        assert_eq!(
            style_csp(&brand),
            format!(
                "default-src 'none'; style-src {}; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
                hashes.join(" ")
            )
        );
    }
    assert!(!BRAND_STYLE.contains('\r') && !BRAND_STYLE.contains('<'));
    assert!(
        !BRAND_STYLE.contains("url(") && !BRAND_STYLE.contains("@import") && !BRAND_STYLE.contains("://")
    );
}
