//! A sign-in in a real browser, with a person's hands: what only a browser's own rules can show.

use std::collections::BTreeMap;

use fantoccini::{
    actions::{Actions, InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    error::CmdError,
    key::Key,
};
use serde_json::{Value, json};

use crate::support::{Browser, Chromium, Client, Listener, Options, Server, Tokens, WIDE, query};

const ASKS: &str = "Test client asks for access";
/// The MCP server on the picture in the README.
const WIKI: &str = r#"
[[resources]]
url = "https://mcp.example.org/mcp"
name = "Team wiki"
scopes = [
    { name = "user", description = "Know who you are" },
    { name = "wiki:write", description = "Read and change pages in your name" },
]
"#;
const PHONE: u32 = 390;

/// A person at a browser, an application that wants to be let in, and Pangea with its sign-in page.
struct Scene {
    server: Server,
    chromium: Chromium,
    app: Listener,
    client: Client,
}

impl Scene {
    async fn set() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let server = Server::with(options).await;
        server.upstream.switches().authorize.set(|authorize| authorize.sign_in_as = None);
        let app = Listener::start().await;
        let client = Client { redirect_uri: app.redirect_uri.clone(), ..Client::public(&server).await };
        Self { chromium: Chromium::start().await, server, app, client }
    }

    /// Goes to the consent page.
    async fn ask(&self, state: &str) {
        self.chromium.open(&self.client.authorize_url(&self.server, &[("state", state)])).await;
        self.chromium.wait_for_heading(ASKS).await;
    }

    /// Answers the sign-in page of the stand-in.
    async fn sign_in(&self) {
        self.chromium.wait_for_heading("Sign in").await;
        self.chromium.press("approve").await;
    }

    /// The application takes its answer; what it then gets is the person's.
    async fn connected(&mut self, state: &str) {
        let answer = self.app.answer().await;
        assert_eq!(answer.get("state").map(String::as_str), Some(state), "{answer:?}");
        assert_eq!(answer["iss"], self.server.url);
        let tokens = Tokens::of(self.client.redeem(&self.server, &answer["code"]).await).await;
        assert_eq!(self.server.introspect(&tokens.access).await["username"], "ada@example.com");
    }

    fn sign_ins_begun(&self) -> u64 {
        self.server.upstream.requests().of("/v2/oauth/authorize")
    }

    /// Nothing was complained of in the console, and nobody else was asked for anything.
    async fn was_clean(&self) {
        assert_eq!(self.chromium.console().await, [""; 0]);
        let ours = [&self.server.origin, &self.server.upstream_url, &self.app.origin];
        let requested = self.chromium.requested().await;
        assert!(!requested.is_empty());
        for url in requested {
            assert!(ours.contains(&&url.origin().ascii_serialization()), "asked for {url}");
        }
    }
}

/// Shows: CONSENT-1, CONSENT-9, CONSENT-10, CONSENT-17, CONSENT-18, HDR-2, AUTHZ-6, AUTHZ-8.
#[tokio::test]
async fn allowing_leads_through_the_sign_in_to_the_loopback_port() {
    let mut scene = Scene::set().await;
    scene.ask("s").await;
    assert_eq!(scene.sign_ins_begun(), 0);
    assert_eq!(cookies(&scene).await.keys().collect::<Vec<_>>(), ["__Host-mcp-browser"]);
    scene.chromium.press("approve").await;
    scene.chromium.wait_for_heading("Sign in").await;
    for (name, cookie) in cookies(&scene).await {
        let kept = ["secure", "httpOnly", "sameSite", "path", "domain"].map(|member| cookie[member].clone());
        assert_eq!(json!(kept), json!([true, true, "Lax", "/", "127.0.0.1"]), "{name}");
        assert!(name.starts_with("__Host-mcp-"), "{name}");
    }
    scene.sign_in().await;
    scene.connected("s").await;
    scene.chromium.wait_for_heading("Connected").await;
    assert_eq!(cookies(&scene).await.keys().collect::<Vec<_>>(), ["__Host-mcp-browser"]);
    scene.was_clean().await;
}

/// Shows: CONSENT-11.
#[tokio::test]
async fn declining_tells_the_application_and_does_not_ask_pangea() {
    let mut scene = Scene::set().await;
    scene.ask("s").await;
    scene.chromium.press("deny").await;
    let answer = scene.app.answer().await;
    assert_eq!(
        [&answer["error"], &answer["state"], &answer["iss"]],
        ["access_denied", "s", &scene.server.url]
    );
    assert!(!answer.contains_key("code"));
    scene.chromium.wait_for_heading("Connected").await;
    assert_eq!(scene.sign_ins_begun(), 0);
    scene.was_clean().await;
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn a_double_click_on_allow_is_one_sign_in() {
    // The second click comes before the upstream has answered, or at whatever moment.
    for (person_is_asked, delay_ms) in [(true, 1_000), (false, 1_000), (false, 0), (false, 0), (false, 0)] {
        let mut scene = Scene::set().await;
        let known = (!person_is_asked).then(|| "ada@example.com".to_owned());
        scene.server.upstream.switches().authorize.set(|authorize| {
            authorize.sign_in_as = known;
            authorize.delay_ms = delay_ms;
        });
        scene.ask("s").await;
        let allow = scene.chromium.find("button[value=approve]").await;
        let click = [
            PointerAction::Down { button: MOUSE_BUTTON_LEFT },
            PointerAction::Up { button: MOUSE_BUTTON_LEFT },
        ];
        let mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveToElement {
            element: allow,
            duration: None,
            x: 0.0,
            y: 0.0,
        });
        let mouse = click.iter().chain(&click).cloned().fold(mouse, InputSource::then);
        scene.chromium.client.perform_actions(mouse).await.unwrap();
        if person_is_asked {
            scene.sign_in().await;
        }
        scene.connected("s").await;
        scene.chromium.wait_for_heading("Connected").await;
        assert!(scene.app.is_quiet());
        scene.was_clean().await;
    }
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn going_back_after_the_sign_in_yields_no_second_code() {
    let mut scene = Scene::set().await;
    scene.ask("s").await;
    let answered = transaction(&scene).await;
    scene.chromium.press("approve").await;
    scene.sign_in().await;
    scene.connected("s").await;
    scene.chromium.wait_for_heading("Connected").await;

    back_to(&scene, "Sign in").await;
    scene.sign_in().await;
    scene.chromium.wait_for_heading("This sign-in cannot be completed").await;
    assert!(scene.app.is_quiet());

    back_to(&scene, "Sign in").await;
    back_to(&scene, ASKS).await;
    // The page is a fresh one; a browser that kept the old one would send the old form.
    assert_ne!(transaction(&scene).await, answered);
    set_transaction(&scene, &answered).await;
    scene.chromium.press("approve").await;
    scene.chromium.wait_for_heading("This request has been answered").await;
    assert!(scene.app.is_quiet());
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn going_back_from_the_sign_in_page_to_decide_again_works() {
    let mut scene = Scene::set().await;
    scene.ask("s").await;
    scene.chromium.press("approve").await;
    scene.chromium.wait_for_heading("Sign in").await;
    back_to(&scene, ASKS).await;
    scene.chromium.press("approve").await;
    scene.sign_in().await;
    scene.connected("s").await;
    assert!(scene.app.is_quiet());
    scene.was_clean().await;
}

/// Shows: CONSENT-12.
#[tokio::test]
async fn two_tabs_do_not_disturb_each_other() {
    let mut scene = Scene::set().await;
    let first = scene.chromium.client.window().await.unwrap();
    scene.ask("first").await;
    let second = scene.chromium.client.new_window(true).await.unwrap().handle;
    scene.chromium.client.switch_to_window(second.clone()).await.unwrap();
    scene.ask("second").await;
    for tab in [&first, &second] {
        scene.chromium.client.switch_to_window(tab.clone()).await.unwrap();
        scene.chromium.press("approve").await;
        scene.chromium.wait_for_heading("Sign in").await;
    }
    for (tab, state) in [(first, "first"), (second, "second")] {
        scene.chromium.client.switch_to_window(tab).await.unwrap();
        scene.sign_in().await;
        scene.connected(state).await;
    }
    scene.was_clean().await;
}

/// The keyboard alone is enough, the focus can be seen, and the first button is the one that allows.
#[tokio::test]
async fn tab_and_enter_are_enough() {
    let mut scene = Scene::set().await;
    scene.ask("s").await;
    let mut passed = vec![];
    for _ in 0..2 {
        press_key(&scene, Key::Tab).await;
        let focused = "const e = document.activeElement, s = getComputedStyle(e);
            return [e.textContent.trim(), s.outlineStyle, parseFloat(s.outlineWidth) >= 2]";
        passed.push(scene.chromium.evaluate(focused).await);
    }
    assert_eq!(passed, [json!(["Allow", "solid", true]), json!(["Decline", "solid", true])]);
    press_key(&scene, Key::Enter).await;
    assert_eq!(scene.app.answer().await["error"], "access_denied");

    scene.ask("again").await;
    press_key(&scene, Key::Tab).await;
    press_key(&scene, Key::Enter).await;
    // The sign-in page has put the cursor where the person types.
    scene.chromium.wait_for_heading("Sign in").await;
    press_key(&scene, Key::Enter).await;
    scene.connected("again").await;
    scene.was_clean().await;
}

/// Shows: HDR-2.
#[tokio::test]
async fn no_javascript_is_needed() {
    let mut scene = Scene::set().await;
    scene.chromium.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    scene.ask("s").await;
    scene.chromium.press("approve").await;
    scene.sign_in().await;
    scene.connected("s").await;
}

/// Shows: HDR-1, CONSENT-8, CONSENT-17.
#[tokio::test]
async fn the_browser_runs_and_loads_nothing_that_is_put_into_the_page() {
    let scene = Scene::set().await;
    scene.ask("s").await;
    scene.was_clean().await;
    let inject = format!(
        "const put = (tag, set) => document.body.append(Object.assign(document.createElement(tag), set));
         put('script', {{ textContent: 'window.ran = true' }});
         put('script', {{ src: '{app}/script' }});
         put('img', {{ src: '{app}/image' }});
         put('iframe', {{ src: '{app}/frame' }});
         put('style', {{ textContent: 'h1 {{ color: rgb(1, 2, 3) }}' }});
         return [window.ran === true, getComputedStyle(document.querySelector('h1')).color === 'rgb(1, 2, 3)']",
        app = scene.app.origin
    );
    assert_eq!(scene.chromium.evaluate(&inject).await, json!([false, false]));
    let complaints = scene.chromium.console().await;
    let blocked = complaints.iter().filter(|message| message.contains("Content Security Policy"));
    assert_eq!(blocked.count(), 5, "{complaints:?}");
    assert!(scene.app.is_quiet());
}

/// Shows: HDR-1, CONSENT-8.
#[tokio::test]
async fn no_page_can_be_put_into_a_frame() {
    let scene = Scene::set().await;
    let consent = scene.client.authorize_url(&scene.server, &[]);
    let notice = scene.client.authorize_url(&scene.server, &[("client_id", "unknown")]);
    for framed in [consent, notice] {
        scene.chromium.open(&scene.app.origin).await;
        let frame =
            "const f = document.createElement('iframe'); f.src = arguments[0]; document.body.append(f);
            f.onload = () => arguments[1](f.contentDocument === null)";
        scene.chromium.client.execute_async(frame, vec![json!(framed)]).await.unwrap();
        let complaints = scene.chromium.console().await;
        let refused = |message: &String| message.contains("frame-ancestors 'none'");
        assert!(complaints.iter().any(refused), "{complaints:?}");
    }
}

/// On a wide screen and on a phone, by day and by night: text can be read, nothing is cut off, fingers
/// hit the buttons. Pictures are kept for people to look at.
#[tokio::test]
async fn every_page_is_readable_everywhere() {
    let scene = Scene::with(Options { resources: Some(WIKI), ..Options::default() }).await;
    let resource = [("resource", "https://mcp.example.org/mcp")];
    let ask = |client: &Client, change: &[(&str, &str)]| {
        client.authorize_url(&scene.server, &[change, &resource].concat())
    };
    let editor = json!({
        "client_name": "Acme Editor",
        "redirect_uris": ["https://editor.example.com/mcp/callback"],
        "client_uri": "https://editor.example.com/",
    });
    let editor = Client::registered(&scene.server, editor).await;
    let sign_in = {
        let mut browser = Browser::new();
        let consent = browser.get(&ask(&scene.client, &[])).await;
        browser.decide(&consent, "approve").await.location().unwrap()
    };
    let pages = [
        ("consent", "Acme Editor asks for access", ask(&editor, &[])),
        ("consent-loopback", ASKS, ask(&scene.client, &[])),
        ("error", "This application is not known here", ask(&editor, &[("client_id", "unknown")])),
        ("continue", "This request cannot be granted", ask(&editor, &[("scope", "no such scope")])),
        ("sign-in", "Sign in", sign_in),
    ];
    for (name, heading, url) in pages {
        for (screen, width, dark) in [
            ("light", WIDE, false),
            ("dark", WIDE, true),
            ("phone", PHONE, false),
            ("phone-dark", PHONE, true),
        ] {
            scene.chromium.look(width, dark).await;
            scene.chromium.open(&url).await;
            scene.chromium.wait_for_heading(heading).await;
            scene.chromium.photograph(&format!("{name}-{screen}.png")).await;
            is_readable(&scene.chromium, width, dark, &format!("{name}-{screen}")).await;
        }
    }
}

/// Shows: AUTHZ-27.
#[tokio::test]
async fn nobody_is_sent_to_a_strangers_host_without_a_click() {
    let scene = Scene::set().await;
    let stranger = json!({ "redirect_uris": ["https://app.example.net/callback"], "client_name": "Notes" });
    let stranger = Client::registered(&scene.server, stranger).await;
    let refused = stranger.authorize_url(&scene.server, &[("scope", "no such scope")]);
    scene.chromium.open(&refused).await;
    scene.chromium.wait_for_heading("This request cannot be granted").await;
    let link = scene.chromium.find("a.button").await.attr("href").await.unwrap().unwrap();
    let answer: BTreeMap<_, _> = query(&link);
    assert_eq!([&answer["error"], &answer["state"]], ["invalid_scope", "client-state"]);
    let asked = scene.chromium.requested().await;
    assert!(asked.iter().all(|url| url.origin().ascii_serialization() == scene.server.origin), "{asked:?}");
}

/// The cookies that the browser holds for the authorization server.
async fn cookies(scene: &Scene) -> BTreeMap<String, Value> {
    let urls = json!({ "urls": [scene.server.url] });
    let all = scene.chromium.devtools("Network.getCookies", urls).await;
    let all = all["cookies"].as_array().unwrap().iter();
    all.map(|cookie| (cookie["name"].as_str().unwrap().to_owned(), cookie.clone())).collect()
}

async fn back_to(scene: &Scene, heading: &str) {
    scene.chromium.client.back().await.unwrap();
    scene.chromium.wait_for_heading(heading).await;
}

async fn transaction(scene: &Scene) -> String {
    let field = scene.chromium.find("input[name=transaction]").await;
    field.attr("value").await.unwrap().unwrap()
}

async fn set_transaction(scene: &Scene, value: &str) {
    let set = "document.querySelector('input[name=transaction]').value = arguments[0]";
    scene.chromium.client.execute(set, vec![json!(value)]).await.unwrap();
}

async fn press_key(scene: &Scene, key: Key) {
    let value = char::from(key);
    let keys =
        KeyActions::new("keys".to_owned()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
    let pressed: Result<(), CmdError> = scene.chromium.client.perform_actions(Actions::from(keys)).await;
    pressed.unwrap();
}

async fn is_readable(chromium: &Chromium, width: u32, dark: bool, page: &str) {
    let measured = chromium.evaluate(MEASURE).await;
    assert_eq!(measured["width"], width, "{page} is wider than the screen");
    assert_eq!(measured["title"], true, "{page} has no title");
    assert_eq!(measured["language"], "en", "{page}");
    assert!(measured["text"].as_f64().unwrap() >= 15.0, "{page} has text of {} pixels", measured["text"]);
    assert!(measured["button"].as_f64().unwrap() >= 44.0, "{page} has a button of {}", measured["button"]);
    let colors = measured["colors"].as_array().unwrap();
    assert!(colors.len() > 2, "{page}: {colors:?}");
    for pair in colors {
        let [text, behind] = [&pair[0], &pair[1]].map(luminance);
        let contrast = (text.max(behind) + 0.05) / (text.min(behind) + 0.05);
        assert!(contrast >= 4.5, "{page}: {pair} has a contrast of {contrast}");
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
        language: document.documentElement.lang,
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
