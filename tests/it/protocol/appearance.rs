//! How every page looks, in a real browser: on a laptop and on a phone, by day and by night. Pictures of
//! them are kept in `tests/artifacts` for people to look at.

use std::time::Duration;

use serde_json::{Value, json};

use super::branding;
use crate::{
    stage::Answer,
    support::{Browser, Chromium, Client, DocumentServer, LAPTOP, Options, PHONE, Server},
};

/// What the pictures show.
const WIKI: &str = r#"
[[resources]]
url = "https://mcp.example.org/mcp"
name = "Team wiki"
scopes = [
    { name = "user", description = "Know who you are" },
    { name = "wiki:write", description = "Read and change pages in your name" },
]
"#;
const RESOURCE: (&str, &str) = ("resource", "https://mcp.example.org/mcp");
/// Contrast of all text with what is behind it (WCAG 2.2, success criterion 1.4.6, level AAA).
const CONTRAST: f64 = 7.0;

const ADA_ALONE: &str = "[access]\nemails = [\"ada@example.com\"]";

/// A browser that goes from page to page.
struct Tour {
    server: Server,
    chromium: Chromium,
    /// The language that pages are expected in.
    language: &'static str,
}

impl Tour {
    async fn begin() -> Self {
        Self::through(Options { sections: ADA_ALONE, ..Options::default() }).await
    }

    async fn through(options: Options) -> Self {
        let server = Server::with(Options { resources: Some(WIKI), ..options }).await;
        server.upstream.switches().authorize.set(|authorize| authorize.sign_in_as = None);
        Self { server, chromium: Chromium::start().await, language: "en" }
    }

    /// A client that says this of itself.
    async fn client(&self, name: Option<&str>, redirect_uri: &str) -> Client {
        let more = json!({
            "client_name": name,
            "redirect_uris": [redirect_uri],
            "client_uri": "https://editor.example.com/",
        });
        Client::registered(&self.server, more).await
    }

    fn ask(&self, client: &Client, change: &[(&str, &str)]) -> String {
        client.authorize_url(&self.server, &[change, &[RESOURCE]].concat())
    }

    /// Goes to an address and looks at the page there.
    async fn visit(&self, name: &str, heading: &str, url: &str) {
        self.chromium.open(url).await;
        self.look(name, heading).await;
    }

    /// Looks at the page that is open, in every way that people may see it.
    async fn look(&self, name: &str, heading: &str) {
        self.chromium.wait_for_heading(heading).await;
        for (screen, size) in [("laptop", LAPTOP), ("phone", PHONE)] {
            for (light, dark) in [("light", false), ("dark", true)] {
                let name = format!("{name}-{screen}-{light}");
                self.chromium.look(size, dark).await;
                self.chromium.settle().await;
                self.chromium.photograph(&format!("{name}.png")).await;
                is_readable(&self.chromium, size.0, dark, &name).await;
                let language = self.chromium.evaluate("return document.documentElement.lang").await;
                assert_eq!(language, self.language, "{name}");
                assert_eq!(self.chromium.accessibility_faults().await, [""; 0], "{name}");
            }
        }
    }
}

/// Text can be read, nothing is cut off, fingers hit the buttons, and axe-core finds nothing at A and AA.
#[tokio::test]
async fn every_question_can_be_read_by_everyone() {
    let tour = Tour::begin().await;
    for (name, client, redirect_uri) in [
        ("consent-unknown", Some("Acme Editor"), "https://editor.example.com/mcp/callback"),
        ("consent-known", Some("Claude"), "https://claude.ai/api/mcp/auth_callback"),
        ("consent-this-computer", Some("Claude Code"), "http://localhost:4711/callback"),
        ("consent-app-link", Some("Cursor"), "cursor://anysphere.cursor-retrieval/oauth/callback"),
        ("consent-nameless", None, "http://127.0.0.1:33418/"),
    ] {
        let asking = tour.client(client, redirect_uri).await;
        let heading = format!("{} asks for access", client.unwrap_or("127.0.0.1:33418"));
        tour.visit(name, &heading, &tour.ask(&asking, &[])).await;
    }
    // Collapsed details are readable when they are opened.
    tour.chromium.evaluate("document.querySelector('details').open = true; scrollTo(0, 10000)").await;
    tour.look("consent-details", "127.0.0.1:33418 asks for access").await;
}

/// A client with a metadata document is shown with its host. What is wrong with a document is said to its makers.
#[tokio::test]
async fn the_pages_about_metadata_documents_can_be_read_by_everyone() {
    let documents = DocumentServer::start();
    let tour = Tour::through(Options { sections: documents.section(""), ..Options::default() }).await;
    let editor = documents.client("/editor.json", &json!({ "client_name": "Acme Editor" }));
    let wrong = documents.client("/wrong.json", &json!({ "client_id": "https://editor.example.com/" }));
    let gone = documents.named("/gone.json");
    for (name, client) in [("consent-document", editor), ("document-wrong", wrong), ("document-gone", gone)] {
        let url = tour.ask(&client, &[]);
        tour.chromium.open(&url).await;
        let heading = tour.chromium.evaluate("return document.querySelector('h1').textContent.trim()").await;
        tour.look(name, heading.as_str().unwrap()).await;
    }
}

/// The same in languages with longer words and other scripts.
#[tokio::test]
async fn the_question_can_be_read_in_other_languages() {
    let mut tour = Tour::begin().await;
    let editor = tour.client(Some("Acme Editor"), "https://editor.example.com/mcp/callback").await;
    for (language, heading) in
        [("de", "Acme Editor bittet um Zugriff"), ("ja", "Acme Editor がアクセスを求めています")]
    {
        tour.language = language;
        let browser = json!({ "userAgent": "A browser", "acceptLanguage": language });
        tour.chromium.devtools("Emulation.setUserAgentOverride", browser).await;
        tour.visit(&format!("consent-{language}"), heading, &tour.ask(&editor, &[])).await;
    }
}

/// The same for what is said when there is nothing to decide.
#[tokio::test]
async fn every_other_page_can_be_read_by_everyone() {
    let tour = Tour::begin().await;
    let editor = tour.client(Some("Acme Editor"), "https://editor.example.com/mcp/callback").await;
    let consent = tour.ask(&editor, &[]);
    let asks = "Acme Editor asks for access";

    tour.visit("root", "This is a sign-in service", &tour.server.url).await;
    tour.visit("not-found", "There is no page here", &format!("{}/nothing", tour.server.url)).await;
    let unknown = tour.ask(&editor, &[("client_id", "unknown")]);
    tour.visit("unknown-app", "This app is not known here", &unknown).await;
    let refused = tour.ask(&editor, &[("scope", "no\"such\"scope")]);
    tour.visit("refused", "This request cannot be granted", &refused).await;

    tour.chromium.open(&consent).await;
    tour.chromium.wait_for_heading(asks).await;
    tour.chromium.press("deny").await;
    tour.look("declined", "You declined").await;
    tour.chromium.open(&consent).await;
    tour.chromium.wait_for_heading(asks).await;
    tour.server.advance(Duration::from_mins(10));
    tour.chromium.press("approve").await;
    tour.look("too-late", "This took too long").await;
    let nowhere = format!("{}/pangea/callback?code=x&state=y", tour.server.url);
    tour.visit("lost", "This sign-in cannot be completed", &nowhere).await;
}

/// The same for the questions after the sign-in: here because the browser seems to be another one than the one
/// that approved, and because an account is not admitted.
#[tokio::test]
async fn every_question_after_the_sign_in_can_be_read_by_everyone() {
    let tour = Tour::begin().await;
    let editor = tour.client(Some("Acme Editor"), "https://editor.example.com/mcp/callback").await;
    let consent = tour.ask(&editor, &[]);
    tour.chromium.open(&consent).await;
    tour.chromium.press("approve").await;
    tour.chromium.wait_for_heading("Sign in").await;
    let other = json!({ "userAgent": "Another browser" });
    tour.chromium.devtools("Emulation.setUserAgentOverride", other).await;
    tour.chromium.press("approve").await;
    tour.look("signed-in", "Let Acme Editor use Team wiki?").await;

    tour.chromium.open(&consent).await;
    tour.chromium.press("approve").await;
    let email = tour.chromium.find("#email").await;
    email.clear().await.unwrap();
    email.send_keys("eve@example.com").await.unwrap();
    tour.chromium.press("approve").await;
    tour.look("not-admitted", "This account has no access").await;
}

/// The same for pages that show the operator: with everything that can be configured, with a long name, and with links
/// alone.
#[tokio::test]
async fn pages_with_a_brand_can_be_read_by_everyone() {
    let tour = Tour::through(Options {
        sections: branding::ACME,
        folder: Some(branding::folder_with(branding::LOGO)),
        ..Options::default()
    })
    .await;
    let editor = tour.client(Some("Acme Editor"), "https://editor.example.com/mcp/callback").await;
    tour.visit("brand-consent", "Acme Editor asks for access", &tour.ask(&editor, &[])).await;
    assert_eq!(tour.chromium.evaluate(LOGO_WIDTH).await, 176, "the browser shows the logo");
    let unknown = tour.ask(&editor, &[("client_id", "unknown")]);
    tour.visit("brand-unknown-app", "This app is not known here", &unknown).await;
    tour.visit("brand-root", "This is a sign-in service", &tour.server.url).await;

    let sections =
        "[branding]\nname = \"The Department of Redundancy Department of Great Example, Ltd. & Sons\"";
    let tour = Tour::through(Options { sections, ..Options::default() }).await;
    tour.visit("brand-long-name", "This is a sign-in service", &tour.server.url).await;
    let sections = "[branding]\nsupport_url = \"https://help.example.org\"";
    let tour = Tour::through(Options { sections, ..Options::default() }).await;
    tour.visit("brand-links", "This is a sign-in service", &tour.server.url).await;
}

const LOGO_WIDTH: &str = "return document.querySelector('header img').naturalWidth";

/// The same for the page on which people disconnect clients, and what it does there without JavaScript.
#[tokio::test]
async fn the_connections_can_be_read_and_ended_by_everyone() {
    let tour = Tour::begin().await;
    let title = "Your connected apps";
    let page = format!("{}/connections", tour.server.url);
    tour.visit("connections-sign-in", title, &page).await;
    tour.server.upstream.switches().authorize.set(|authorize| {
        authorize.sign_in_as = Some("ada@example.com".to_owned());
    });
    tour.chromium.press("sign_in").await;
    tour.chromium.find("button[value=sign_out]").await;
    tour.look("connections-none", title).await;
    for (name, redirect_uri) in [
        ("Claude Code", "http://localhost:4711/callback"),
        ("Cursor", "cursor://anysphere.cursor-retrieval/oauth/callback"),
        ("Acme Editor", "https://editor.example.com/mcp/callback"),
    ] {
        let client = tour.client(Some(name), redirect_uri).await;
        let code = client.code_with(&tour.server, &[RESOURCE, ("scope", "user wiki:write")]).await;
        client.redeem(&tour.server, &code).await;
        tour.server.advance(Duration::from_mins(2));
    }
    tour.chromium.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    tour.chromium.open(&page).await;
    tour.chromium.press("disconnect").await;
    tour.chromium.find("[role=status]").await;
    tour.chromium.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    tour.chromium.evaluate("document.querySelector('details').open = true").await;
    tour.look("connections", title).await;
    tour.chromium.press("disconnect_all").await;
    tour.chromium.find("[role=status]").await;
    assert_eq!(tour.chromium.evaluate("return document.querySelectorAll('article').length").await, 0);
    tour.chromium.press("sign_out").await;
    tour.chromium.find("button[value=sign_in]").await;
    tour.server.upstream.switches().authorize.set(|authorize| authorize.answer = Answer::Deny);
    tour.chromium.press("sign_in").await;
    tour.chromium.find("[role=alert]").await;
    tour.look("connections-denied", title).await;
}

/// The same for the stand-in's own pages.
#[tokio::test]
async fn the_stand_ins_pages_can_be_read_by_everyone() {
    let tour = Tour::begin().await;
    let editor = tour.client(Some("Acme Editor"), "https://editor.example.com/mcp/callback").await;
    let mut browser = Browser::new();
    let consent = browser.get(&tour.ask(&editor, &[])).await;
    let sign_in = browser.decide(&consent, "approve").await.location().unwrap();
    tour.visit("stand-in", "Sign in", &sign_in).await;
    tour.chromium.evaluate("document.querySelector('form').noValidate = true; email.value = 'x'").await;
    tour.chromium.press("approve").await;
    tour.look("stand-in-again", "Sign in").await;
    let wrong = sign_in.replace("client_id=", "client_id=another-");
    tour.visit("stand-in-refuses", "This sign-in cannot start", &wrong).await;
}

/// The picture in the README; `docs/images` has a copy.
#[tokio::test]
async fn the_readme_shows_the_consent_page() {
    let tour = Tour::begin().await;
    let claude = tour.client(Some("Claude"), "https://claude.ai/api/mcp/auth_callback").await;
    for (name, dark) in [("consent", false), ("consent-dark", true)] {
        tour.chromium.look((720, 660), dark).await;
        tour.chromium.open(&tour.ask(&claude, &[])).await;
        tour.chromium.settle().await;
        tour.chromium.photograph(&format!("{name}.png")).await;
    }
}

async fn is_readable(chromium: &Chromium, width: u32, dark: bool, page: &str) {
    let measured = chromium.evaluate(MEASURE).await;
    assert_eq!(measured["width"], width, "{page} is wider than the screen");
    assert_eq!(measured["title"], true, "{page} has no title");
    assert!(measured["text"].as_f64().unwrap() >= 15.0, "{page} has text of {} pixels", measured["text"]);
    assert!(measured["button"].as_f64().unwrap() >= 44.0, "{page} has a button of {}", measured["button"]);
    let colors = measured["colors"].as_array().unwrap();
    assert!(colors.len() > 2, "{page}: {colors:?}");
    for pair in colors {
        let [text, behind] = [&pair[0], &pair[1]].map(luminance);
        let contrast = (text.max(behind) + 0.05) / (text.min(behind) + 0.05);
        assert!(contrast >= CONTRAST, "{page}: {pair} has a contrast of {contrast}");
    }
    let page_is_dark = luminance(&measured["behind"]) < 0.2;
    assert_eq!(page_is_dark, dark, "{page}");
}

/// Width in use, the smallest text, the lowest button, and each text's color with the one behind it.
const MEASURE: &str = r"
    const behind = e => {
        for (; e; e = e.parentElement) {
            const color = getComputedStyle(e).backgroundColor;
            if (!color.startsWith('rgba(')) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    const texts = [...document.querySelectorAll('body *')]
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
    const buttons = [...document.querySelectorAll('button, .button')];
    return {
        width: Math.max(document.documentElement.scrollWidth, innerWidth),
        title: document.title.length > 0,
        text: Math.min(...texts.map(e => parseFloat(getComputedStyle(e).fontSize))),
        button: Math.min(...buttons.map(e => e.getBoundingClientRect().height), 99),
        colors: texts.map(e => [getComputedStyle(e).color, behind(e)]),
        behind: behind(document.body),
    }";

/// How bright a color such as `rgb(1, 2, 3)` is, from 0 to 1 (WCAG 2.2, relative luminance).
fn luminance(color: &Value) -> f64 {
    let numbers = color.as_str().unwrap().trim_start_matches("rgb(").trim_end_matches(')');
    let channels = numbers.split(',').map(|number| number.trim().parse::<f64>().unwrap() / 255.0);
    let linear = channels.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    linear.zip([0.2126, 0.7152, 0.0722]).map(|(channel, weight)| channel * weight).sum()
}
