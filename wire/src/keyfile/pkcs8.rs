//! The seed of an ed25519 key in PKCS#8 (RFC 5208, RFC 5958, RFC 8410), in PEM or DER.

use ed25519_dalek::SigningKey;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};

/// id-Ed25519 of RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What a PEM file begins with; text may stand before it.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
/// The tag of an ASN.1 sequence, with which DER begins. No JSON does.
const DER_SEQUENCE: u8 = 0x30;
/// Tag and length of the octet string in which RFC 8410 wraps the 32 bytes of the seed.
const SEED_HEADER: [u8; 2] = [0x04, 0x20];

/// The seed in `content`; none where it is not PKCS#8 at all.
///
/// # Errors
/// It is, and holds no usable ed25519 key; in words.
pub fn seed(content: &[u8]) -> Result<Option<[u8; 32]>, String> {
    if content.windows(PEM_BEGIN.len()).any(|at| at == PEM_BEGIN) {
        let pem = pem::parse(content).map_err(|e| format!("not PEM: {e}"))?;
        return match pem.tag() {
            "PRIVATE KEY" => of_der(pem.contents()).map(Some),
            "ENCRYPTED PRIVATE KEY" => Err("it is encrypted, and nobody is there to ask for the passphrase".into()),
            other => Err(format!("PEM of \"{other}\", where \"PRIVATE KEY\" belongs")),
        };
    }
    // "0" alone begins JSON as well as DER; a file with a number in it is no key either way.
    if content.first() == Some(&DER_SEQUENCE) { of_der(content).map(Some) } else { Ok(None) }
}

fn of_der(der: &[u8]) -> Result<[u8; 32], String> {
    let info = PrivateKeyInfo::try_from(der).map_err(|e| format!("not PKCS#8: {e}"))?;
    if info.algorithm.oid != ED25519 {
        return Err(format!("a key of algorithm {}, where ed25519 ({ED25519}) belongs", info.algorithm.oid));
    }
    let seed = info.private_key.strip_prefix(&SEED_HEADER).and_then(|seed| <[u8; 32]>::try_from(seed).ok());
    let seed = seed.ok_or("its secret half is not 32 bytes")?;
    let public = SigningKey::from_bytes(&seed).verifying_key();
    match info.public_key {
        Some(given) if given != public.as_bytes() => Err("its public half is not that of its secret half".into()),
        Some(_) | None => Ok(seed),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path, process::Command};

    use super::*;
    use crate::keyfile::{self, KeyError};

    /// Runs openssl, which Debian's package of that name brings.
    fn openssl(arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(arguments).output();
        let output = output.expect("this test needs openssl: install the Debian package openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn write(path: &Path, content: &[u8]) {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(content).unwrap();
    }

    fn public_of(path: &Path) -> [u8; 32] {
        SigningKey::from_bytes(&keyfile::read(path).unwrap()).verifying_key().to_bytes()
    }

    #[test]
    fn keys_of_openssl_are_read_in_both_forms_and_are_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let (pem, der) = (dir.path().join("key.pem"), dir.path().join("key.der"));
        write(&pem, &openssl(&["genpkey", "-algorithm", "ed25519"]));
        let path = pem.to_str().unwrap();
        write(&der, &openssl(&["pkey", "-in", path, "-outform", "DER"]));
        // The last 32 bytes of the public key's DER are the key itself.
        let public = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
        let public = &public[public.len() - 32..];
        assert_eq!(public_of(&pem), public);
        assert_eq!(public_of(&der), public);
        let comment = dir.path().join("comment.pem");
        let text = [b"the oracle's key\n".as_slice(), &std::fs::read(&pem).unwrap()].concat();
        write(&comment, &text);
        assert_eq!(public_of(&comment), public);
    }

    #[test]
    fn other_keys_and_broken_files_say_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let plain = openssl(&["genpkey", "-algorithm", "ed25519"]);
        let source = dir.path().join("plain.pem");
        write(&source, &plain);
        let plain_path = source.to_str().unwrap();
        let mut cut = openssl(&["pkey", "-in", plain_path, "-outform", "DER"]);
        cut.pop();
        let cases: [(&str, Vec<u8>, &str); 6] = [
            ("rsa", openssl(&["genpkey", "-algorithm", "rsa"]), "algorithm 1.2.840.113549.1.1.1"),
            ("x25519", openssl(&["genpkey", "-algorithm", "x25519"]), "algorithm 1.3.101.110"),
            (
                "locked",
                openssl(&["pkcs8", "-topk8", "-in", plain_path, "-passout", "pass:x"]),
                "it is encrypted, and nobody is there",
            ),
            ("public", openssl(&["pkey", "-in", plain_path, "-pubout"]), "PEM of \"PUBLIC KEY\""),
            ("cut", cut, "not PKCS#8"),
            ("torn", plain[..40].to_vec(), "not PEM"),
        ];
        for (name, content, why) in cases {
            let path = dir.path().join(name);
            write(&path, &content);
            let error = keyfile::read(&path).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{name}");
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn a_public_half_that_does_not_belong_is_refused() {
        // Version 2 of RFC 5958 with a public key, from RFC 8410, section 10.3.
        const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
            MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
            Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PRIVATE KEY-----\n";
        let der = pem::parse(PEM).unwrap().into_contents();
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        match seed(PEM.as_bytes()) {
            Ok(Some(seed)) => {
                let found: String = SigningKey::from_bytes(&seed)
                    .verifying_key()
                    .as_bytes()
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                assert_eq!(found, public);
            }
            other => panic!("{other:?}"),
        }
        let mut wrong = der;
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(of_der(&wrong).unwrap_err(), "its public half is not that of its secret half");
    }
}
