//! URI schemes: which can belong to an application, and which have another purpose.
//!
//! What a scheme does depends on the machine, and new schemes appear every month. A list of dangerous schemes
//! cannot be complete, so the form of the URI counts as well: see [`super::redirect`].

/// Schemes with another purpose, one per line. Comments begin with `#`.
const RESERVED: &str = include_str!("reserved_schemes.txt");

/// MCP clients' own schemes. Two of them are in the IANA registry; the others may follow.
const MCP_CLIENTS: [&str; 16] = [
    "chatgpt",
    "claude",
    "codex",
    "cursor",
    "goose",
    "jetbrains",
    "kiro",
    "lmstudio",
    "raycast",
    "trae",
    "vscode",
    "vscode-insiders",
    "vscodium",
    "warp",
    "windsurf",
    "zed",
];

/// Whether an application may claim `scheme` (RFC 8252 section 7.1): a valid scheme (RFC 3986 section 3.1) in
/// any case, other than web schemes and schemes with another purpose.
#[must_use]
pub fn is_private_use(scheme: &str) -> bool {
    let scheme = scheme.to_ascii_lowercase();
    let spelled = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    spelled && (MCP_CLIENTS.contains(&scheme.as_str()) || !is_reserved(&scheme))
}

/// On Windows, every scheme that begins with `ms-` belongs to the system.
fn is_reserved(scheme: &str) -> bool {
    scheme.starts_with("ms-") || RESERVED.lines().any(|reserved| reserved == scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dcr_6_a_scheme_with_another_purpose_is_no_applications() {
        for scheme in [
            "http",
            "https",
            "HTTPS",
            "file",
            "data",
            "javascript",
            "JavaScript",
            "vbscript",
            "blob",
            "about",
            "ms-appinstaller",
            "ms-unheard-of",
            "MS-Settings",
            "search",
            "search-ms",
            "shell",
            "applescript",
            "itms",
            "itms-services",
            "microsoft-edge",
            "microsoft.windows.camera",
            "x-apple.systempreferences",
            "telnet",
            "sftp",
            "vnc",
            "ssh",
            "smb",
            "tel",
            "mailto",
            "facetime",
            "magnet",
            "z39.50",
            "iris.beep",
            "view-source",
            "intent",
            "jnlp",
            "",
            "1a",
            "-a",
            "a b",
            "a/b",
            "\u{fc}ber",
            "#",
        ] {
            assert!(!is_private_use(scheme), "{scheme:?}");
        }
    }

    #[test]
    fn dcr_6_applications_and_known_mcp_clients_keep_their_schemes() {
        for scheme in MCP_CLIENTS.into_iter().chain([
            "Cursor",
            "my-editor",
            "obsidian",
            "com.example.app",
            "com.googleusercontent.apps.123-abc",
            "app1",
        ]) {
            assert!(is_private_use(scheme), "{scheme:?}");
        }
    }

    #[test]
    fn every_line_of_the_list_is_a_scheme_in_lower_case_or_a_comment() {
        for line in RESERVED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
            assert!(line.bytes().all(plain), "{line:?}");
        }
    }
}
