//! What is missing on the ledger before a device can be provisioned, as instructions for its contributor to sign. Pure.
//!
//! The controller writes nothing to the ledger: what it finds missing it says, in transactions that the contributor's owner
//! signs elsewhere. Everything that the program would refuse and that can be seen beforehand is refused here, with the
//! program's own code; the program looks again at what lands.

mod ask;
mod interfaces;
mod links;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use causeway_interface::{
    Code, DesiredStatus, DeviceStatus, DeviceType, ErrorCode, Key, NetworkStatus, Prefix, RegistryStatus,
    accounts::{Contributor, Device, MAX_DZ_PREFIXES},
    instruction::{ANY_SEQUENCE, CreateDevice, UpdateDevice},
    values,
};
use causeway_sdk::{
    DeviceRefs, Instructions, Snapshot,
    address::{to_key, to_pubkey},
    pack::{self, Costed, Limits},
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey};

use self::{ask::Wanted, interfaces::Change};
pub use self::{
    ask::{InterfaceOverride, Mode, ProvisionRequest},
    refusal::{Refusal, Why},
};
use crate::codes;

/// Compute units that one instruction needs at most: the dearest, a creation, takes less than a fifth of it. Who sends
/// measures anew.
const UNITS: u32 = 30_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Transactions to sign, in order; none where the ledger has everything.
    pub transactions: Vec<Vec<Instruction>>,
    /// Who signs and pays: the contributor's owner.
    pub signer: Pubkey,
    /// Compute units to ask for with each instruction.
    pub units_each: u32,
    /// What a person should know beside it.
    pub notes: Vec<String>,
}

/// What has to be signed for this device, or that nothing has.
///
/// # Errors
/// [`Refusal`]: the device is unknown and not described, or what is asked for would be refused by the program.
pub fn plan(snapshot: &Snapshot, code: &Code, request: &ProvisionRequest) -> Result<Plan, Refusal> {
    let wanted = request.read()?;
    let found = snapshot.device(code).map(|(_, device)| device);
    let network = snapshot.network.as_ref();
    let paused = network.is_none_or(|network| network.header.status != NetworkStatus::Running);
    let mut planner = Planner { snapshot, build: Instructions::new(to_pubkey(&snapshot.program_id)), why: Vec::new() };
    let draft = match found {
        None if request.describes_nothing() => return Err(Refusal::Unknown(*code)),
        None => planner.register(code, &wanted),
        Some(device) => planner.complete(device, &wanted),
    };
    // A paused network keeps nobody from a job on a device that is there.
    if paused && draft.as_ref().is_none_or(|draft| !draft.instructions.is_empty()) {
        planner.why.push(Why::program(ErrorCode::NetworkPaused, None));
    }
    match draft {
        Some(draft) if planner.why.is_empty() => draft.pack(),
        Some(_) | None => Err(Refusal::Invalid(planner.why)),
    }
}

/// Instructions before they are packed.
struct Draft {
    signer: Pubkey,
    instructions: Vec<Instruction>,
    notes: Vec<String>,
}

impl Draft {
    fn pack(self) -> Result<Plan, Refusal> {
        let Self { signer, instructions, notes } = self;
        let items: Vec<_> =
            instructions.into_iter().map(|instruction| Costed { instruction, compute_units: UNITS }).collect();
        // No instruction of a device is longer than a packet; were one, it could not be signed by anybody.
        let packed = pack::pack(&signer, &items, &Limits::default())
            .map_err(|error| Refusal::Invalid(vec![Why::of(codes::OVERRIDE_INVALID, error.to_string())]))?;
        let transactions = packed.into_iter().map(|packed| packed.instructions).collect();
        Ok(Plan { transactions, signer, units_each: UNITS, notes })
    }
}

struct Planner<'a> {
    snapshot: &'a Snapshot,
    build: Instructions,
    /// What stands in the way; everything is looked at before anything is said.
    why: Vec<Why>,
}

impl Planner<'_> {
    fn refuse(&mut self, error: ErrorCode, what: impl Into<String>) {
        self.why.push(Why::program(error, Some(what.into())));
    }

    fn value(&mut self, check: Result<(), ErrorCode>, what: &str) {
        if let Err(error) = check {
            self.refuse(error, what);
        }
    }

    /// A registry record that is there and in good standing.
    fn standing(&mut self, what: &str, name: &str, status: Option<RegistryStatus>) {
        match status {
            Some(RegistryStatus::Activated) => {}
            Some(RegistryStatus::Suspended) => {
                self.why.push(Why::of(codes::UPSTREAM_SUSPENDED, format!("{what} {name} is suspended")));
            }
            None => self.why.push(Why::of(codes::UPSTREAM_MISSING, format!("the ledger has no {what} {name}"))),
        }
    }

    fn register(&mut self, code: &Code, wanted: &Wanted) -> Option<Draft> {
        let needed = [
            ("contributor", wanted.contributor.is_none()),
            ("location", wanted.location.is_none()),
            ("exchange", wanted.exchange.is_none()),
            ("device_type", wanted.device_type.is_none()),
            ("platform", wanted.platform.is_none()),
        ];
        let missing: Vec<_> = needed.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect();
        if !missing.is_empty() {
            let cause = format!("device {code} is not on the ledger; to register it, give {}", missing.join(", "));
            self.why.push(Why::of(codes::REQUEST_INVALID, cause));
        }
        let snapshot = self.snapshot;
        let contributor = wanted.contributor.and_then(|code| snapshot.contributor(&code)).map(|(_, found)| found);
        if let Some(code) = wanted.contributor {
            self.standing("contributor", code.as_str(), contributor.map(|found| found.header.status));
        }
        if let Some(code) = wanted.location {
            self.standing("location", code.as_str(), snapshot.location(&code).map(|(_, found)| found.header.status));
        }
        if let Some(code) = wanted.exchange {
            self.standing("exchange", code.as_str(), snapshot.exchange(&code).map(|(_, found)| found.header.status));
        }
        let fields = Fields::of(wanted, None);
        self.fields(&fields, None);
        let (Some(device_type), Some(platform)) = (wanted.device_type, wanted.platform) else { return None };
        let recipe = interfaces::recipe(device_type, platform, wanted.default_interfaces.unwrap_or(true));
        let changes = self.interfaces(wanted, recipe, DeviceStatus::Pending, device_type);
        let contributor: &Contributor = contributor?;
        let (parent, location, exchange) = (wanted.contributor?, wanted.location?, wanted.exchange?);
        let owner = to_pubkey(&contributor.owner);
        let create = CreateDevice {
            code: *code,
            device_type,
            platform,
            public_ip: fields.public_ip,
            dz_prefix_count: fields.dz_prefix_count,
            dz_prefixes: fields.dz_prefixes,
            agent_key: fields.agent_key,
            telemetry_key: fields.telemetry_key,
            management_vrf: fields.management_vrf,
            desired: wanted.desired.unwrap_or(DesiredStatus::Activated),
            skip_recipe: !wanted.default_interfaces.unwrap_or(true),
        };
        let refs = DeviceRefs::by_codes(self.build.addresses(), code, &parent, &location, &exchange);
        let mut instructions = vec![self.build.create_device(&owner, &parent, &location, &exchange, create)];
        instructions.extend(changes.iter().map(|change| self.change(&owner, &refs, change)));
        let mut notes = vec![format!("registers device {code} of contributor {parent}, whose owner signs and pays")];
        let missing = fields.missing();
        let routing = wanted.default_interfaces.unwrap_or(true) || interfaces::has_routing(&changes);
        if missing.is_empty() && routing {
            instructions.push(self.build.provision_device(&owner, &refs, ANY_SEQUENCE));
        } else {
            let what = if missing.is_empty() { "no routing loopbacks".to_owned() } else { no(&missing) };
            notes.push(format!("it is registered and not provisioned yet: {what}; ask again with that"));
        }
        notes.extend(links::needed(device_type));
        Some(Draft { signer: owner, instructions, notes })
    }

    fn complete(&mut self, device: &Device, wanted: &Wanted) -> Option<Draft> {
        let snapshot = self.snapshot;
        self.same(device, wanted);
        let contributor = snapshot.contributors.get(&device.contributor);
        let name = |code: Option<Code>, key: &Key| code.map_or_else(|| key.to_string(), |code| code.to_string());
        let location = snapshot.locations.get(&device.location);
        let exchange = snapshot.exchanges.get(&device.exchange);
        let named = name(contributor.map(|found| found.code), &device.contributor);
        self.standing("contributor", &named, contributor.map(|found| found.header.status));
        let named = name(location.map(|found| found.code), &device.location);
        self.standing("location", &named, location.map(|found| found.header.status));
        let named = name(exchange.map(|found| found.code), &device.exchange);
        self.standing("exchange", &named, exchange.map(|found| found.header.status));
        let status = device.header.status;
        if let DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected = status {
            self.refuse(ErrorCode::DeviceTransitionRefused, format!("device {} is {status}", device.code));
        }
        let fields = Fields::of(wanted, Some(device));
        self.fields(&fields, Some(device));
        let missing = fields.missing();
        if !missing.is_empty() {
            self.refuse(ErrorCode::DeviceFieldsMissing, format!("device {} has {}", device.code, no(&missing)));
        }
        let before = device.interfaces.clone();
        let changes = self.interfaces(wanted, before, status, device.header.kind);
        if !interfaces::routing_after(&device.interfaces, &changes) {
            self.refuse(ErrorCode::DeviceFieldsMissing, format!("device {} has no routing loopbacks", device.code));
        }
        let mut notes = Vec::new();
        match links::look(snapshot, device) {
            links::Look::Holds => {}
            links::Look::Later(note) => notes.push(note),
            links::Look::Missing(cause) => self.why.push(Why::of(codes::UPSTREAM_LINKS_MISSING, cause)),
        }
        let owner = to_pubkey(&contributor?.owner);
        let refs = self.build.device_refs(device);
        let mut instructions = Vec::new();
        // The first of them holds for the record as read; each moves the sequence on.
        let mut sequence = device.header.sequence;
        if fields != Fields::of(&Wanted::default(), Some(device)) {
            instructions.push(self.build.update_device(&owner, &refs, fields.update(sequence)));
            sequence = ANY_SEQUENCE;
        }
        for change in &changes {
            let change = change.clone().expecting(sequence);
            sequence = ANY_SEQUENCE;
            instructions.push(self.change(&owner, &refs, &change));
        }
        if status == DeviceStatus::Pending {
            instructions.push(self.build.provision_device(&owner, &refs, sequence));
        }
        Some(Draft { signer: owner, instructions, notes })
    }

    /// What can't be changed of a device that is there has to be what it is.
    fn same(&mut self, device: &Device, wanted: &Wanted) {
        let addresses = self.build.addresses();
        let differs = [
            (
                "contributor",
                wanted.contributor.is_some_and(|c| to_key(&addresses.contributor(&c)) != device.contributor),
            ),
            ("location", wanted.location.is_some_and(|c| to_key(&addresses.location(&c)) != device.location)),
            ("exchange", wanted.exchange.is_some_and(|c| to_key(&addresses.exchange(&c)) != device.exchange)),
            ("device_type", wanted.device_type.is_some_and(|t| t != device.header.kind)),
            ("platform", wanted.platform.is_some_and(|p| p != device.platform)),
        ];
        let other: Vec<_> = differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        if !other.is_empty() {
            let cause = format!("the ledger has a device {} with another {}", device.code, other.join(", "));
            self.why.push(Why::of(codes::DEVICE_EXISTS, cause));
        }
        if wanted.desired.is_some_and(|desired| desired != device.header.desired) {
            let cause = format!(
                "device {} is wanted to be {}; that is changed by `causeway device set-desired`",
                device.code, device.header.desired
            );
            self.why.push(Why::of(codes::OVERRIDE_INVALID, cause));
        }
        if wanted.default_interfaces.is_some() {
            let cause = "default_interfaces is for a device that is to be registered";
            self.why.push(Why::of(codes::OVERRIDE_INVALID, cause));
        }
    }

    fn fields(&mut self, fields: &Fields, device: Option<&Device>) {
        self.value(values::public_ip(fields.public_ip), &format!("public_ip {}", fields.public_ip));
        if !fields.agent_key.is_zero() && fields.agent_key == fields.telemetry_key {
            let cause = "telemetry_key is the agent's key as well; use one key for each";
            self.why.push(Why::of(codes::OVERRIDE_INVALID, cause));
        }
        let set = fields.dz_prefixes.iter().take(usize::from(fields.dz_prefix_count));
        let network = self.snapshot.network.as_ref();
        for (index, prefix) in set.clone().enumerate() {
            self.value(values::dz_prefix(prefix), &format!("dz_prefixes: {prefix}"));
            let own = network.is_some_and(|n| n.link_block.overlaps(prefix) || n.loopback_block.overlaps(prefix));
            let twice = fields.dz_prefixes.iter().take(index).any(|other| other.overlaps(prefix));
            if own || twice {
                self.refuse(ErrorCode::DzPrefixOverlap, format!("dz_prefixes: {prefix}"));
            }
            let others = self.snapshot.devices.values().filter(|other| device.is_none_or(|own| own.code != other.code));
            let taken = others
                .filter(|other| {
                    let held = other.dz_prefixes.iter().take(usize::from(other.dz_prefix_count));
                    held.into_iter().any(|held| held.overlaps(prefix))
                })
                .map(|other| other.code)
                .next();
            if let Some(taken) = taken {
                self.refuse(
                    ErrorCode::DzPrefixOverlap,
                    format!("dz_prefixes: {prefix} overlaps one of device {taken}"),
                );
            }
        }
    }

    fn interfaces(
        &mut self,
        wanted: &Wanted,
        before: Vec<causeway_interface::accounts::Interface>,
        status: DeviceStatus,
        device_type: DeviceType,
    ) -> Vec<Change> {
        let mut named = BTreeSet::new();
        for interface in &wanted.interfaces {
            if !named.insert(interface.name) {
                let cause = format!("interface {} is named twice", interface.name);
                self.why.push(Why::of(codes::NAME_TWICE, cause));
            }
        }
        let (changes, problems) = interfaces::changes(&wanted.interfaces, before, status, device_type);
        for (error, what) in problems {
            self.refuse(error, what);
        }
        changes
    }

    fn change(&self, owner: &Pubkey, refs: &DeviceRefs, change: &Change) -> Instruction {
        match change {
            Change::Update(data) => self.build.update_interface(owner, refs, data.clone()),
            Change::Add(data) => self.build.add_interface(owner, refs, data.clone()),
        }
    }
}

/// A device's own fields as they are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    public_ip: causeway_interface::Ip4,
    dz_prefix_count: u8,
    dz_prefixes: [Prefix; MAX_DZ_PREFIXES],
    agent_key: Key,
    telemetry_key: Key,
    management_vrf: causeway_interface::VrfName,
}

impl Fields {
    /// What is wanted, and for the rest what is there.
    fn of(wanted: &Wanted, now: Option<&Device>) -> Self {
        let (mut dz_prefix_count, mut dz_prefixes) =
            now.map_or((0, [Prefix::NONE; MAX_DZ_PREFIXES]), |now| (now.dz_prefix_count, now.dz_prefixes));
        if let Some(list) = &wanted.dz_prefixes {
            dz_prefixes = [Prefix::NONE; MAX_DZ_PREFIXES];
            for (place, prefix) in dz_prefixes.iter_mut().zip(list) {
                *place = *prefix;
            }
            // A request with more was refused when it was read.
            dz_prefix_count = u8::try_from(list.len().min(MAX_DZ_PREFIXES)).unwrap_or(0);
        }
        Self {
            public_ip: wanted.public_ip.or(now.map(|now| now.public_ip)).unwrap_or_default(),
            dz_prefix_count,
            dz_prefixes,
            agent_key: wanted.agent_key.or(now.map(|now| now.agent_key)).unwrap_or_default(),
            telemetry_key: wanted.telemetry_key.or(now.map(|now| now.telemetry_key)).unwrap_or_default(),
            management_vrf: wanted.management_vrf.or(now.map(|now| now.management_vrf)).unwrap_or_default(),
        }
    }

    /// What provisioning needs and is not there.
    fn missing(&self) -> Vec<&'static str> {
        let fields = [
            ("public_ip", self.public_ip.is_zero()),
            ("agent_key", self.agent_key.is_zero()),
            ("telemetry_key", self.telemetry_key.is_zero()),
        ];
        fields.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect()
    }

    const fn update(&self, expected_sequence: u64) -> UpdateDevice {
        UpdateDevice {
            expected_sequence,
            public_ip: self.public_ip,
            dz_prefix_count: self.dz_prefix_count,
            dz_prefixes: self.dz_prefixes,
            agent_key: self.agent_key,
            telemetry_key: self.telemetry_key,
            management_vrf: self.management_vrf,
        }
    }
}

fn no(missing: &[&str]) -> String {
    format!("no {}", missing.join(", no "))
}
