//! Addresses of endpoints that carry a secret: a provider's key in the path, the query or before the host. What is
//! printed, served or sent names the host only.

/// The part of an address that may be shown, and the parts that may not.
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    host: &'a str,
    rest: &'a str,
}

fn parts(url: &str) -> Parts<'_> {
    let (scheme, after) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let (user, host) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    Parts { scheme, user, host, rest }
}

/// The address without what may be secret, and a mark where there was anything.
#[must_use]
pub fn shown(url: &str) -> String {
    let Parts { scheme, user, host, rest } = parts(url);
    let hidden = !user.is_empty() || rest.len() > 1;
    format!("{scheme}{host}{}", if hidden { "/(hidden)" } else { rest })
}

/// A text in which this address may occur, whole or in another spelling, without what may be secret of it.
#[must_use]
pub fn hide(text: &str, url: &str) -> String {
    let Parts { user, rest, .. } = parts(url);
    let mut text = text.replace(url, &shown(url));
    // One character is a slash; it hides nothing.
    for part in [user, rest.trim_end_matches('/')].into_iter().filter(|part| part.len() > 1) {
        text = text.replace(part, "/(hidden)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_shown() {
        let cases = [
            ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
            ("https://rpc.example.net/", "https://rpc.example.net/"),
            ("https://rpc.example.net/v2/SECRET", "https://rpc.example.net/(hidden)"),
            ("https://rpc.example.net?api-key=SECRET", "https://rpc.example.net/(hidden)"),
            ("https://user:SECRET@rpc.example.net:1/", "https://rpc.example.net:1/(hidden)"),
            ("SECRET@x", "x/(hidden)"),
        ];
        for (url, expected) in cases {
            assert_eq!(shown(url), expected);
            let text = format!("no answer from {url}: error for url ({url}/)");
            assert!(!hide(&text, url).contains("SECRET"), "{}", hide(&text, url));
        }
    }

    #[test]
    fn other_spellings_are_found_too() {
        let url = "https://user:SECRET@rpc.example.net/?key=SECRET2";
        let text = "error sending request for url (https://rpc.example.net:443/?key=SECRET2)";
        assert_eq!(hide(text, url), "error sending request for url (https://rpc.example.net:443/(hidden))");
        assert_eq!(hide("no answer from http://a:1", "http://a:1"), "no answer from http://a:1");
    }
}
