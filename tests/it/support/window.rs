//! What a person does in a browser's window, whatever the browser.

use std::time::{Duration, Instant};

use fantoccini::{Client, Locator, elements::Element};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A window of a browser.
pub struct Window {
    /// Steers it.
    pub client: Client,
}

impl Window {
    /// Goes to an address.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no {css} ({error}) in {}", self.client.source().await.unwrap_or_default()),
        }
    }

    /// Waits for a button to be there for a person, and presses it.
    pub async fn press(&self, decision: &str) {
        let button = self.find(&format!("button[value={decision}]")).await;
        let begin = Instant::now();
        while !button.is_displayed().await.unwrap() {
            assert!(begin.elapsed() < PATIENCE, "the button {decision} stays hidden");
            tokio::time::sleep(PAUSE).await;
        }
        button.click().await.unwrap();
    }

    /// Waits until nothing on the page changes any more with time.
    pub async fn settle(&self) {
        let settled = "const done = arguments[0];
            Promise.all(document.getAnimations().map(animation => animation.finished)).then(() => done())";
        self.client.execute_async(settled, vec![]).await.unwrap();
    }

    /// Waits until the page's heading has this text.
    pub async fn wait_for_heading(&self, text: &str) {
        let path = format!("//h1[normalize-space()='{text}']");
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        let page = self.client.source().await.unwrap_or_default();
        assert!(found.is_ok(), "the heading is not {text:?} in {page}");
    }

    /// What JavaScript, from outside the page's own policy, gives for `return …`.
    pub async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }
}
