//! The words of the pages, with one file per language.
//!
//! [`Texts`] has one field per text, so a language that lacks a text does not compile. Texts are plain: the
//! templates escape them and add the markup.

mod de;
mod en;
mod es;
mod fr;
mod ja;
mod zh;

use std::time::Duration;

pub use en::EN;

/// Every language. The first is used if the browser accepts none of them.
pub static LANGUAGES: [&Texts; 6] = [&EN, &de::DE, &fr::FR, &es::ES, &ja::JA, &zh::ZH];

/// The parts of a sentence before and after a value, which the page adds.
pub type Around = [&'static str; 2];

/// The sentence with its value.
#[must_use]
pub fn fill(sentence: Around, value: impl std::fmt::Display) -> String {
    let [before, after] = sentence;
    format!("{before}{value}{after}")
}

/// The words of a page that only informs.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    pub title: &'a str,
    pub what_happened: &'a str,
    pub what_to_do: &'a str,
}

/// Everything that a page says in one language.
#[derive(Debug)]
pub struct Texts {
    /// The language tag (BCP 47) for `<html lang>` and `Content-Language`.
    pub tag: &'static str,
    pub consent: ConsentTexts,
    pub destination: DestinationTexts,
    pub access: AccessTexts,
    pub signed_in: SignedInTexts,
    pub connections: ConnectionsTexts,
    pub spans: SpanTexts,
    pub reference: ReferenceTexts,
    pub continuing: ContinueTexts,
    pub notices: Notices,
    pub documents: DocumentTexts,
    pub footer: FooterTexts,
}

/// The question before the sign-in.
#[derive(Debug)]
pub struct ConsentTexts {
    /// Around the app.
    pub asks_for_access: Around,
    pub registered_by_operator: &'static str,
    /// Around the website.
    pub published_by: Around,
    /// Around the name that the app gave itself. Continues `published_by`.
    pub under_the_name: Around,
    /// Ends `published_by` if there is no name.
    pub without_name: &'static str,
    pub could_be_imitated: &'static str,
    pub chose_its_name: &'static str,
    pub gave_no_name: &'static str,
    pub allow: &'static str,
    pub decline: &'static str,
    pub allow_with_another_account: &'static str,
    /// Around the identity provider.
    pub next_sign_in: Around,
    /// Around the list of scopes.
    pub asked_to_share: Around,
    /// Before how long the app may leave its access unused, between that and how long the access lasts at most, and
    /// after it.
    pub ends_unused: [&'static str; 3],
    /// Around how long the access lasts.
    pub ends_after: Around,
    /// Around the address of the page of connected clients.
    pub end_at_any_time: Around,
    pub about_this_app: &'static str,
    pub website: &'static str,
    pub privacy_policy: &'static str,
    pub terms: &'static str,
    pub full_address: &'static str,
    pub app_id: &'static str,
}

/// Where the user is sent back to.
#[derive(Debug)]
pub struct DestinationTexts {
    pub sent_back_to: &'static str,
    pub known: &'static str,
    pub this_computer: &'static str,
    /// Around the scheme of the links.
    pub app_link: Around,
    /// Shown in bold before `decline_if_unknown`.
    pub unknown: &'static str,
    pub decline_if_unknown: &'static str,
}

/// What is granted.
#[derive(Debug)]
pub struct AccessTexts {
    pub access_to: &'static str,
    pub what_it_may_do: &'static str,
    pub no_permission: &'static str,
    /// The scope `user`, unless the operator describes it.
    pub user: &'static str,
    /// The scope `offline_access`, unless the operator describes it.
    pub offline_access: &'static str,
}

/// The question after the sign-in.
#[derive(Debug)]
pub struct SignedInTexts {
    pub no_access: &'static str,
    /// Before the app, between the app and the MCP server, and after it.
    pub let_app_use: [&'static str; 3],
    /// Around the account.
    pub signed_in_as: Around,
    pub not_given_access: &'static str,
    pub use_another_or_ask: &'static str,
    pub use_another_account: &'static str,
    pub cancel: &'static str,
}

/// The page of connected clients.
#[derive(Debug)]
pub struct ConnectionsTexts {
    pub title: &'static str,
    pub what_for: &'static str,
    /// Around the identity provider.
    pub sign_in_with: Around,
    pub not_signed_in: &'static str,
    pub done: &'static str,
    /// Around how long an MCP server may accept the last token.
    pub ends_at_once: Around,
    pub none: &'static str,
    pub none_older: &'static str,
    /// Grants of earlier releases are searched in steps.
    pub not_searched: &'static str,
    /// Around the name that an app with a document gave itself.
    pub calls_itself: Around,
    pub runs: &'static str,
    pub on_a_computer: &'static str,
    pub on_a_device: &'static str,
    pub allowed: &'static str,
    /// Labels an IP address.
    pub allowed_from: &'static str,
    pub last_used: &'static str,
    pub not_used: &'static str,
    pub disconnect: &'static str,
    pub disconnect_all: &'static str,
    pub disconnect_older: &'static str,
    pub confirm_all: &'static str,
    pub show_older: &'static str,
    pub sign_out: &'static str,
}

/// Spans of time.
#[derive(Debug)]
pub struct SpanTexts {
    /// One, and any other number. The same for the next two.
    pub minutes: [&'static str; 2],
    pub hours: [&'static str; 2],
    pub days: [&'static str; 2],
    /// Around the span.
    pub ago: Around,
    pub just_now: &'static str,
}

impl SpanTexts {
    /// In the largest unit that divides the span, at least a minute.
    #[must_use]
    pub fn exact(&self, span: Duration) -> String {
        let minutes = span.as_secs().div_ceil(60).max(1);
        match minutes {
            whole if whole % DAY == 0 => counted(whole / DAY, self.days),
            whole if whole % HOUR == 0 => counted(whole / HOUR, self.hours),
            _ => counted(minutes, self.minutes),
        }
    }

    /// How long ago something was, in the largest unit that has passed.
    #[must_use]
    pub fn ago(&self, span: Duration) -> String {
        let minutes = span.as_secs() / 60;
        let passed = match minutes {
            0 => return self.just_now.to_owned(),
            DAY.. => counted(minutes / DAY, self.days),
            HOUR.. => counted(minutes / HOUR, self.hours),
            _ => counted(minutes, self.minutes),
        };
        fill(self.ago, passed)
    }
}

/// In minutes.
const HOUR: u64 = 60;
const DAY: u64 = 24 * HOUR;

fn counted(number: u64, [one, other]: [&str; 2]) -> String {
    format!("{number} {}", if number == 1 { one } else { other })
}

#[derive(Debug)]
pub struct ReferenceTexts {
    pub reference: &'static str,
    pub quote_it: &'static str,
}

/// The page that leads back to the app.
#[derive(Debug)]
pub struct ContinueTexts {
    pub declined: &'static str,
    pub gets_no_access: &'static str,
    pub took_too_long: &'static str,
    pub not_finished_in_time: &'static str,
    pub not_granted: &'static str,
    /// Around the reason for the app's developer, in English.
    pub not_possible: Around,
    pub app_is_at: &'static str,
    /// Shown in bold before `return_if_known`.
    pub not_been_sent: &'static str,
    pub return_if_known: &'static str,
    /// Around the host.
    pub return_to: Around,
}

/// Pages for requests that lead nowhere.
#[derive(Debug)]
pub struct Notices {
    pub went_wrong: Notice<'static>,
    pub too_many: Notice<'static>,
    pub unknown_app: Notice<'static>,
    pub bad_address: Notice<'static>,
    pub unavailable: Notice<'static>,
    pub unusable: Notice<'static>,
    pub not_to_be_opened: Notice<'static>,
    pub forged: Notice<'static>,
    pub decided: Notice<'static>,
    pub unattended: Notice<'static>,
    pub no_navigation: Notice<'static>,
    pub busy: Notice<'static>,
    pub lost: Notice<'static>,
    pub completed: Notice<'static>,
    pub no_page: Notice<'static>,
    pub root_title: &'static str,
    /// Around the identity provider.
    pub root_happened: Around,
    pub root_to_do: &'static str,
}

/// Pages about a client metadata document.
#[derive(Debug)]
pub struct DocumentTexts {
    pub host_title: &'static str,
    /// Around the host.
    pub host_happened: Around,
    pub host_to_do: &'static str,
    pub unavailable_title: &'static str,
    /// Around the URL.
    pub unavailable_happened: Around,
    pub unavailable_to_do: &'static str,
    pub invalid_title: &'static str,
    /// Before the URL, between the URL and the rule that the document breaks (in English), and after it.
    pub invalid_happened: [&'static str; 3],
    pub invalid_to_do: &'static str,
}

/// The operator's own pages.
#[derive(Debug)]
pub struct FooterTexts {
    pub help: &'static str,
    pub privacy_policy: &'static str,
}
