//! A sign-in in a real browser, with a person's hands: what only a browser's own rules can show.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fantoccini::{
    actions::{Actions, InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    error::CmdError,
    key::Key,
};
use serde_json::{Value, json};

use crate::support::{
    Browser, Chromium, Client, Listener, Options, PHONE, Scene as Act, Scripted, Server, Tokens, query,
};

const ASKS: &str = "Test client asks for access";

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

    /// Goes to the consent page, and reads it.
    async fn ask(&self, state: &str) {
        self.chromium.open(&self.client.authorize_url(&self.server, &[("state", state)])).await;
        self.chromium.wait_for_heading(ASKS).await;
        self.chromium.settle().await;
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

    /// The console has no complaints, and no other server received a request.
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
    assert_eq!(cookies(&scene).await.keys().collect::<Vec<_>>(), ["mcp-browser"]);
    scene.chromium.press("approve").await;
    scene.chromium.wait_for_heading("Sign in").await;
    for (name, cookie) in cookies(&scene).await {
        let kept = ["secure", "httpOnly", "sameSite", "path", "domain"].map(|member| cookie[member].clone());
        assert_eq!(json!(kept), json!([false, true, "Lax", "/", "127.0.0.1"]), "{name}");
        assert!(name.starts_with("mcp-"), "{name}");
    }
    scene.sign_in().await;
    scene.connected("s").await;
    scene.chromium.wait_for_heading("Connected").await;
    assert_eq!(cookies(&scene).await.keys().collect::<Vec<_>>(), ["mcp-browser"]);
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
        click_at(&scene, place(&scene, "approve").await, 2).await;
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
    for _ in 0..3 {
        press_key(&scene, Key::Tab).await;
        let focused = "const e = document.activeElement, s = getComputedStyle(e);
            return [e.textContent.trim(), s.outlineStyle, parseFloat(s.outlineWidth) >= 2]";
        passed.push(scene.chromium.evaluate(focused).await);
    }
    let buttons = ["Allow", "Decline", "Allow with another account"];
    assert_eq!(passed, buttons.map(|button| json!([button, "solid", true])));
    scene.ask("s").await;
    press_key(&scene, Key::Tab).await;
    press_key(&scene, Key::Tab).await;
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

/// For its first second the page takes a refusal and no approval, by mouse or keyboard, also from people
/// who asked for no movement: a double click that began on another page says nothing about this one.
///
/// Shows: CONSENT-1.
#[tokio::test]
async fn what_grants_access_is_inert_until_the_page_can_have_been_read() {
    for reduced in ["no-preference", "reduce"] {
        let mut scene = Scene::set().await;
        let motion = json!({ "features": [{ "name": "prefers-reduced-motion", "value": reduced }] });
        scene.chromium.devtools("Emulation.setEmulatedMedia", motion).await;
        open_afresh(&scene).await;
        for moment in [100, 900] {
            stop_the_clock(&scene, moment).await;
            click(&scene, "approve").await;
            press_key(&scene, Key::Enter).await;
            let mut reached = vec![];
            for _ in 0..4 {
                press_key(&scene, Key::Tab).await;
                reached.push(scene.chromium.evaluate("return document.activeElement.value ?? ''").await);
            }
            assert!(reached.contains(&json!("deny")), "{reached:?}");
            for granting in ["approve", "approve_other_account"] {
                assert!(!reached.contains(&json!(granting)), "{reached:?}");
            }
            scene.chromium.evaluate("document.activeElement.blur()").await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.chromium.wait_for_heading(ASKS).await;
        assert_eq!(scene.sign_ins_begun(), 0);

        stop_the_clock(&scene, 1_500).await;
        click(&scene, "approve").await;
        scene.sign_in().await;
        scene.connected("s").await;
    }
}

/// The same by the clock on the wall, and without a tool that stops it.
#[tokio::test]
async fn a_click_on_another_page_does_not_approve_with_its_second_half() {
    let mut scene = Scene::set().await;
    let consent = scene.client.authorize_url(&scene.server, &[("state", "s")]);
    // Where "Allow" is going to be.
    scene.ask("s").await;
    let allow = place(&scene, "approve").await;
    scene.chromium.open(&scene.app.origin).await;
    scene.app.answer().await;
    let lure = "onmousedown = () => { location = arguments[0] }";
    scene.chromium.client.execute(lure, vec![json!(consent)]).await.unwrap();
    let begin = Instant::now();
    click_at(&scene, allow, 1).await;
    scene.chromium.wait_for_heading(ASKS).await;
    click_at(&scene, allow, 1).await;
    // On a machine that needs a second for this, the click came when it counts, and shows nothing.
    if begin.elapsed() < Duration::from_millis(900) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(scene.sign_ins_begun(), 0);
    }
}

/// Both decisions are in sight on a phone before anything is scrolled, however much a client says, and
/// nothing lies over them.
#[tokio::test]
async fn the_decision_is_in_sight_on_a_phone() {
    let scene = Scene::set().await;
    let most = json!({
        "client_name": "An application with a name that is as long as a name can be without being cut o",
        "redirect_uris": ["https://a-rather-long-host-name-of-a-web-application.example.com/callback"],
    });
    let most = Client::registered(&scene.server, most).await;
    scene.chromium.look(PHONE, false).await;
    for client in [&scene.client, &most] {
        scene.chromium.open(&client.authorize_url(&scene.server, &[])).await;
        scene.chromium.settle().await;
        for decision in ["approve", "deny", "approve_other_account"] {
            let hit = format!(
                "const b = document.querySelector('button[value={decision}]'), r = b.getBoundingClientRect();
                 return scrollY === 0 && r.top >= 0 && r.bottom <= innerHeight && innerHeight === {} &&
                     document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2) === b",
                PHONE.1
            );
            assert_eq!(scene.chromium.evaluate(&hit).await, json!(true), "{decision}");
        }
    }
}

/// Shows: HDR-2.
#[tokio::test]
async fn no_javascript_is_needed() {
    let mut scene = Scene::set().await;
    scene.chromium.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    scene.chromium.open(&scene.client.authorize_url(&scene.server, &[("state", "s")])).await;
    scene.chromium.wait_for_heading(ASKS).await;
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
    let connections = format!("{}/connections", scene.server.url);
    for framed in [consent, notice, connections] {
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

/// A page of another site, such as the Inspector, reads what is meant for clients, refusals included, after the
/// preflights that the browser sends. It reads nothing else.
///
/// Shows: CORS-1, CORS-2, CORS-4.
#[tokio::test]
async fn a_page_of_another_site_reads_what_is_meant_for_clients_and_nothing_else() {
    let scene = Scene::set().await;
    scene.chromium.open(&scene.app.origin).await;
    let fetch = "const [url, init, done] = arguments;
        fetch(url, init).then(
            async answer => done([answer.status, (await answer.json()).error ?? null,
                answer.headers.get('www-authenticate') !== null]),
            () => done(null))";
    let metadata = json!({ "redirect_uris": [scene.app.redirect_uri] }).to_string();
    let (form, json_body) = ("application/x-www-form-urlencoded", "application/json");
    let (refresh, basic) = ("grant_type=refresh_token&refresh_token=x", "Basic bm9ib2R5Ong=");
    for (path, headers, sent, read) in [
        ("/.well-known/oauth-authorization-server", json!({}), None, json!([200, null, false])),
        ("/.well-known/openid-configuration", json!({}), None, json!([200, null, false])),
        ("/jwks.json", json!({}), None, json!([200, null, false])),
        ("/register", json!({ "content-type": json_body }), Some(&*metadata), json!([201, null, false])),
        (
            "/register",
            json!({ "content-type": json_body }),
            Some("{}"),
            json!([400, "invalid_redirect_uri", false]),
        ),
        ("/token", json!({ "content-type": form }), Some("x=y"), json!([400, "invalid_request", false])),
        ("/token", json!({ "content-type": json_body }), Some("{}"), json!([400, "invalid_request", false])),
        (
            "/token",
            json!({ "content-type": form, "authorization": basic }),
            Some(refresh),
            json!([401, "invalid_client", true]),
        ),
        (
            "/revoke",
            json!({ "content-type": form, "authorization": basic }),
            Some("token=x"),
            json!([401, "invalid_client", true]),
        ),
        ("/authorize", json!({}), None, json!(null)),
        ("/consent", json!({ "content-type": form }), Some("x=y"), json!(null)),
        ("/pangea/callback", json!({}), None, json!(null)),
        ("/connections", json!({}), None, json!(null)),
        (
            "/introspect",
            json!({ "content-type": form, "authorization": basic }),
            Some("token=x"),
            json!(null),
        ),
        ("/", json!({}), None, json!(null)),
    ] {
        // The header of MCP clients makes every request one that needs a preflight.
        let mut headers = headers;
        headers["mcp-protocol-version"] = "2026-07-28".into();
        let method = if sent.is_some() { "POST" } else { "GET" };
        let init = json!({ "method": method, "headers": headers, "body": sent });
        let arguments = vec![json!(format!("{}{path}", scene.server.url)), init];
        let seen = scene.chromium.client.execute_async(fetch, arguments).await.unwrap();
        assert_eq!(seen, read, "{method} {path}");
    }
}

/// Shows: AUTHZ-27.
#[tokio::test]
async fn nobody_is_sent_to_a_strangers_host_without_a_click() {
    let scene = Scene::set().await;
    let stranger = json!({ "redirect_uris": ["https://app.example.net/callback"], "client_name": "Notes" });
    let stranger = Client::registered(&scene.server, stranger).await;
    let refused = stranger.authorize_url(&scene.server, &[("scope", "no\"such\"scope")]);
    scene.chromium.open(&refused).await;
    scene.chromium.wait_for_heading("This request cannot be granted").await;
    let link = scene.chromium.find("a.button").await.attr("href").await.unwrap().unwrap();
    let answer: BTreeMap<_, _> = query(&link);
    assert_eq!([&answer["error"], &answer["state"]], ["invalid_scope", "client-state"]);
    let asked = scene.chromium.requested().await;
    assert!(asked.iter().all(|url| url.origin().ascii_serialization() == scene.server.origin), "{asked:?}");
}

/// A script on our own origin, where an MCP server may have put one, has our cookies and may read our
/// pages. It gets no page of ours to read, and cannot decide in the user's place.
///
/// Shows: CONSENT-7.
#[tokio::test]
async fn a_script_of_our_own_origin_gets_no_code() {
    let mut scene = Scene::set().await;
    let authorize = scene.client.authorize_url(&scene.server, &[("state", "s")]);
    let script = async |source: &str, args: Vec<Value>| {
        scene.chromium.open(&format!("{}/healthz", scene.server.url)).await;
        scene.chromium.client.execute_async(source, args).await.unwrap()
    };
    let read = "fetch(arguments[0], { credentials: 'include' })
        .then(async r => arguments[1]([r.status, (await r.text()).includes('transaction')]))";
    assert_eq!(script(read, vec![json!(authorize)]).await, json!([403, false]));
    let (url, body) = authorize.split_once('?').unwrap();
    let post = "const type = { 'Content-Type': 'application/x-www-form-urlencoded' };
        fetch(arguments[0], { method: 'POST', headers: type, body: arguments[1], redirect: 'manual' })
            .then(async r => arguments[2]([r.status, (await r.text()).includes('transaction')]))";
    assert_eq!(script(post, vec![json!(url), json!(body)]).await, json!([403, false]));

    // The user looks at the page, and the script knows what its form holds.
    scene.ask("s").await;
    let held = transaction(&scene).await;
    let consent = json!(format!("{}/consent", scene.server.url));
    let form = json!(format!("transaction={held}&decision=approve"));
    assert_eq!(script(post, vec![consent.clone(), form]).await, json!([403, false]));
    // Without a click: scripts that Chromium's own tools run count as one.
    let submit = format!(
        "const put = (tag, set) => Object.assign(document.createElement(tag), set);
         const form = put('form', {{ method: 'post', action: {consent} }});
         form.append(put('input', {{ name: 'transaction', value: '{held}' }}));
         form.append(put('input', {{ name: 'decision', value: 'approve' }}));
         document.body.append(form); form.submit()"
    );
    scene.chromium.open(&format!("{}/healthz", scene.server.url)).await;
    scene.chromium.devtools("Runtime.evaluate", json!({ "expression": submit, "userGesture": false })).await;
    scene.chromium.wait_for_heading("Please press the button yourself").await;
    assert_eq!(scene.sign_ins_begun(), 0);
    assert!(scene.app.is_quiet());

    // What the user does still counts.
    scene.ask("s").await;
    set_transaction(&scene, &held).await;
    scene.chromium.press("approve").await;
    scene.sign_in().await;
    scene.connected("s").await;
}

/// Cookies are shared between ports: another server of our host approves a request itself and plants our
/// cookies in the browser that it sends to the upstream.
#[tokio::test]
async fn a_neighbour_that_approves_in_the_users_place_has_the_user_asked() {
    let mut scene = Scene::set().await;
    let mut neighbour = Browser::new();
    let page = neighbour.get(&scene.client.authorize_url(&scene.server, &[("state", "planted")])).await;
    let approved = neighbour.decide(&page, "approve").await;
    let upstream = approved.location().unwrap();
    let planted = neighbour.cookies.iter().map(|((_, name), value)| format!("{name}={value}; Path=/"));
    let trap = planted
        .fold(Act::new(303, "").with("location", upstream), |act, cookie| act.with("set-cookie", cookie));
    let trap = Scripted::start(move |_| trap.clone()).await;

    scene.chromium.open(&trap.origin).await;
    scene.sign_in().await;
    scene.chromium.wait_for_heading(&format!("Let Test client use {}?", scene.server.resource)).await;
    assert!(scene.app.is_quiet(), "nothing before the user agrees");
    assert_eq!(scene.server.stored_grants().len(), 0);
    let address = scene.chromium.client.current_url().await.unwrap();
    assert!(!address.as_str().contains("code="), "{address}");
    scene.chromium.press("deny").await;
    assert_eq!(scene.app.answer().await["error"], "access_denied");
    assert_eq!(scene.server.stored_grants().len(), 0);
}

/// The page after the sign-in works with a real browser's forms, cookies and headers.
#[tokio::test]
async fn who_is_not_admitted_uses_another_account() {
    let sections = "[access]\nemails = [\"ada@example.com\"]";
    let mut scene = Scene::with(Options { sections, ..Options::default() }).await;
    scene
        .server
        .upstream
        .switches()
        .authorize
        .set(|settings| settings.session = Some("eve@example.com".to_owned()));
    scene.ask("s").await;
    scene.chromium.press("approve").await;
    scene.chromium.wait_for_heading("This account has no access").await;
    scene.chromium.press("approve_other_account").await;
    scene.chromium.wait_for_heading("Sign in").await;
    let email = scene.chromium.find("#email").await;
    email.clear().await.unwrap();
    email.send_keys("ada@example.com").await.unwrap();
    scene.sign_in().await;
    scene.connected("s").await;
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

/// Goes to the consent page and stops its clock in its first second, which a busy machine may miss.
async fn open_afresh(scene: &Scene) {
    for _ in 0..20 {
        scene.chromium.open(&scene.client.authorize_url(&scene.server, &[("state", "s")])).await;
        let pause =
            "const all = document.getAnimations(); all.forEach(one => one.pause()); return all.length";
        if scene.chromium.evaluate(pause).await != json!(0) {
            return;
        }
    }
    panic!("nothing on the page waits");
}

/// Makes the page as old as this, in milliseconds; it grows no older.
async fn stop_the_clock(scene: &Scene, moment: u32) {
    let set = format!("document.getAnimations().forEach(one => {{ one.currentTime = {moment} }})");
    scene.chromium.evaluate(&set).await;
}

/// The middle of a button, hidden or not.
async fn place(scene: &Scene, decision: &str) -> (f64, f64) {
    let middle = format!(
        "const r = document.querySelector('button[value={decision}]').getBoundingClientRect();
         return [r.left + r.width / 2, r.top + r.height / 2]"
    );
    serde_json::from_value(scene.chromium.evaluate(&middle).await).unwrap()
}

async fn click(scene: &Scene, decision: &str) {
    click_at(scene, place(scene, decision).await, 1).await;
}

/// Clicks, as often as said, without a pause.
async fn click_at(scene: &Scene, (x, y): (f64, f64), times: usize) {
    let move_there = PointerAction::MoveTo { duration: None, x, y };
    let mut mouse = MouseActions::new("mouse".to_owned()).then(move_there);
    for _ in 0..times {
        mouse = mouse.then(PointerAction::Down { button: MOUSE_BUTTON_LEFT });
        mouse = mouse.then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    }
    scene.chromium.client.perform_actions(mouse).await.unwrap();
}

async fn press_key(scene: &Scene, key: Key) {
    let value = char::from(key);
    let keys =
        KeyActions::new("keys".to_owned()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
    let pressed: Result<(), CmdError> = scene.chromium.client.perform_actions(Actions::from(keys)).await;
    pressed.unwrap();
}
