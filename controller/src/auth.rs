//! How an agent proves itself: a signature of the device's agent key over a nonce, against the ledger, for a session.
//!
//! A nonce carries its own time and a tag of this controller's secret, so that asking for one leaves nothing behind; only
//! those that a right signature has used are remembered, until they would have expired. Sessions end with their
//! time, with a change of the device's agent key, and with the controller. Pure but for the random numbers that
//! come in: time is a parameter.
//!
//! A session is opened in three steps, [`Gate::challenge`], [`Challenge::prove`], [`Gate::admit`], so that the signature is
//! verified while nobody holds the gate.

use std::collections::{BTreeMap, VecDeque};

use causeway_interface::{Code, Key};
use causeway_wire::signing;
use tokio::sync::oneshot;

/// How long a nonce is good: a few round trips.
pub const NONCE_VALID_MS: u64 = 30_000;
/// How long a session is good.
pub const SESSION_VALID_MS: u64 = 3_600_000;
/// Sessions per device: an agent, its successor after a restart, and one more; the oldest ends.
const SESSIONS_PER_DEVICE: usize = 3;
/// Used nonces per device that are remembered. Whoever opens more sessions in the time of a nonce is refused.
const NONCES_PER_DEVICE: usize = 64;

const TIME: usize = 8;
const RANDOM: usize = 8;
const NONCE: usize = 32;

/// Why a caller was not let in. Each is told apart by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The device is not on the ledger.
    #[error("the ledger has no such device")]
    UnknownDevice,
    /// The device has no agent key on the ledger.
    #[error("the device has no agent key on the ledger")]
    NoAgentKey,
    /// Not a nonce of this controller for this device.
    #[error("the nonce is not one that this controller gave for this device")]
    ForeignNonce,
    /// The nonce is too old.
    #[error("the nonce has expired")]
    ExpiredNonce,
    /// The nonce was used before.
    #[error("the nonce has been used")]
    UsedNonce,
    /// The signature is not of the device's agent key.
    #[error("the signature is not of the device's agent key")]
    WrongKey,
    /// Too many sessions were opened in a short time.
    #[error("too many sessions were opened in the time of a nonce")]
    TooManySessions,
    /// No token came with the call.
    #[error("the call carries no session token")]
    NoToken,
    /// The token is not known, or its session has ended.
    #[error("the session is unknown or has ended")]
    UnknownSession,
    /// The session's time is over.
    #[error("the session has expired")]
    ExpiredSession,
    /// The session is another device's.
    #[error("the session is another device's")]
    OtherDevice,
}

impl AuthError {
    /// A short name for agents and scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownDevice => "unknown-device",
            Self::NoAgentKey => "no-agent-key",
            Self::ForeignNonce => "foreign-nonce",
            Self::ExpiredNonce => "expired-nonce",
            Self::UsedNonce => "used-nonce",
            Self::WrongKey => "wrong-key",
            Self::TooManySessions => "too-many-sessions",
            Self::NoToken => "no-token",
            Self::UnknownSession => "unknown-session",
            Self::ExpiredSession => "expired-session",
            Self::OtherDevice => "other-device",
        }
    }
}

#[derive(Debug)]
struct Session {
    device: Code,
    agent_key: Key,
    opened_ms: u64,
    /// Dropped when the session's watch is to end: another has begun, or the session is over.
    watch: Option<oneshot::Sender<()>>,
}

/// A nonce of this controller's, in its time, that is to be signed by the device's agent key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    program_id: Key,
    device: Code,
    agent_key: Key,
    nonce: Vec<u8>,
    given_ms: u64,
}

/// A challenge whose signature is right. Nothing else makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven(Challenge);

impl Challenge {
    /// Verifies the signature, which is most of the work: it needs nothing of the gate, so that no session waits for it.
    ///
    /// # Errors
    /// The signature is not of the device's agent key.
    pub fn prove(self, signature: &[u8]) -> Result<Proven, AuthError> {
        let message = signing::session_message(&self.program_id.0, self.device.as_str(), &self.nonce);
        signing::verify(&self.agent_key.0, &message, signature).map_err(|_| AuthError::WrongKey)?;
        Ok(Proven(self))
    }
}

/// Nonces and sessions.
pub struct Gate {
    secret: [u8; 32],
    program_id: Key,
    sessions: BTreeMap<String, Session>,
    by_device: BTreeMap<Code, VecDeque<String>>,
    used: BTreeMap<Code, VecDeque<(u64, Vec<u8>)>>,
}

impl Gate {
    /// With a fresh secret of 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32], program_id: Key) -> Self {
        Self { secret, program_id, sessions: BTreeMap::new(), by_device: BTreeMap::new(), used: BTreeMap::new() }
    }

    /// A nonce for a device.
    #[must_use]
    pub fn nonce(&self, device: &Code, random: [u8; RANDOM], now_ms: u64) -> Vec<u8> {
        let mut nonce = Vec::with_capacity(NONCE);
        nonce.extend_from_slice(&now_ms.to_be_bytes());
        nonce.extend_from_slice(&random);
        let tag = self.tag(device, &nonce);
        nonce.extend_from_slice(&tag);
        nonce
    }

    /// 16 bytes that only this controller can make. Inputs are of fixed length and half of the digest is kept, so that
    /// a keyed plain hash is enough.
    fn tag(&self, device: &Code, head: &[u8]) -> [u8; 16] {
        let digest = signing::sha256(&[self.secret.as_slice(), &device.0, head].concat());
        let mut tag = [0; 16];
        tag.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        tag
    }

    /// What has to be signed for a session. `agent_key` is the ledger's for this device.
    ///
    /// # Errors
    /// The device has no key, or the nonce is not this controller's, or not of now.
    pub fn challenge(&self, device: &Code, agent_key: Key, nonce: &[u8], now_ms: u64) -> Result<Challenge, AuthError> {
        if agent_key.is_zero() {
            return Err(AuthError::NoAgentKey);
        }
        let Some((head, tag)) = nonce.split_at_checked(TIME + RANDOM).filter(|_| nonce.len() == NONCE) else {
            return Err(AuthError::ForeignNonce);
        };
        if !same(&self.tag(device, head), tag) {
            return Err(AuthError::ForeignNonce);
        }
        let given_ms = head.first_chunk::<TIME>().map_or(0, |b| u64::from_be_bytes(*b));
        if now_ms.saturating_sub(given_ms) > NONCE_VALID_MS || given_ms > now_ms.saturating_add(NONCE_VALID_MS) {
            return Err(AuthError::ExpiredNonce);
        }
        Ok(Challenge { program_id: self.program_id, device: *device, agent_key, nonce: nonce.to_vec(), given_ms })
    }

    /// Opens a session. `token` is 32 random bytes.
    ///
    /// # Errors
    /// The nonce was used before, or has expired meanwhile, or too many sessions were opened.
    pub fn admit(&mut self, proven: Proven, token: [u8; 32], now_ms: u64) -> Result<String, AuthError> {
        let Challenge { device, agent_key, nonce, given_ms, .. } = proven.0;
        // What has expired is not remembered as used.
        if now_ms.saturating_sub(given_ms) > NONCE_VALID_MS {
            return Err(AuthError::ExpiredNonce);
        }
        let used = self.used.entry(device).or_default();
        used.retain(|(at, _)| now_ms.saturating_sub(*at) <= NONCE_VALID_MS);
        if used.iter().any(|(_, seen)| *seen == nonce) {
            return Err(AuthError::UsedNonce);
        }
        if used.len() >= NONCES_PER_DEVICE {
            return Err(AuthError::TooManySessions);
        }
        used.push_back((given_ms, nonce));
        let token = hex::encode(token);
        let tokens = self.by_device.entry(device).or_default();
        if tokens.len() >= SESSIONS_PER_DEVICE
            && let Some(oldest) = tokens.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        tokens.push_back(token.clone());
        self.sessions.insert(token.clone(), Session { device, agent_key, opened_ms: now_ms, watch: None });
        Ok(token)
    }

    /// Notes that a session watches from now on; one that watched before ends. What is returned is done when this one is to
    /// end: at once, where there is no such session.
    pub fn watch(&mut self, token: &str) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        if let Some(session) = self.sessions.get_mut(token) {
            session.watch = Some(sender);
        }
        ended
    }

    /// The device whose session this is. `agent_key_of` is the ledger's present word.
    ///
    /// # Errors
    /// Unknown or expired, or the device's agent key is another by now.
    pub fn check(
        &mut self,
        token: &str,
        agent_key_of: impl Fn(&Code) -> Option<Key>,
        now_ms: u64,
    ) -> Result<Code, AuthError> {
        // Tokens are 32 random bytes: how long a look-up takes tells nothing that can be used.
        let session = self.sessions.get(token).ok_or(AuthError::UnknownSession)?;
        let device = session.device;
        let over = now_ms.saturating_sub(session.opened_ms) > SESSION_VALID_MS;
        let key = agent_key_of(&device);
        if over || key != Some(session.agent_key) {
            self.sessions.remove(token);
            if let Some(tokens) = self.by_device.get_mut(&device) {
                tokens.retain(|t| t != token);
            }
            return Err(match key {
                None => AuthError::UnknownDevice,
                Some(_) if over => AuthError::ExpiredSession,
                Some(_) => AuthError::UnknownSession,
            });
        }
        Ok(device)
    }
}

/// Compares in a time that doesn't depend on where the first difference is.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    const PROGRAM: Key = Key([9; 32]);

    fn agent(seed: u8) -> (SigningKey, Key) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = Key(key.verifying_key().to_bytes());
        (key, public)
    }

    fn code(text: &str) -> Code {
        text.parse().unwrap()
    }

    /// All three steps.
    fn open(
        gate: &mut Gate,
        device: &str,
        key: Key,
        nonce: &[u8],
        signature: &[u8],
        token: [u8; 32],
        now_ms: u64,
    ) -> Result<String, AuthError> {
        let proven = gate.challenge(&code(device), key, nonce, now_ms)?.prove(signature)?;
        gate.admit(proven, token, now_ms)
    }

    fn signed(key: &SigningKey, device: &str, nonce: &[u8]) -> [u8; 64] {
        signing::sign(key, &signing::session_message(&PROGRAM.0, device, nonce))
    }

    #[test]
    fn a_right_signature_opens_one_session_and_no_second() {
        let mut gate = Gate::new([1; 32], PROGRAM);
        let (key, public) = agent(3);
        let nonce = gate.nonce(&code("ams"), [5; 8], 1_000_000);
        let signature = signed(&key, "ams", &nonce);
        let token = open(&mut gate, "ams", public, &nonce, &signature, [8; 32], 1_000_001).unwrap();
        assert_eq!(gate.check(&token, |_| Some(public), 1_000_002), Ok(code("ams")));
        let again = open(&mut gate, "ams", public, &nonce, &signature, [9; 32], 1_000_002);
        assert_eq!(again, Err(AuthError::UsedNonce));
    }

    /// Two who sign the same nonce at the same time: verified beside each other, and one of them is let in.
    #[test]
    fn a_nonce_that_was_proven_twice_admits_once_and_not_after_its_time() {
        let mut gate = Gate::new([1; 32], PROGRAM);
        let (key, public) = agent(3);
        let nonce = gate.nonce(&code("ams"), [5; 8], 1_000_000);
        let signature = signed(&key, "ams", &nonce);
        let proven = || gate.challenge(&code("ams"), public, &nonce, 1_000_000).unwrap().prove(&signature).unwrap();
        let (first, second, late) = (proven(), proven(), proven());
        gate.admit(first, [8; 32], 1_000_000).unwrap();
        assert_eq!(gate.admit(second, [9; 32], 1_000_000), Err(AuthError::UsedNonce));
        let now_ms = 1_000_000 + NONCE_VALID_MS + 1;
        assert_eq!(gate.admit(late, [9; 32], now_ms), Err(AuthError::ExpiredNonce));
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_error() {
        let mut gate = Gate::new([1; 32], PROGRAM);
        let (key, public) = agent(3);
        let (foreign, _) = agent(4);
        let now = 1_000_000;
        let nonce = gate.nonce(&code("ams"), [5; 8], now);
        let good = signed(&key, "ams", &nonce);
        let mut open = |device: &str, key: Key, nonce: &[u8], signature: &[u8], now: u64| {
            open(&mut gate, device, key, nonce, signature, [8; 32], now).unwrap_err()
        };
        assert_eq!(open("ams", public, &nonce, &signed(&foreign, "ams", &nonce), now), AuthError::WrongKey);
        assert_eq!(open("fra", public, &nonce, &signed(&key, "fra", &nonce), now), AuthError::ForeignNonce);
        assert_eq!(open("ams", public, &[0; 32], &signed(&key, "ams", &[0; 32]), now), AuthError::ForeignNonce);
        assert_eq!(open("ams", public, &[], &good, now), AuthError::ForeignNonce);
        assert_eq!(open("ams", public, &nonce, &good, now + NONCE_VALID_MS + 1), AuthError::ExpiredNonce);
        assert_eq!(open("ams", Key::ZERO, &nonce, &good, now), AuthError::NoAgentKey);
    }

    #[test]
    fn a_session_ends_with_its_time_and_with_its_key() {
        let (key, public) = agent(3);
        for (later, ledger_key, expected) in [
            (SESSION_VALID_MS, Some(public), None),
            (SESSION_VALID_MS + 1, Some(public), Some(AuthError::ExpiredSession)),
            (1, Some(Key([7; 32])), Some(AuthError::UnknownSession)),
            (1, None, Some(AuthError::UnknownDevice)),
        ] {
            let mut gate = Gate::new([1; 32], PROGRAM);
            let nonce = gate.nonce(&code("ams"), [5; 8], 0);
            let signature = signed(&key, "ams", &nonce);
            let token = open(&mut gate, "ams", public, &nonce, &signature, [8; 32], 0).unwrap();
            assert_eq!(gate.check(&token, |_| ledger_key, later).err(), expected);
        }
    }

    #[test]
    fn a_watch_ends_with_the_next_one_of_its_session_and_with_the_session() {
        use tokio::sync::oneshot::error::TryRecvError;
        let mut gate = Gate::new([1; 32], PROGRAM);
        let (key, public) = agent(3);
        let open = |gate: &mut Gate, i: u8| {
            let nonce = gate.nonce(&code("ams"), [i; 8], 0);
            open(gate, "ams", public, &nonce, &signed(&key, "ams", &nonce), [i; 32], 0).unwrap()
        };
        let (one, other) = (open(&mut gate, 1), open(&mut gate, 2));
        let (mut first, mut of_other) = (gate.watch(&one), gate.watch(&other));
        assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
        let mut second = gate.watch(&one);
        assert_eq!(first.try_recv(), Err(TryRecvError::Closed));
        assert_eq!((second.try_recv(), of_other.try_recv()), (Err(TryRecvError::Empty), Err(TryRecvError::Empty)));
        assert!(gate.check(&one, |_| None, 0).is_err());
        assert_eq!((second.try_recv(), of_other.try_recv()), (Err(TryRecvError::Closed), Err(TryRecvError::Empty)));
        assert_eq!(gate.watch(&one).try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn the_oldest_of_too_many_sessions_ends() {
        let mut gate = Gate::new([1; 32], PROGRAM);
        let (key, public) = agent(3);
        let mut tokens = Vec::new();
        for i in 0..=SESSIONS_PER_DEVICE as u8 {
            let nonce = gate.nonce(&code("ams"), [i; 8], 0);
            let signature = signed(&key, "ams", &nonce);
            tokens.push(open(&mut gate, "ams", public, &nonce, &signature, [i; 32], 0).unwrap());
        }
        assert_eq!(gate.check(&tokens[0], |_| Some(public), 0), Err(AuthError::UnknownSession));
        assert!(gate.check(&tokens[1], |_| Some(public), 0).is_ok());
    }
}
