//! Provisioning a device: what its contributor has to sign first, or a job.
//!
//! The controller holds no key of the ledger. What is missing there is answered as transactions without signatures; whoever
//! has the owner's key looks at them and sends them (`causeway sign`).

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use causeway_interface::Code;
use causeway_sdk::{
    Explain,
    address::to_key,
    unsigned::{self, Names},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use solana_sdk::instruction::Instruction;
use utoipa::ToSchema;

use super::{
    audit::audited,
    availability,
    error::{ApiError, ErrorBody},
    extract::{Body, Named},
    operator,
};
use crate::{
    codes,
    daemon::Peer,
    onboard::{self, Plan, ProvisionRequest, Refusal, Why},
    services::{NotStarted, NotStartedKind, Recent, Start},
    shared::Shared,
};

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProvisionState {
    /// The contributor's owner has to sign, in order; then ask again.
    Sign,
    /// The ledger has everything, and a job has begun.
    Started,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvisionAnswer {
    /// Device.
    pub device: String,
    /// What follows.
    pub state: ProvisionState,
    /// Number of the job that has begun.
    pub job: Option<i64>,
    /// What has to be signed, in order.
    pub transactions: Vec<UnsignedView>,
    /// What a person should know beside it.
    pub notes: Vec<String>,
}

/// A transaction without signatures.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnsignedView {
    /// The transaction as the ledger takes it, base64, its one signature empty.
    pub transaction: String,
    /// Who signs and pays, base58.
    pub signer: String,
    /// What is known of the signer.
    pub signer_name: Option<String>,
    /// The blockhash in it, base58.
    pub blockhash: String,
    /// Block height after which it can't be included as it is; `causeway sign` takes a new blockhash.
    pub last_valid_block_height: u64,
    /// What it does, in words.
    pub instructions: Vec<InstructionView>,
}

/// An instruction, in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstructionView {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: String,
    /// Its data, field by field.
    #[schema(value_type = Object)]
    pub data: Value,
    /// Its accounts, in order.
    pub accounts: Vec<AccountView>,
}

/// An account of an instruction.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// What it is to the instruction.
    pub role: &'static str,
    /// Its address, base58.
    pub address: String,
    /// What it is on the ledger, where that is known.
    pub name: Option<String>,
    /// It has to sign.
    pub signs: bool,
    /// The instruction may change it.
    pub changes: bool,
}

/// Provisions a device. Where the ledger lacks something of it, answers what its contributor's owner has to sign, and starts
/// nothing; where it has everything, starts a job. Needs the operator's token, as approving does.
#[utoipa::path(
    post, path = "/api/v1/devices/{code}/provision", params(("code" = String, Path)), request_body = ProvisionRequest,
    responses(
        (status = 200, description = "There is something to sign", body = ProvisionAnswer),
        (status = 202, description = "A job has begun", body = ProvisionAnswer),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 413, body = ErrorBody), (status = 501, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn provision(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(code): Named,
    request: Request,
) -> Result<Response, ApiError> {
    let actor = operator::authorize(shared.operator_token.as_deref(), from, request.headers())?;
    let asked = read(request).await?;
    // Before the first device nothing is served, and that one has to be registered all the same.
    let effective = shared.store().effective().cloned();
    let snapshot = effective.or_else(|| shared.services.bare()).ok_or_else(ApiError::not_ready)?;
    let code: Code = code.parse().map_err(|_| ApiError::unknown_device(&code))?;
    let Plan { transactions, signer, units_each, notes } =
        onboard::plan(&snapshot, &code, &asked).map_err(|refusal| refused(&refusal))?;
    let status = snapshot.device(&code).map(|(_, device)| device.header.status);
    let before = json!({ "status": status, "asked": &asked });
    let name = actor.name.clone();
    let work = async {
        if transactions.is_empty() {
            let job = start(&shared, code, asked, name).await?;
            return Ok(((Some(job), Vec::new()), json!({ "job": job })));
        }
        let recent = recent(&shared).await?;
        let names = unsigned::names(&snapshot);
        let views = transactions.iter().map(|instructions| view(instructions, &signer, units_each, recent, &names));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let after = json!({ "transactions": views.len(), "signer": signer.to_string() });
        Ok(((None, views), after))
    };
    let (job, transactions) = audited(&shared, actor, "device.provision", code.to_string(), before, work).await?;
    let (status, state) = match job {
        Some(_) => (StatusCode::ACCEPTED, ProvisionState::Started),
        None => (StatusCode::OK, ProvisionState::Sign),
    };
    let answer = ProvisionAnswer { device: code.to_string(), state, job, transactions, notes };
    Ok((status, Json(answer)).into_response())
}

/// The body; none at all asks for a device as it is.
async fn read(request: Request) -> Result<ProvisionRequest, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    if !chunked && length.is_none_or(|length| length == "0") {
        return Ok(ProvisionRequest::default());
    }
    // An object, and not the values of one in their order, which serde would take as well.
    let Body(object) =
        Body::<Map<String, Value>>::from_request(request, &()).await.map_err(ApiError::as_bad_request)?;
    serde_json::from_value(Value::Object(object)).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Unknown(code) => ApiError::unknown_device(code.as_str()),
        Refusal::Invalid(why) => {
            let Some(Why { code, remedy, .. }) = why.first() else { return ApiError::bad_request("it can't be meant") };
            let causes: Vec<_> = why.iter().map(|why| why.cause.trim_end_matches('.')).collect();
            ApiError::with(StatusCode::BAD_REQUEST, ErrorBody::of(code, causes.join("; "), remedy))
        }
    }
}

async fn recent(shared: &Shared) -> Result<Recent, ApiError> {
    let away = |cause: String| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::NODE_AWAY, cause);
    let node = shared.services.node().ok_or_else(|| away("this controller has no node of the ledger".to_owned()))?;
    node.recent().await.map_err(|error| away(format!("no recent blockhash: {}", Explain::cause(&error))))
}

fn view(
    instructions: &[Instruction],
    signer: &solana_sdk::pubkey::Pubkey,
    units_each: u32,
    recent: Recent,
    names: &Names,
) -> Result<UnsignedView, ApiError> {
    let defect = |what: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, codes::OVERRIDE_INVALID, what);
    let units = units_each.saturating_mul(u32::try_from(instructions.len()).unwrap_or(u32::MAX));
    let transaction = unsigned::text(signer, instructions, units, recent.blockhash)
        .ok_or_else(|| defect("the transaction does not fit a packet".to_owned()))?;
    let described = instructions.iter().enumerate().map(|(index, one)| {
        unsigned::describe(one, index, names).map(InstructionView::from).map_err(|error| defect(error.to_string()))
    });
    Ok(UnsignedView {
        transaction,
        signer: signer.to_string(),
        signer_name: names.get(&to_key(signer)).cloned(),
        blockhash: recent.blockhash.to_string(),
        last_valid_block_height: recent.last_valid_block_height,
        instructions: described.collect::<Result<_, _>>()?,
    })
}

impl From<unsigned::Described> for InstructionView {
    fn from(one: unsigned::Described) -> Self {
        let account = |a: unsigned::DescribedAccount| AccountView {
            role: a.role,
            address: a.address,
            name: a.name,
            signs: a.signs,
            changes: a.changes,
        };
        let accounts = one.accounts.into_iter().map(account).collect();
        Self { name: one.name, about: one.about, data: one.data, accounts }
    }
}

async fn start(shared: &Shared, device: Code, asked: ProvisionRequest, actor: String) -> Result<i64, ApiError> {
    let provision = shared.services.provision().ok_or_else(|| {
        let cause = format!("the ledger has everything of device {device}, and this controller runs no jobs");
        ApiError::new(StatusCode::NOT_IMPLEMENTED, codes::NO_PROVISIONING, cause)
    })?;
    availability::pre_check(shared).await?;
    let ProvisionRequest { dry_run, mode, transport, .. } = asked;
    provision.start(Start { device, dry_run, mode, transport, actor }).await.map_err(not_started)
}

fn not_started(error: NotStarted) -> ApiError {
    let NotStarted { kind, code, cause, remedy } = error;
    let status = match kind {
        NotStartedKind::Busy => StatusCode::CONFLICT,
        NotStartedKind::Refused => StatusCode::BAD_REQUEST,
        NotStartedKind::Away => StatusCode::SERVICE_UNAVAILABLE,
    };
    ApiError::with(status, ErrorBody::of(code, cause, remedy))
}
