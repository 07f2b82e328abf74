//! The questions of the API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use causeway_interface::Code;
use causeway_sdk::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    aside::aside,
    audit::audited,
    error::{ApiError, ErrorBody},
    extract::{Asked, Body, Named},
    model::{
        self, ConfigView, DeviceView, HeldConfigView, InterfaceView, LinkView, NetworkView, ReportView, TopologyView,
    },
    operator,
};
use crate::{
    codes,
    daemon::Peer,
    render::Family,
    shared::Shared,
    store::{ApproveError, Bundle, Store, unified},
};

const GENERATION: HeaderName = HeaderName::from_static("causeway-generation");
const SHA256: HeaderName = HeaderName::from_static("causeway-sha256");

pub(super) fn served(store: &Store) -> Result<&Arc<Snapshot>, ApiError> {
    store.effective().ok_or_else(|| ApiError::not_served(store))
}

pub(super) fn device_code(store: &Store, text: &str) -> Result<Code, ApiError> {
    served(store)?;
    let code: Code = text.parse().map_err(|_| ApiError::unknown_device(text))?;
    store.device(&code).map(|d| d.code).ok_or_else(|| ApiError::unknown_device(text))
}

/// The network and this controller.
#[utoipa::path(get, path = "/api/v1/network", responses((status = 200, body = NetworkView), (status = 503, body = ErrorBody)))]
pub async fn network(State(shared): State<Arc<Shared>>) -> Result<Json<NetworkView>, ApiError> {
    let store = shared.store();
    model::network(&shared, &store, served(&store)?).map(Json).ok_or_else(ApiError::not_ready)
}

/// Every device, by code. What polls change in it is up to a second old.
#[utoipa::path(get, path = "/api/v1/devices", responses((status = 200, body = Vec<DeviceView>), (status = 503, body = ErrorBody)))]
pub async fn devices(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    shared.wholes.devices.answer(&shared, &headers, model::devices).await
}

/// One device.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}", params(("code" = String, Path)),
    responses((status = 200, body = DeviceView), (status = 404, body = ErrorBody))
)]
pub async fn device(State(shared): State<Arc<Shared>>, Named(code): Named) -> Result<Json<DeviceView>, ApiError> {
    let store = shared.store();
    let code = device_code(&store, &code)?;
    let record = store.device(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
    Ok(Json(model::device(&store, served(&store)?, record)))
}

/// A device's interfaces, in order of creation.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/interfaces", params(("code" = String, Path)),
    responses((status = 200, body = Vec<InterfaceView>), (status = 404, body = ErrorBody))
)]
pub async fn interfaces(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
) -> Result<Json<Vec<InterfaceView>>, ApiError> {
    let store = shared.store();
    let code = device_code(&store, &code)?;
    let record = store.device(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
    Ok(Json(model::interfaces(served(&store)?, record)))
}

/// Links that end at a device, by code.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/links", params(("code" = String, Path)),
    responses((status = 200, body = Vec<LinkView>), (status = 404, body = ErrorBody))
)]
pub async fn device_links(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
) -> Result<Json<Vec<LinkView>>, ApiError> {
    let store = shared.store();
    let code = device_code(&store, &code)?;
    Ok(Json(model::links_of(served(&store)?, &code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?))
}

/// Which configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigQuery {
    family: Option<String>,
    generation: Option<u64>,
}

/// A device's configuration: the current one, one of a generation that is kept, or the same intent in another family.
/// With `Accept: text/plain` the text alone, its generation and hash in headers.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/config",
    params(
        ("code" = String, Path),
        ("family" = Option<String>, Query, description = "eos or frr"),
        ("generation" = Option<u64>, Query, description = "A generation that is kept"),
    ),
    responses(
        (status = 200, body = ConfigView), (status = 304, description = "The ETag given is still right"),
        (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn config(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
    Asked(query): Asked<ConfigQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = aside(&shared, move |shared| config_view(shared, &code, &query)).await?;
    let generation = view.generation.map_or_else(|| "none".to_string(), |g| g.to_string());
    let values = [(GENERATION, generation), (SHA256, view.sha256.clone())];
    let mut response = if wants_text(&headers) { view.text.into_response() } else { Json(view).into_response() };
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Whether the text alone is asked for.
pub(super) fn wants_text(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accepted| accepted == HeaderValue::from_static("text/plain"))
}

/// What a question for a configuration comes down to. It holds no lock: what takes time is done with it.
enum Found {
    /// One that is kept, and the generations that are.
    Kept(Arc<Bundle>, Vec<u64>),
    /// None in this family: it is to be made of this.
    ToMake(Arc<Snapshot>, Code),
}

fn find(store: &Store, code: &str, family: Option<Family>, generation: Option<u64>) -> Result<Found, ApiError> {
    let code = device_code(store, code)?;
    let entry = store.entry(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
    let bundle = match generation {
        None => entry.current.as_ref(),
        Some(generation) => Some(entry.generation(generation).ok_or_else(|| unknown_generation(generation))?),
    };
    if let Some(bundle) = bundle.filter(|b| family.is_none_or(|f| f == b.family)) {
        return Ok(Found::Kept(Arc::clone(bundle), entry.history.iter().map(|b| b.generation).collect()));
    }
    if family.is_none() || generation.is_some() {
        let problem = entry.problem.as_ref().map(ErrorBody::from);
        let cause = problem.map_or_else(|| "no such configuration is kept".into(), |p| p.cause);
        return Err(ApiError::new(StatusCode::CONFLICT, codes::NO_CONFIG, cause));
    }
    Ok(Found::ToMake(Arc::clone(served(store)?), code))
}

fn config_view(shared: &Shared, code: &str, query: &ConfigQuery) -> Result<ConfigView, ApiError> {
    let family = query.family.as_deref().map(str::parse::<Family>).transpose();
    let family = family.map_err(|e| ApiError::bad_request(format!("family: {e}")))?;
    let found = find(&shared.store(), code, family, query.generation)?;
    let (snapshot, code) = match found {
        Found::Kept(bundle, generations) => return Ok(kept_view(&bundle, generations)),
        Found::ToMake(snapshot, code) => (snapshot, code),
    };
    let rendered = shared
        .settings
        .renderer
        .render_of(&snapshot, &code, family)
        .map_err(|e| ApiError::with(StatusCode::CONFLICT, ErrorBody::short(e.code(), e.to_string(), e.remedy())))?;
    Ok(ConfigView {
        device: code.to_string(),
        generation: None,
        family: rendered.family.name().into(),
        sha256: hex::encode(rendered.sha256),
        signature: None,
        text: rendered.text.to_string(),
        diff: None,
        generations: Vec::new(),
    })
}

fn kept_view(bundle: &Bundle, generations: Vec<u64>) -> ConfigView {
    ConfigView {
        device: bundle.device.to_string(),
        generation: Some(bundle.generation),
        family: bundle.family.name().into(),
        sha256: hex::encode(bundle.sha256),
        signature: Some(hex::encode(bundle.signature)),
        text: bundle.text.to_string(),
        diff: Some(bundle.diff()),
        generations,
    }
}

fn unknown_generation(generation: u64) -> ApiError {
    let cause = format!("generation {generation} is not kept");
    ApiError::new(StatusCode::NOT_FOUND, codes::GENERATION_UNKNOWN, cause)
}

/// Between which generations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    from: Option<u64>,
    to: Option<u64>,
}

/// Unified diff of two generations that are kept; without `to` the current one, without `from` the one before `to`.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/config/diff",
    params(("code" = String, Path), ("from" = Option<u64>, Query), ("to" = Option<u64>, Query)),
    responses((status = 200, description = "Unified diff, empty when nothing differs", content_type = "text/plain", body = String), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn config_diff(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
    Asked(query): Asked<DiffQuery>,
) -> Result<String, ApiError> {
    aside(&shared, move |shared| {
        let (from, to) = ends(&shared.store(), &code, &query)?;
        let Some(from) = from else { return Ok(to.diff()) };
        let names = [&from, &to].map(|bundle| bundle.generation.to_string());
        Ok(unified(&from.text.to_string(), &to.text.to_string(), &names[0], &names[1]))
    })
    .await
}

/// The generations that are to be compared; without the first, it is the one before the second.
fn ends(store: &Store, code: &str, query: &DiffQuery) -> Result<(Option<Arc<Bundle>>, Arc<Bundle>), ApiError> {
    let code = device_code(store, code)?;
    let entry = store.entry(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
    let kept = |generation: u64| entry.generation(generation).cloned().ok_or_else(|| unknown_generation(generation));
    let to = match query.to {
        Some(to) => kept(to)?,
        None => entry.current.clone().ok_or_else(|| {
            ApiError::new(StatusCode::CONFLICT, codes::NO_CONFIG, "there is no configuration of this device yet")
        })?,
    };
    Ok((query.from.map(kept).transpose()?, to))
}

/// The configuration that waits for approval, and what it changes. With `Accept: text/plain` its text alone.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/config/held", params(("code" = String, Path)),
    responses((status = 200, body = HeldConfigView), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn held(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = aside(&shared, move |shared| {
        let (held, current) = {
            let store = shared.store();
            let code = device_code(&store, &code)?;
            let entry = store.entry(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
            let held = entry.held.clone().ok_or_else(|| nothing_held(&ApproveError::NothingHeld(code)))?;
            (held, entry.current.clone())
        };
        Ok(model::held(&held, current.as_deref()))
    })
    .await?;
    Ok(if wants_text(&headers) { view.text.into_response() } else { Json(view).into_response() })
}

fn nothing_held(error: &ApproveError) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, codes::NOTHING_HELD, error.to_string())
}

/// What is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Hex SHA-256 of the held text, as `config.held` of the device tells it.
    sha256: String,
}

/// Serves a held configuration. Needs `authorization: Bearer TOKEN` of the operator or, where no token is set, a caller
/// on this machine that calls it by a loopback address or `localhost` and through no proxy.
#[utoipa::path(
    post, path = "/api/v1/devices/{code}/config/approve", params(("code" = String, Path)), request_body = Approval,
    responses(
        (status = 200, body = DeviceView), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 413, body = ErrorBody),
    )
)]
pub async fn approve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(code): Named,
    request: Request,
) -> Result<Json<DeviceView>, ApiError> {
    // The body of somebody else's call is not even read.
    let actor = operator::authorize(shared.operator_token.as_deref(), from, request.headers())?;
    let Body(approval): Body<Approval> = Body::from_request(request, &()).await?;
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&approval.sha256, &mut sha256)
        .map_err(|_| ApiError::bad_request("sha256 is not 64 hex digits"))?;
    let code = device_code(&shared.store(), &code)?;
    let before = json!({ "approves_sha256": approval.sha256, "served": served_now(&shared, &code) });
    let work = async {
        shared.approve(&code, &sha256).map_err(|error| match error {
            ApproveError::UnknownDevice(_) => ApiError::unknown_device(code.as_str()),
            ApproveError::NothingHeld(_) => nothing_held(&error),
            ApproveError::Changed { .. } => ApiError::new(StatusCode::CONFLICT, codes::HELD_CHANGED, error.to_string()),
        })?;
        Ok(((), json!({ "served": served_now(&shared, &code) })))
    };
    audited(&shared, actor, "config.approve", code.to_string(), before, work).await?;
    let store = shared.store();
    let record = store.device(&code).ok_or_else(|| ApiError::unknown_device(code.as_str()))?;
    Ok(Json(model::device(&store, served(&store)?, record)))
}

/// What is served to a device, for the audit log.
fn served_now(shared: &Shared, code: &Code) -> serde_json::Value {
    let store = shared.store();
    let current = store.entry(code).and_then(|entry| entry.current.as_ref());
    current.map_or(serde_json::Value::Null, |b| json!({ "generation": b.generation, "sha256": hex::encode(b.sha256) }))
}

/// What the device's agent said of its configurations, oldest first. Its words and differences hold what the device ran: needs
/// the operator's token, as asking what runs does.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/reports", params(("code" = String, Path)),
    responses(
        (status = 200, body = Vec<ReportView>), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn reports(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(code): Named,
    headers: HeaderMap,
) -> Result<Json<Vec<ReportView>>, ApiError> {
    let actor = operator::authorize(shared.operator_token.as_deref(), from, &headers)?;
    let code = device_code(&shared.store(), &code)?;
    let work = async {
        let store = shared.store();
        let reports: Vec<_> = store.entry(&code).into_iter().flat_map(|e| &e.reports).map(ReportView::from).collect();
        let after = json!({ "reports": reports.len() });
        Ok((reports, after))
    };
    audited(&shared, actor, "config.reports", code.to_string(), serde_json::Value::Null, work).await.map(Json)
}

/// Every link, by code.
#[utoipa::path(get, path = "/api/v1/links", responses((status = 200, body = Vec<LinkView>), (status = 503, body = ErrorBody)))]
pub async fn links(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    shared.wholes.links.answer(&shared, &headers, |_, snapshot| model::links(snapshot)).await
}

/// One link.
#[utoipa::path(
    get, path = "/api/v1/links/{code}", params(("code" = String, Path)),
    responses((status = 200, body = LinkView), (status = 404, body = ErrorBody))
)]
pub async fn link(State(shared): State<Arc<Shared>>, Named(code): Named) -> Result<Json<LinkView>, ApiError> {
    let store = shared.store();
    let snapshot = served(&store)?;
    let record = snapshot.links.values().find(|l| l.code.as_str() == code);
    record.map(|l| Json(model::link(snapshot, l))).ok_or_else(|| ApiError::unknown_link(&code))
}

/// Everything that a map needs. What polls change in it is up to a second old.
#[utoipa::path(get, path = "/api/v1/topology", responses((status = 200, body = TopologyView), (status = 503, body = ErrorBody)))]
pub async fn topology(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let view = |store: &Store, snapshot: &Snapshot| TopologyView {
        slot: snapshot.slot,
        devices: model::devices(store, snapshot),
        links: model::links(snapshot),
    };
    shared.wholes.topology.answer(&shared, &headers, view).await
}
