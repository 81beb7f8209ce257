//! What the pages promise: see the rows named in the tests.

use super::{texts::EN, *};

mod branding;
mod colours;
mod connections;
mod languages;

static PLAIN: Brand =
    Brand { name: None, logo: None, support_url: None, privacy_url: None, host: String::new() };
const TRANSACTION: &str = "AAAAsealed-transaction_";

fn consent() -> ConsentPage<'static> {
    ConsentPage {
        texts: &EN,
        brand: &PLAIN,
        asked: Asked {
            client_name: Some("Claude"),
            client_host: None,
            redirect_host: "claude.example",
            redirect_trust: RedirectTrust::Unknown,
            resource: "https://mcp.example.org/mcp",
            resource_name: Some("Team wiki"),
            scopes: &[
                ScopeLine { name: "user", description: Some("Know who you are") },
                ScopeLine { name: "wiki:read", description: None },
            ],
            action: "https://mcp.example.org/consent",
            transaction: TRANSACTION,
        },
        client_kind: ClientKind::SelfRegistered,
        logo: None,
        client_id: "c_1",
        client_uri: Some("https://claude.example/"),
        policy_uri: Some("http://claude.example/privacy"),
        tos_uri: None,
        redirect_uri: "https://claude.example/callback?a=b",
        upstream_name: "Pangea",
        upstream_scopes: &["openid", "email"],
        lasts: connections::LASTS,
        connections: "https://mcp.example.org/connections",
    }
}

fn continuing() -> ContinuePage<'static> {
    ContinuePage {
        texts: &EN,
        brand: &PLAIN,
        title: "This sign-in cannot go on",
        what_happened: "The application asked for an unknown permission.",
        in_english: None,
        href: "https://claude.example/callback?error=invalid_scope&state=s",
        host: "claude.example",
        reference: "7F3K-22Q1",
    }
}

fn notice() -> NoticePage<'static> {
    NoticePage {
        texts: &EN,
        brand: &PLAIN,
        notice: Notice {
            title: "This page has expired",
            what_happened: "The sign-in was started too long ago.",
            what_to_do: "Go back to the application and start again.",
        },
        in_english: None,
        reference: Some("7F3K-22Q1"),
    }
}

/// Every page with `text` wherever a value can be shown.
fn pages_full_of(text: &str) -> [String; 6] {
    let scopes =
        [ScopeLine { name: text, description: Some(text) }, ScopeLine { name: text, description: None }];
    [
        ConsentPage {
            asked: Asked {
                redirect_trust: RedirectTrust::ThisComputer,
                scopes: &scopes,
                ..signed_in_full_of(text).asked
            },
            client_kind: ClientKind::SelfRegistered,
            logo: Some(text),
            client_id: text,
            client_uri: Some(text),
            policy_uri: Some(text),
            tos_uri: Some(text),
            redirect_uri: text,
            upstream_name: text,
            upstream_scopes: &[text, text],
            connections: text,
            ..consent()
        }
        .render(),
        signed_in_full_of(text).render(),
        ContinuePage {
            title: text,
            what_happened: text,
            in_english: Some(InEnglish { reason: text, after: "." }),
            href: text,
            host: text,
            reference: text,
            ..continuing()
        }
        .render(),
        NoticePage {
            notice: Notice { title: text, what_happened: text, what_to_do: text },
            in_english: Some(InEnglish { reason: text, after: "." }),
            reference: Some(text),
            ..notice()
        }
        .render(),
        connections::list_full_of(text),
        connections::sign_in_full_of(text),
    ]
}

fn signed_in_full_of(text: &str) -> SignedInPage<'_> {
    SignedInPage {
        texts: &EN,
        brand: &PLAIN,
        asked: Asked {
            client_name: Some(text),
            client_host: Some(text),
            redirect_host: text,
            redirect_trust: RedirectTrust::AppLink,
            resource: text,
            resource_name: Some(text),
            scopes: &[],
            action: text,
            transaction: text,
        },
        account: text,
        refusal: Some(text),
    }
}

fn pages() -> [String; 9] {
    let bare = ConsentPage {
        asked: Asked {
            redirect_trust: RedirectTrust::AppLink,
            resource_name: None,
            scopes: &[],
            ..consent().asked
        },
        client_kind: ClientKind::Operator,
        client_uri: None,
        policy_uri: None,
        upstream_scopes: &[],
        ..consent()
    };
    let plain = NoticePage { reference: None, ..notice() };
    let refused = signed_in_full_of("words");
    let asked =
        SignedInPage { refusal: None, asked: Asked { resource_name: None, ..refused.asked }, ..refused };
    [
        consent().render(),
        bare.render(),
        asked.render(),
        refused.render(),
        continuing().render(),
        notice().render(),
        plain.render(),
        connections::list_full_of("words"),
        connections::sign_in_full_of("words"),
    ]
}

#[test]
fn a_resource_without_a_name_is_called_by_its_address() {
    let asked = consent().asked;
    for (asked, shown) in
        [(asked, "Team wiki"), (Asked { resource_name: None, ..asked }, "https://mcp.example.org/mcp")]
    {
        let page = SignedInPage { texts: &EN, brand: &PLAIN, asked, account: "ada", refusal: None }.render();
        assert!(page.contains(&format!("<bdi>{shown}</bdi>?</h1>")), "{page}");
    }
}

/// The tags of a page in order, `<` and `>` left out, the style's text left out.
fn tags(page: &str) -> Vec<&str> {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    let tags = |html| str::split(html, '<').skip(1).map(|part| part.split('>').next().unwrap());
    tags(head).chain(tags(body)).collect()
}

/// The tags of a page without the values of their attributes.
fn skeleton(page: &str) -> Vec<String> {
    tags(page).into_iter().map(|tag| tag.split('"').step_by(2).collect()).collect()
}

fn count(page: &str, tag: &str) -> usize {
    tags(page).iter().filter(|found| found.split(' ').next() == Some(tag)).count()
}

/// The text that a person reads, white space folded.
fn text(page: &str) -> String {
    let (_, body) = page.split_once("<body>").unwrap();
    let mut text = String::new();
    for part in body.split('<').skip(1) {
        text.push_str(part.split_once('>').unwrap().1);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn consent_16_no_value_becomes_markup() {
    let harmless = pages_full_of("https://x");
    for attack in [
        "https://x<script>alert(1)</script>",
        "https://x\"><img src=x onerror=alert(1)>",
        "https://x' onmouseover='alert(1)",
        "https://x\" autofocus onfocus=\"alert(1)",
        "https://x</title></style></main><form action=\"https://evil.example\">",
        "https://x<!-- ",
        "https://x<![CDATA[<svg onload=alert(1)>]]>",
        "https://x{{ STYLE }}{% include \"base.html\" %}{# x #}",
        "https://x&lt;script&gt;&#60;b&#62;",
        "https://x</textarea></pre><a href=\"javascript:alert(1)\">",
    ] {
        for (attacked, harmless) in pages_full_of(attack).iter().zip(&harmless) {
            assert_eq!(skeleton(attacked), skeleton(harmless), "{attack}");
        }
    }
}

#[test]
fn consent_16_a_value_is_shown_as_it_is() {
    for (name, escaped) in [
        ("{{ STYLE }}{% raw %}", "{{ STYLE }}{% raw %}"),
        ("<b>&lt;\"'", "&#60;b&#62;&#38;lt;&#34;&#39;"),
        ("محرر", "محرر"),
    ] {
        let page =
            ConsentPage { asked: Asked { client_name: Some(name), ..consent().asked }, ..consent() }.render();
        assert!(page.contains(&format!("<h1><bdi>{escaped}</bdi> asks for access</h1>")), "{name}");
    }
}

#[test]
fn consent_16_client_links_are_http_only() {
    for (uri, linked) in [
        ("https://claude.example/", true),
        ("HTTP://claude.example/", true),
        ("javascript:alert(1)", false),
        ("JavaScript://claude.example/%0aalert(1)", false),
        (" javascript:alert(1)", false),
        ("java\tscript:alert(1)", false),
        ("\u{1}https://claude.example/", false),
        ("data:text/html,<script>alert(1)</script>", false),
        ("//claude.example/", false),
        ("claude.example", false),
        ("cursor://claude.example", false),
        ("", false),
    ] {
        let page =
            ConsentPage { client_uri: Some(uri), policy_uri: Some(uri), tos_uri: Some(uri), ..consent() };
        assert_eq!(count(&page.render(), "a"), if linked { 4 } else { 1 }, "{uri:?}");
    }
    for tag in tags(&consent().render()).iter().filter(|tag| tag.starts_with("a ")) {
        assert!(tag.contains("rel=\"noopener noreferrer\""), "{tag}");
    }
}

#[test]
fn authz_27_the_answer_is_linked_unless_its_scheme_runs_content() {
    for (href, linked) in [
        ("https://claude.example/callback?error=x", true),
        ("http://127.0.0.1:3000/callback", true),
        ("cursor://anysphere.cursor-mcp/oauth?error=x", true),
        ("com.example.app:/callback", true),
        ("javascript:alert(1)", false),
        ("JAVASCRIPT:alert(1)", false),
        ("\tjavascript:alert(1)", false),
        ("java\nscript:alert(1)", false),
        ("data:text/html,x", false),
        ("/authorize", false),
        ("", false),
    ] {
        assert_eq!(
            count(&ContinuePage { href, ..continuing() }.render(), "a"),
            usize::from(linked),
            "{href:?}"
        );
    }
}

#[test]
fn authz_27_the_way_on_is_a_link_that_names_the_destination() {
    let page = continuing().render();
    assert!(page.contains("href=\"https://claude.example/callback?error=invalid_scope&#38;state=s\""));
    assert!(text(&page).ends_with("Return to claude.example"));
    assert!(!page.contains("http-equiv"));
}

#[test]
fn consent_3_the_page_says_who_vouches_for_the_name() {
    let lead = |client_kind, client_name| {
        let page = ConsentPage { asked: Asked { client_name, ..consent().asked }, client_kind, ..consent() }
            .render();
        text(&page).split(" You will be sent back").next().unwrap().to_owned()
    };
    let leads = [
        lead(ClientKind::SelfRegistered, Some("X")),
        lead(ClientKind::SelfRegistered, None),
        lead(ClientKind::Operator, Some("X")),
    ];
    assert_eq!(leads[0], "X asks for access The app chose this name itself. No one has checked it.");
    assert_eq!(leads[1], "claude.example asks for access The app did not give a name.");
    assert_eq!(leads[2], "X asks for access The operator of this service registered this app.");
    let described = |redirect_trust| {
        let asked = Asked { client_host: Some("app.example"), redirect_trust, ..consent().asked };
        let page = ConsentPage { asked, client_kind: ClientKind::Document, ..consent() }.render();
        text(&page).split(" You will be sent back").next().unwrap().to_owned()
    };
    let lead = "app.example asks for access The website app.example publishes this app under the name Claude. No one has \
                checked that name.";
    assert_eq!(described(RedirectTrust::Unknown), lead);
    let caution = "Another program on your device could pretend to be this app.";
    assert_eq!(described(RedirectTrust::ThisComputer), format!("{lead} {caution}"));
}

#[test]
fn consent_4_and_5_the_page_shows_what_is_granted_and_where_the_answer_goes_in_this_order() {
    let text = text(&consent().render());
    let mut rest = text.as_str();
    for part in [
        "Claude asks for access",
        "You will be sent back to",
        "claude.example",
        "Access to",
        "Team wiki",
        "https://mcp.example.org/mcp",
        "What it may do",
        "Know who you are user",
        "wiki:read",
        "Allow",
        "Decline",
        "you sign in with Pangea. It is asked to share openid, email.",
        "http://claude.example/privacy",
        "https://claude.example/callback?a=b",
        "c_1",
    ] {
        let found = rest.split_once(part);
        assert!(found.is_some(), "{part} is not in {rest}");
        rest = found.unwrap().1;
    }
}

#[test]
fn consent_4_no_scope_is_said_in_words() {
    let page = text(
        &ConsentPage { asked: Asked { scopes: &[], ..consent().asked }, upstream_scopes: &[], ..consent() }
            .render(),
    );
    assert!(page.contains("It asks for no particular permission."));
    assert!(page.contains("you sign in with Pangea. Access ends"));
}

/// No cue where the operator vouches, a calm sentence for this computer, stronger ones the less is known.
#[test]
fn consent_6_the_cue_is_the_stronger_the_less_is_known_of_the_address() {
    for (redirect_trust, cue, own_act) in [
        (RedirectTrust::Known, None, false),
        (RedirectTrust::ThisComputer, None, true),
        (RedirectTrust::AppLink, Some("caution"), true),
        (RedirectTrust::Unknown, Some("warning"), false),
    ] {
        let page = ConsentPage { asked: Asked { redirect_trust, ..consent().asked }, ..consent() }.render();
        let cues: Vec<_> = ["caution", "warning"]
            .into_iter()
            .filter(|cue| page.contains(&format!("class=\"cue {cue}\"")))
            .collect();
        assert_eq!(cues, Vec::from_iter(cue), "{redirect_trust:?}");
        assert_eq!(text(&page).contains("started this yourself"), own_act, "{redirect_trust:?}");
    }
}

#[test]
fn consent_7_one_form_posts_the_transaction_and_the_decision() {
    let page = consent().render();
    let tags = tags(&page);
    let at = |tag: &str| tags.iter().position(|found| *found == tag).unwrap_or_else(|| panic!("{tag}"));
    let form = at("form method=\"post\" action=\"https://mcp.example.org/consent\" autocomplete=\"off\"");
    let hidden = at(&format!("input type=\"hidden\" name=\"transaction\" value=\"{TRANSACTION}\""));
    let approve = at("button class=\"primary\" type=\"submit\" name=\"decision\" value=\"approve\"");
    let deny = at("button type=\"submit\" name=\"decision\" value=\"deny\"");
    let other = at("button type=\"submit\" name=\"decision\" value=\"approve_other_account\"");
    let order = [form, hidden, approve, deny, other, at("/form")];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!((count(&page, "form"), count(&page, "input"), count(&page, "button")), (1, 1, 3));
    assert!(!page.contains("autofocus"));
}

#[test]
fn consent_17_and_hdr_2_nothing_is_loaded_and_nothing_runs() {
    for page in pages() {
        for tag in tags(&page) {
            let name = tag.split(' ').next().unwrap();
            assert!(
                !["script", "img", "iframe", "object", "embed", "base", "svg", "video"].contains(&name),
                "{tag}"
            );
            assert!(!tag.contains(" src=") && !tag.contains(" style=") && !tag.contains(" srcset="), "{tag}");
            assert!(name != "link" || tag == "link rel=\"icon\" href=\"data:,\"", "{tag}");
        }
    }
    let with_logo = |uri| ConsentPage { logo: Some(uri), ..consent() }.render();
    assert!(
        with_logo("data:image/png;base64,AAAA")
            .contains("<img class=\"logo\" src=\"data:image/png;base64,AAAA\"")
    );
    for uri in ["https://app.example/logo.png", "//app.example/logo.png", "data:text/html,x"] {
        assert!(!with_logo(uri).contains("<img"), "{uri}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("://"));
}

#[test]
fn hdr_1_the_policy_names_the_style_that_the_page_has() {
    for page in pages() {
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let hash = STANDARD.encode(sha256(style.as_bytes()));
        assert_eq!(page.matches("<style").count(), 1);
        assert_eq!(
            style_csp(&PLAIN),
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self' data:; base-uri 'none'; \
                 frame-ancestors 'none'"
            )
        );
    }
    assert!(!STYLE.contains('\r') && !STYLE.contains('<'));
}

#[test]
fn pages_have_one_heading_one_main_landmark_a_language_a_title_and_closed_elements() {
    for page in pages() {
        for tag in ["html", "title", "main", "h1"] {
            assert_eq!(count(&page, tag), 1, "{tag}");
        }
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(page.contains("width=device-width"));
        let mut open = Vec::new();
        for tag in tags(&page) {
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None if ["!doctype", "meta", "link", "input"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn every_part_of_a_page_has_its_heading() {
    for page in pages() {
        assert_eq!(count(&page, "section") + count(&page, "article"), count(&page, "h2"));
        assert_eq!(page.matches("<section>\n<h2>").count(), count(&page, "section"));
    }
}

/// The one animation hides what grants access for a second, and is no movement: it has no exception for
/// people who want none.
#[test]
fn pages_do_not_move_and_follow_the_dark() {
    assert!(STYLE.contains("prefers-color-scheme: dark") && STYLE.contains("overflow-wrap: anywhere"));
    assert_eq!(STYLE.matches("animation").count(), 1);
    assert_eq!(STYLE.matches("@keyframes").count(), 1);
    assert!(STYLE.contains("@keyframes unread { from, to { visibility: hidden; } }"));
    assert!(!STYLE.contains("transition") && !STYLE.contains("prefers-reduced-motion"));
}

/// Before the sign-in and after it. What grants nothing works at once.
#[test]
fn every_button_that_grants_access_comes_later() {
    for page in pages() {
        for pair in page.split("<button").collect::<Vec<_>>().windows(2) {
            let button = pair[1].split('>').next().unwrap();
            let comes_later = pair[0].rsplit('<').next().unwrap().starts_with("span class=\"later");
            assert_eq!(comes_later, button.contains("value=\"approve"), "{button}");
        }
    }
}

#[test]
fn a_notice_says_what_happened_what_to_do_and_the_reference() {
    let said = text(&notice().render());
    let Notice { title, what_happened, what_to_do } = notice().notice;
    for part in [title, what_happened, what_to_do, "7F3K-22Q1"] {
        assert!(said.contains(part), "{part}");
    }
    let plain = NoticePage { reference: None, ..notice() }.render();
    assert_eq!(count(&plain, "section"), 0);
}
