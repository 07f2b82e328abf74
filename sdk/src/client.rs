//! Reading the ledger over RPC, typed.
//!
//! Every request is bounded in time and asks for a slot no older than the newest that this client has seen, so that
//! what is read never goes back in time, whichever node of a pool answers. Order of answers is never relied on.
//! Accounts that can't be decoded are reported, never left out silently and never defaulted.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use causeway_interface::{
    AccountType, Code, DesiredStatus, Key,
    accounts::{
        Attestations, Contributor, Device, Exchange, Link, Location, Network, OFFSET_DESIRED, OFFSET_HEALTH,
        OFFSET_KIND, OFFSET_STATUS, OFFSET_TYPE, Record,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_account_decoder_client_types::{UiAccount, UiAccountData};
use solana_client::{
    client_error::ClientError,
    nonblocking::rpc_client::RpcClient,
    rpc_request::RpcRequest,
    rpc_response::{OptionalContext, Response, RpcKeyedAccount},
};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{hash::Hash, pubkey::Pubkey};

use crate::{
    address::{Addresses, to_key, to_pubkey},
    error::LedgerError,
    snapshot::{Snapshot, Undecodable},
};

/// Longest wait for one answer. A full read of 60 000 accounts takes a few seconds; a node that needs longer is of no
/// use to a controller that reconciles every ten.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a read is repeated while the node is behind what has been read before, and the pause between: two
/// seconds in all, the lag that nodes of one pool have on each other.
const BEHIND: (u32, Duration) = (10, Duration::from_millis(200));
/// How many of these may be for a node that can't be reached: one that closed a connection just when it was used again, or was
/// too busy to take one.
const UNREACHED: u32 = 2;
/// How many of these may be for a node that takes too long: the next answer may be a matter of milliseconds, and a node that has none
/// for twice the limit is to be reported.
const UNANSWERED: u32 = 1;

/// Which accounts of one type to list. Each field is compared by the RPC node with the byte in the account's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Status byte.
    pub status: Option<u8>,
    /// Health byte.
    pub health: Option<u8>,
    /// Desired status.
    pub desired: Option<DesiredStatus>,
    /// Kind byte.
    pub kind: Option<u8>,
}

impl Filter {
    /// As `memcmp` filters. Neighbouring bytes share one, because a node takes four filters at most.
    fn to_json(self, account_type: AccountType) -> Value {
        let bytes = [
            (OFFSET_TYPE, Some(account_type.byte())),
            (OFFSET_STATUS, self.status),
            (OFFSET_HEALTH, self.health),
            (OFFSET_DESIRED, self.desired.map(DesiredStatus::byte)),
            (OFFSET_KIND, self.kind),
        ];
        let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
        for (offset, byte) in bytes.into_iter().filter_map(|(offset, byte)| byte.map(|b| (offset, b))) {
            match runs.last_mut() {
                Some((start, run)) if *start + run.len() == offset => run.push(byte),
                _ => runs.push((offset, vec![byte])),
            }
        }
        let memcmp = |(offset, run): (usize, Vec<u8>)| json!({ "memcmp": { "offset": offset, "bytes": BASE64_STANDARD.encode(run), "encoding": "base64" } });
        Value::Array(runs.into_iter().map(memcmp).collect())
    }
}

/// Accounts of one type.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// The slot at which they were read.
    pub slot: u64,
    /// By address.
    pub items: BTreeMap<Key, T>,
    /// Those that could not be decoded.
    pub undecodable: Vec<Undecodable>,
}

/// A ledger that is read over RPC. Clones share the connection and the newest slot seen.
#[derive(Clone)]
pub struct Ledger {
    rpc: Arc<RpcClient>,
    addresses: Addresses,
    timeout: Duration,
    newest_slot: Arc<AtomicU64>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("url", &self.rpc.url()).field("program", &self.addresses.program_id).finish()
    }
}

impl Ledger {
    /// The deployment `program_id` on the node at `url`, read at commitment confirmed.
    #[must_use]
    pub fn new(url: &str, program_id: Pubkey) -> Self {
        Self::with_timeout(url, program_id, REQUEST_TIMEOUT)
    }

    /// The same with another limit for one answer.
    #[must_use]
    pub fn with_timeout(url: &str, program_id: Pubkey, timeout: Duration) -> Self {
        let rpc = RpcClient::new_with_timeout_and_commitment(url.to_owned(), timeout, CommitmentConfig::confirmed());
        Self {
            rpc: Arc::new(rpc),
            addresses: Addresses::new(program_id),
            timeout,
            newest_slot: Arc::new(AtomicU64::new(0)),
        }
    }

    /// The RPC client underneath, for what this one does not offer.
    #[must_use]
    pub fn rpc(&self) -> &Arc<RpcClient> {
        &self.rpc
    }

    /// The deployment's addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The node's address.
    #[must_use]
    pub fn url(&self) -> String {
        self.rpc.url()
    }

    /// The newest slot that this client has read at.
    #[must_use]
    pub fn newest_slot(&self) -> u64 {
        self.newest_slot.load(Ordering::Relaxed)
    }

    /// Asks that nothing older than `slot` be read from now on.
    pub fn saw_slot(&self, slot: u64) {
        self.newest_slot.fetch_max(slot, Ordering::Relaxed);
    }

    /// Bounds a request and sorts its error.
    pub(crate) async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, LedgerError> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(LedgerError::from_client(&self.url(), self.newest_slot(), self.timeout, error)),
            Err(_) => Err(LedgerError::Timeout { url: self.url(), seconds: self.timeout.as_secs() }),
        }
    }

    /// Reads once the node is where this client has been.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        request: RpcRequest,
        params: &Value,
    ) -> Result<T, LedgerError> {
        self.again(|| self.rpc.send(request, params.clone())).await
    }

    /// What only reads can be asked again, so often that a node that is behind or stumbles doesn't fail the caller.
    pub(crate) async fn again<T, R>(&self, request: impl Fn() -> R) -> Result<T, LedgerError>
    where
        R: Future<Output = Result<T, ClientError>>,
    {
        let (tries, pause) = BEHIND;
        let (mut unreached, mut unanswered) = (0, 0);
        for _ in 1..tries {
            match self.bounded(request()).await {
                Err(LedgerError::Behind { .. }) => {}
                Err(LedgerError::Unreachable { .. }) if unreached < UNREACHED => unreached += 1,
                Err(LedgerError::Timeout { .. }) if unanswered < UNANSWERED => unanswered += 1,
                other => return other,
            }
            tokio::time::sleep(pause).await;
        }
        self.bounded(request()).await
    }

    async fn program_accounts(&self, filters: Value) -> Result<(u64, Vec<(Key, Vec<u8>)>), LedgerError> {
        let floor = self.newest_slot();
        let config = json!({
            "filters": filters,
            "encoding": "base64",
            "commitment": "confirmed",
            "minContextSlot": floor,
            "withContext": true,
            "sortResults": false,
        });
        let params = json!([self.addresses.program_id.to_string(), config]);
        let answer: OptionalContext<Vec<RpcKeyedAccount>> = self.read(RpcRequest::GetProgramAccounts, &params).await?;
        let response = match answer {
            OptionalContext::Context(response) => response,
            OptionalContext::NoContext(_) => return Err(self.malformed("an answer without its slot")),
        };
        let slot = self.check_slot(response.context.slot, floor)?;
        let mut accounts = Vec::with_capacity(response.value.len());
        for keyed in response.value {
            let address = keyed.pubkey.parse().map_err(|_| self.malformed("an address that is none"))?;
            let data = account_data(&keyed.account).ok_or_else(|| self.malformed("account data that is not base64"))?;
            accounts.push((address, data));
        }
        Ok((slot, accounts))
    }

    pub(crate) fn check_slot(&self, slot: u64, floor: u64) -> Result<u64, LedgerError> {
        if slot < floor {
            return Err(LedgerError::Behind { url: self.url(), slot: floor });
        }
        self.saw_slot(slot);
        Ok(slot)
    }

    pub(crate) fn malformed(&self, message: &str) -> LedgerError {
        LedgerError::Malformed { url: self.url(), message: message.to_owned() }
    }

    /// Everything that the program holds.
    ///
    /// # Errors
    /// The node does not answer, is behind, or its answer can't be read. Undecodable accounts are no error: the
    /// snapshot lists them.
    pub async fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        let (slot, accounts) = self.program_accounts(json!([])).await?;
        let program_id = to_key(&self.addresses.program_id);
        Ok(Snapshot::from_accounts(program_id, slot, accounts.iter().map(|(key, data)| (*key, data.as_slice()))))
    }

    /// Accounts of one type that match a filter.
    ///
    /// # Errors
    /// As for [`Self::snapshot`].
    pub async fn list<T: Record>(&self, filter: Filter) -> Result<Listing<T>, LedgerError> {
        let (slot, accounts) = self.program_accounts(filter.to_json(T::TYPE)).await?;
        let mut items = BTreeMap::new();
        let mut undecodable = Vec::new();
        for (address, data) in accounts {
            match T::decode(&data) {
                Ok(item) => drop(items.insert(address, item)),
                Err(error) => {
                    undecodable.push(Undecodable { address, data_len: data.len(), error: error.to_string() });
                }
            }
        }
        undecodable.sort_by_key(|u| u.address);
        Ok(Listing { slot, items, undecodable })
    }

    /// One account's data, if the program holds it.
    async fn data(&self, address: &Pubkey) -> Result<Option<Vec<u8>>, LedgerError> {
        let floor = self.newest_slot();
        let config = json!({ "encoding": "base64", "commitment": "confirmed", "minContextSlot": floor });
        let params = json!([address.to_string(), config]);
        let response: Response<Option<UiAccount>> = self.read(RpcRequest::GetAccountInfo, &params).await?;
        self.check_slot(response.context.slot, floor)?;
        let Some(account) = response.value else { return Ok(None) };
        if account.owner != self.addresses.program_id.to_string() {
            return Ok(None);
        }
        account_data(&account).map(Some).ok_or_else(|| self.malformed("account data that is not base64"))
    }

    /// The account at this address; `what` names it in the error.
    ///
    /// # Errors
    /// It does not exist or can't be decoded, or the node could not be read.
    pub async fn fetch<T: Record>(&self, address: &Pubkey, what: &str) -> Result<T, LedgerError> {
        let data = self.data(address).await?.ok_or_else(|| LedgerError::NotFound { what: what.to_owned() })?;
        T::decode(&data).map_err(|source| LedgerError::Undecodable { address: *address, source })
    }

    /// The network.
    ///
    /// # Errors
    /// [`LedgerError::NetworkMissing`] before it was initialised; else as for [`Self::fetch`].
    pub async fn network(&self) -> Result<Network, LedgerError> {
        match self.fetch(&self.addresses.network(), "network").await {
            Err(LedgerError::NotFound { .. }) => {
                Err(LedgerError::NetworkMissing { program_id: self.addresses.program_id })
            }
            other => other,
        }
    }

    /// A contributor by its code.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn contributor(&self, code: &Code) -> Result<Contributor, LedgerError> {
        self.fetch(&self.addresses.contributor(code), &format!("contributor {code}")).await
    }

    /// A location by its code.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn location(&self, code: &Code) -> Result<Location, LedgerError> {
        self.fetch(&self.addresses.location(code), &format!("location {code}")).await
    }

    /// An exchange by its code.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn exchange(&self, code: &Code) -> Result<Exchange, LedgerError> {
        self.fetch(&self.addresses.exchange(code), &format!("exchange {code}")).await
    }

    /// A device by its code.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn device(&self, code: &Code) -> Result<Device, LedgerError> {
        self.fetch(&self.addresses.device(code), &format!("device {code}")).await
    }

    /// A link by its code.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn link(&self, code: &Code) -> Result<Link, LedgerError> {
        self.fetch(&self.addresses.link(code), &format!("link {code}")).await
    }

    /// What the oracles say of the device or link at `subject`.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub async fn attestations(&self, subject: &Key) -> Result<Attestations, LedgerError> {
        self.fetch(&self.addresses.attestations(subject), &format!("attestations of {subject}")).await
    }

    /// Lamports at an address; 0 where there is no account.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn balance(&self, address: &Key) -> Result<u64, LedgerError> {
        let key = to_pubkey(address);
        self.again(|| self.rpc.get_balance(&key)).await
    }

    /// The current slot at commitment confirmed.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn slot(&self) -> Result<u64, LedgerError> {
        self.again(|| self.rpc.get_slot_with_commitment(CommitmentConfig::confirmed())).await
    }

    /// A recent blockhash, and the block height up to which a transaction with it can be included.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn recent_blockhash(&self) -> Result<(Hash, u64), LedgerError> {
        self.again(|| self.rpc.get_latest_blockhash_with_commitment(CommitmentConfig::confirmed())).await
    }

    /// When the ledger says that a slot was, in seconds since 1970; none where it skipped the slot or forgot it.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn slot_time(&self, slot: u64) -> Result<Option<i64>, LedgerError> {
        match self.again(|| self.rpc.get_block_time(slot)).await {
            Ok(time) => Ok(Some(time)),
            // The node's words for a slot that was skipped, is not there yet or was cleaned up.
            Err(LedgerError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The bytes of an account as RPC gives it.
pub(crate) fn account_data(account: &UiAccount) -> Option<Vec<u8>> {
    match &account.data {
        UiAccountData::Binary(..) => account.data.decode(),
        UiAccountData::LegacyBinary(_) | UiAccountData::Json(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_share_neighbouring_bytes_and_stay_within_four() {
        let filter =
            Filter { status: Some(1), health: Some(2), desired: Some(DesiredStatus::Activated), kind: Some(0) };
        let filters = filter.to_json(AccountType::Device);
        assert_eq!(filters.as_array().unwrap().len(), 2);
        assert_eq!(filters[1]["memcmp"]["offset"], OFFSET_STATUS);
        assert_eq!(filters[1]["memcmp"]["bytes"], BASE64_STANDARD.encode([1, 2, 1, 0]));
        let split = Filter { status: Some(1), desired: Some(DesiredStatus::Activated), ..Filter::default() };
        assert_eq!(split.to_json(AccountType::Device).as_array().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_dead_endpoint_is_an_error_with_its_code() {
        use crate::explain::Explain;
        // Port 1 of the loopback: nothing listens there.
        let ledger = Ledger::new("http://127.0.0.1:1", Pubkey::new_from_array([1; 32]));
        let error = ledger.snapshot().await.unwrap_err();
        assert_eq!(error.code(), "CW-RPC-UNREACHABLE", "{error:?}");
        let cause = error.cause().to_lowercase();
        assert!(cause.contains("refused") && !cause.contains(".."), "{cause}");
    }

    /// A node of which each connection gets one answer, cut off where it says so.
    async fn fake_node(answers: Vec<(&'static str, usize)>) -> (Ledger, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = tokio::spawn(async move {
            for (said, missing) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                if !said.is_empty() {
                    answer(&mut stream, said, missing).await;
                }
            }
        });
        (Ledger::new(&url, Pubkey::new_from_array([1; 32])), node)
    }

    /// Answers one request, with so many bytes less than it says.
    async fn answer(stream: &mut tokio::net::TcpStream, said: &str, missing: usize) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut request = [0; 4_096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
        let length = said.len() + missing;
        stream.write_all(format!("{head} {length}\r\n\r\n{said}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    const SLOT_7: &str = r#"{"jsonrpc":"2.0","id":0,"result":7}"#;

    #[tokio::test]
    async fn what_is_cut_off_is_asked_again() {
        // Before an answer, and in the middle of one.
        let (ledger, node) = fake_node(vec![("", 0), (r#"{"jsonrpc":"2.0","#, 20), (SLOT_7, 0)]).await;
        let slot: u64 = ledger.read(RpcRequest::GetSlot, &json!([])).await.unwrap();
        assert_eq!(slot, 7);
        node.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_not_asked_for_again() {
        use crate::explain::Explain;
        let (ledger, node) = fake_node(vec![("<html>a captive portal</html>", 0)]).await;
        let error = ledger.read::<u64>(RpcRequest::GetSlot, &json!([])).await.unwrap_err();
        assert_eq!(error.code(), "CW-RPC-MALFORMED", "{error:?}");
        node.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_endpoint_is_given_up_in_time() {
        use crate::explain::Explain;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ledger = Ledger::with_timeout(&url, Pubkey::new_from_array([1; 32]), Duration::from_millis(200));
        let error = ledger.snapshot().await.unwrap_err();
        assert_eq!(error.code(), "CW-RPC-TIMEOUT", "{error:?}");
    }

    /// Takes the first question and is silent, and answers from then on.
    #[tokio::test]
    async fn what_is_answered_too_late_is_asked_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = tokio::spawn(async move {
            let silent = listener.accept().await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            answer(&mut stream, SLOT_7, 0).await;
            drop(silent);
        });
        let ledger = Ledger::with_timeout(&url, Pubkey::new_from_array([1; 32]), Duration::from_secs(1));
        assert_eq!(ledger.slot().await.unwrap(), 7);
        node.await.unwrap();
    }
}
