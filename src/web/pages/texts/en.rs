//! English.

use super::{
    AccessTexts, ConnectionsTexts, ConsentTexts, ContinueTexts, DestinationTexts, DocumentTexts, FooterTexts,
    Notice, Notices, ReferenceTexts, SignedInTexts, SpanTexts, Texts,
};

pub static EN: Texts = Texts {
    tag: "en",
    consent: ConsentTexts {
        asks_for_access: ["", " asks for access"],
        registered_by_operator: "The operator of this service registered this app.",
        published_by: ["The website ", " publishes this app"],
        under_the_name: [" under the name ", ". No one has checked that name."],
        without_name: ".",
        could_be_imitated: "Another program on your device could pretend to be this app.",
        chose_its_name: "The app chose this name itself. No one has checked it.",
        gave_no_name: "The app did not give a name.",
        allow: "Allow",
        decline: "Decline",
        allow_with_another_account: "Allow with another account",
        next_sign_in: ["Next, you sign in with ", "."],
        asked_to_share: ["It is asked to share ", "."],
        ends_unused: ["Access ends when the app has not used it for ", ", and after ", " at the latest."],
        ends_after: ["Access ends after ", "."],
        end_at_any_time: ["You can end it at any time at ", "."],
        about_this_app: "About this app",
        website: "Website",
        privacy_policy: "Privacy policy",
        terms: "Terms",
        full_address: "Full address",
        app_id: "App ID",
    },
    destination: DestinationTexts {
        sent_back_to: "You will be sent back to",
        known: "This service knows this address.",
        this_computer: "That is an app on your own computer. Allow only if you have just started this yourself.",
        app_link: [
            "That opens the app on your device that handles ",
            " links. Allow only if you have just started this yourself.",
        ],
        unknown: "This service does not know this website.",
        decline_if_unknown: "If you don’t recognize it, decline. It would get access in your name.",
    },
    access: AccessTexts {
        access_to: "Access to",
        what_it_may_do: "What it may do",
        no_permission: "Use this server as you. It asks for no particular permission.",
        user: "Know who you are",
        offline_access: "Keep access while you are away, until you or the operator ends it",
    },
    signed_in: SignedInTexts {
        no_access: "This account has no access",
        let_app_use: ["Let ", " use ", "?"],
        signed_in_as: ["You are signed in as ", "."],
        not_given_access: "The operator of this service has not given this account access.",
        use_another_or_ask: "Use another account, or ask the operator.",
        use_another_account: "Use another account",
        cancel: "Cancel",
    },
    connections: ConnectionsTexts {
        title: "Your connected apps",
        what_for: "Sign in to see which apps have access in your name, and to disconnect them.",
        sign_in_with: ["Sign in with ", ""],
        not_signed_in: "You could not be signed in. Try again.",
        done: "Done. This page shows what is connected now.",
        ends_at_once: [
            "When you disconnect an app, its access ends at once. A server that checks access on its own may notice up to ",
            " later.",
        ],
        none: "No app is connected in your name.",
        none_older: "There are no older connections.",
        not_searched: "Older connections have not been searched yet.",
        calls_itself: ["It calls itself ", ". No one has checked that name."],
        runs: "The app runs",
        on_a_computer: "on one of your computers",
        on_a_device: "on one of your devices",
        allowed: "Allowed",
        allowed_from: "Allowed from",
        last_used: "Last used",
        not_used: "not yet",
        disconnect: "Disconnect",
        disconnect_all: "Disconnect all",
        disconnect_older: "Disconnect these and all older ones",
        confirm_all: "These apps lose access at once. You can connect each of them again later.",
        show_older: "Show older connections",
        sign_out: "Sign out",
    },
    spans: SpanTexts {
        minutes: ["minute", "minutes"],
        hours: ["hour", "hours"],
        days: ["day", "days"],
        ago: ["", " ago"],
        just_now: "just now",
    },
    reference: ReferenceTexts { reference: "Reference", quote_it: "If you ask for help, quote this code." },
    continuing: ContinueTexts {
        declined: "You declined",
        gets_no_access: "The app gets no access.",
        took_too_long: "This took too long",
        not_finished_in_time: "The sign-in was not finished in time. Go back to the app and start it again.",
        not_granted: "This request cannot be granted",
        not_possible: ["The app asked for something that is not possible here: ", "."],
        app_is_at: "The app is at",
        not_been_sent: "You have not been sent there.",
        return_if_known: "This service does not know this address. Return only if you recognize it; otherwise close \
                          this page.",
        return_to: ["Return to ", ""],
    },
    notices: Notices {
        went_wrong: Notice {
            title: "Something went wrong here",
            what_happened: "The server could not handle the request.",
            what_to_do: "Try again from the app. If it happens again, send the code below to the operator of this \
                         service.",
        },
        too_many: Notice {
            title: "Too many requests",
            what_happened: "More sign-ins come from your network than usual.",
            what_to_do: "Wait a moment, then try again.",
        },
        unknown_app: Notice {
            title: "This app is not known here",
            what_happened: "The app that sent you is not registered with this server. Its registration may have \
                            expired.",
            what_to_do: "Go back to the app, remove this connection and add it again. The app then registers again.",
        },
        bad_address: Notice {
            title: "This app's return address is not accepted",
            what_happened: "This server no longer sends anyone to the address that the app registered. Following it \
                            could start another program or change the answer.",
            what_to_do: "Update the app, remove this connection and add it again. If that does not help, send the \
                         code below to the makers of the app.",
        },
        unavailable: Notice {
            title: "Not available right now",
            what_happened: "The server cannot look up the app at the moment.",
            what_to_do: "Wait a moment, then try again from the app.",
        },
        unusable: Notice {
            title: "This request cannot be used",
            what_happened: "The app that sent you made a request that this server cannot answer safely.",
            what_to_do: "Go back to the app and start again. If it happens again, send the code below to the makers \
                         of the app.",
        },
        not_to_be_opened: Notice {
            title: "There is no page here",
            what_happened: "This address only takes your answer to an earlier question.",
            what_to_do: "If an app sent you here, go back to it and start the sign-in again.",
        },
        forged: Notice {
            title: "This form does not belong to this browser",
            what_happened: "Your answer did not come from the page that this browser was shown, or the browser does \
                            not keep cookies.",
            what_to_do: "Allow cookies for this site, then go back to the app and start the sign-in again.",
        },
        decided: Notice {
            title: "This request has been answered",
            what_happened: "You have already answered this request. Each request can be answered only once.",
            what_to_do: "If the app is not connected yet, go back to it and start the sign-in again.",
        },
        unattended: Notice {
            title: "Please press the button yourself",
            what_happened: "Your browser did not confirm that you pressed a button, so nothing has been decided.",
            what_to_do: "Go back one page and press the button again.",
        },
        no_navigation: Notice {
            title: "This page opens only in its own window",
            what_happened: "Another page requested it in a script or a frame.",
            what_to_do: "Go back to the app and start the sign-in again.",
        },
        busy: Notice {
            title: "Too many sign-ins at the moment",
            what_happened: "The server is completing as many sign-ins as it can.",
            what_to_do: "Wait a few seconds, then reload this page.",
        },
        lost: Notice {
            title: "This sign-in cannot be completed",
            what_happened: "It was started in another browser, took too long, or has already been completed.",
            what_to_do: "If the app is not connected yet, go back to it and start the sign-in again in this browser.",
        },
        completed: Notice {
            title: "This sign-in has been completed",
            what_happened: "Each sign-in can be completed only once.",
            what_to_do: "If the app is not connected yet, go back to it and start the sign-in again.",
        },
        no_page: Notice {
            title: "There is no page here",
            what_happened: "The address may be incomplete or out of date.",
            what_to_do: "If an app sent you here, go back to it and start the sign-in again.",
        },
        root_title: "This is a sign-in service",
        root_happened: [
            "When you connect an app to one of the servers behind this service, the app sends you here. You decide \
             what it may do, then sign in with ",
            ".",
        ],
        root_to_do: "There is nothing to do on this page. To connect an app, start in the app.",
    },
    documents: DocumentTexts {
        host_title: "This app is not accepted here",
        host_happened: ["The operator of this service does not accept apps of ", "."],
        host_to_do: "If you need this app, ask the operator of this service.",
        unavailable_title: "This app cannot be looked up",
        unavailable_happened: [
            "The app describes itself at ",
            ". This server could not get that document: it must be on a public https address, and be answered within \
             five seconds with status 200, without a redirect.",
        ],
        unavailable_to_do: "Wait a minute, then try again from the app. If it happens again, send this page to the \
                            makers of the app.",
        invalid_title: "This app describes itself wrongly",
        invalid_happened: ["The app describes itself at ", ". That document cannot be used: ", "."],
        invalid_to_do: "Send this page to the makers of the app. They must correct the document.",
    },
    footer: FooterTexts { help: "Help", privacy_policy: "Privacy policy" },
};
