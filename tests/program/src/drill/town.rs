//! The world that cases happen in: of everything there is one's own, a sibling, another's, a copy under another
//! program, a copy at an address that is not derived, a closed one and a revived one.

use causeway_interface::{
    AccountType, Code, Key,
    accounts::{Attestations, Contributor, Device, Exchange, Link, Location, Pool, RawHeader, Record},
    instruction::CreateContributor,
};
use causeway_sdk::{
    RegistryTarget,
    address::{Addresses, SYSTEM_PROGRAM, to_key, to_pubkey},
};
use solana_sdk::{
    account::{Account, ReadableAccount},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

use crate::{
    Party, World,
    parties::{exchange, location},
    plant::{PLACE, hybrid},
    world::code,
};

/// Where the other contributor's devices stand.
const ELSEWHERE: &str = "fra";
/// Codes of what was closed: the first stays so, somebody has sent lamports to the second.
const GONE: [&str; 2] = ["gone", "revived"];

/// Two contributors with devices and links, and everything that may be mistaken for something of theirs.
pub struct Town {
    /// The virtual machine.
    pub world: World,
    /// Whose instructions are broken: devices `a1`, `a2`, and `a3` without links; the WAN link `w-acme`.
    pub acme: Party,
    /// Another contributor: devices `z1` and `z2`, the WAN link `w-zeta`.
    pub zeta: Party,
    /// Somebody with lamports and no role.
    pub stranger: Keypair,
    closed: Vec<(String, Pubkey)>,
}

/// What a candidate for an account's place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An account of the town, of whatever owner.
    Real,
    /// The bytes of an account of the program at an address that is not derived. The program creates accounts at
    /// derived addresses only, so that no ledger holds such a thing; it is refused where another account names the
    /// right one, and not looked for elsewhere.
    Stray,
}

/// Something to put in an account's place.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it is.
    pub name: String,
    /// Where it is.
    pub key: Pubkey,
    /// Whether a ledger can hold it.
    pub origin: Origin,
}

impl Town {
    /// The program without a network.
    pub fn bare() -> Self {
        let mut world = World::bare();
        let stranger = world.somebody();
        let mut party = |name| Party { code: code(name), owner: world.somebody(), operations: world.somebody() };
        let (acme, zeta) = (party("acme"), party("zeta"));
        Self { world, acme, zeta, stranger, closed: Vec::new() }
    }

    /// All of it, every device and link pending or requested.
    pub fn new() -> Self {
        let mut world = World::new();
        let stranger = world.somebody();
        let (acme, zeta) = (world.party("acme"), world.party("zeta"));
        world.party("idle");
        for name in [PLACE, ELSEWHERE, "idle"] {
            world.place(name);
        }
        let mut town = Self { world, acme, zeta, stranger, closed: Vec::new() };
        for name in ["a1", "a2", "a3"] {
            town.world.add_device(&town.acme, hybrid(name));
        }
        for name in ["z1", "z2"] {
            let data = town.world.device_data(hybrid(name));
            let (owner, place) = (town.zeta.owner.insecure_clone(), code(ELSEWHERE));
            let ix = town.world.ix.create_device(&owner.pubkey(), &town.zeta.code, &place, &place, data);
            town.world.by(&owner, ix).expect("a device elsewhere");
        }
        let [a1, a2, z1, z2] = ["a1", "a2", "z1", "z2"].map(code);
        town.world.add_wan(&town.acme, "w-acme", (&a1, "eth3"), (&a2, "eth3"));
        town.world.add_wan(&town.zeta, "w-zeta", (&z1, "eth3"), (&z2, "eth3"));
        town.world.request_dzx(&town.acme, "x-open", (&a1, "eth4"), (&z1, "eth4"));
        for name in GONE {
            town.open_and_close(name);
        }
        let revived: Vec<Pubkey> =
            town.closed.iter().filter(|(name, _)| name.starts_with(GONE[1])).map(|(_, key)| *key).collect();
        for key in &revived {
            town.world.fund(key);
        }
        town
    }

    /// Makes one of everything that can be closed, and closes it.
    fn open_and_close(&mut self, name: &str) {
        let (authority, owner) = (self.world.authority.pubkey(), self.acme.owner.insecure_clone());
        let payee = owner.pubkey();
        let at = *self.world.ix.addresses();
        let gone = code(name);

        let data = CreateContributor { code: gone, owner: Key([1; 32]), operations_key: Key::ZERO };
        let contributor = self.world.ix.create_contributor(&authority, &authority, data);
        let location = self.world.ix.create_location(&authority, &authority, location(name));
        let exchange = self.world.ix.create_exchange(&authority, &authority, exchange(name));
        for instruction in [contributor, location, exchange] {
            self.world.as_authority(instruction).expect("it is registered");
        }
        for target in
            [RegistryTarget::Contributor(&gone), RegistryTarget::Location(&gone), RegistryTarget::Exchange(&gone)]
        {
            let close = self.world.ix.close_registry(&authority, target, &authority, 0);
            self.world.as_authority(close).expect("it is closed");
        }

        let [a2, a3] = ["a2", "a3"].map(code);
        let link = self.world.add_wan(&self.acme, name, (&a2, "eth5"), (&a3, "eth5"));
        let refs = self.world.link_refs(&link);
        let delete = self.world.ix.delete_link(&payee, &refs.a.contributor, &refs.link, 0);
        let close = self.world.ix.close_link(&payee, &refs, &payee, 0);
        self.world.send(&[delete, close], &[&owner]).expect("the link is closed");
        let device = self.world.add_device(&self.acme, hybrid(name));
        let device_refs = self.world.device_refs(&device);
        let delete = self.world.ix.delete_device(&payee, &device_refs, 0);
        let close = self.world.ix.close_device(&payee, &device_refs, &payee, 0);
        self.world.send(&[delete, close], &[&owner]).expect("the device is closed");

        let named = |what: &str, key: Pubkey| (format!("{name} {what}"), key);
        self.closed.extend([
            named("contributor", at.contributor(&gone)),
            named("location", at.location(&gone)),
            named("exchange", at.exchange(&gone)),
            named("device", at.device(&gone)),
            named("device attestations", at.attestations(&to_key(&at.device(&gone)))),
            named("link", refs.link),
            named("link attestations", at.attestations(&to_key(&refs.link))),
        ]);
    }

    /// Everybody who can sign.
    pub fn people(&self) -> Vec<(&'static str, Pubkey)> {
        let mut people = vec![
            ("the authority", self.world.authority.pubkey()),
            ("the upgrade authority", self.world.upgrade_authority.pubkey()),
            ("acme's owner", self.acme.owner.pubkey()),
            ("acme's operations key", self.acme.operations.pubkey()),
            ("zeta's owner", self.zeta.owner.pubkey()),
            ("zeta's operations key", self.zeta.operations.pubkey()),
            ("a stranger", self.stranger.pubkey()),
        ];
        people.extend(self.world.oracles.iter().map(|oracle| ("an oracle", oracle.pubkey())));
        people
    }

    /// Everything there is, after the copies have been planted.
    pub fn candidates(&mut self) -> Vec<Candidate> {
        let real = |name: String, key| Candidate { name, key, origin: Origin::Real };
        let mut all: Vec<Candidate> = self.people().iter().map(|(name, key)| real((*name).into(), *key)).collect();
        all.extend(self.closed.iter().map(|(name, key)| real(format!("closed: {name}"), *key)));
        all.push(real("an address that holds nothing".into(), Pubkey::new_unique()));
        all.push(real("the system program".into(), SYSTEM_PROGRAM));
        let elsewhere = Addresses::new(Pubkey::new_from_array([8; 32]));
        for (key, account) in self.own_accounts() {
            let kind = AccountType::from_byte(account.data[0]).expect("the program wrote it");
            let home = home(&elsewhere, kind, &account.data);
            let name = named(kind, &account.data);
            self.plant(home, Account { owner: elsewhere.program_id, ..account.clone() });
            all.push(real(format!("another network's {name}"), home));
            let alien =
                self.plant(Pubkey::new_unique(), Account { owner: Pubkey::new_from_array([9; 32]), ..account.clone() });
            all.push(real(format!("another program's copy of {name}"), alien));
            let stray = self.plant(Pubkey::new_unique(), account);
            all.push(Candidate { name: format!("a stray {name}"), key: stray, origin: Origin::Stray });
            all.push(real(name, key));
        }
        all
    }

    /// The program's accounts, in the order of their addresses.
    pub fn own_accounts(&self) -> Vec<(Pubkey, Account)> {
        let program = self.world.ix.addresses().program_id;
        let accounts = &self.world.svm.accounts_db().inner;
        let mut own: Vec<(Pubkey, Account)> = accounts
            .iter()
            .filter(|(_, account)| *account.owner() == program && account.lamports() > 0)
            .map(|(key, account)| (*key, Account::from(account.clone())))
            .collect();
        own.sort_by_key(|(key, _)| *key);
        own
    }

    fn plant(&mut self, key: Pubkey, account: Account) -> Pubkey {
        self.world.svm.set_account(key, account).expect("a copy is planted");
        key
    }

    /// Registers a DZX link that zeta has accepted.
    pub fn accepted_dzx(&mut self) -> Code {
        let link = code("x-open");
        self.world.accept(&self.zeta, &link).expect("zeta accepts");
        link
    }
}

impl Default for Town {
    fn default() -> Self {
        Self::new()
    }
}

/// Where another deployment keeps an account of these bytes.
fn home(at: &Addresses, kind: AccountType, data: &[u8]) -> Pubkey {
    match kind {
        AccountType::Network => at.network(),
        AccountType::Contributor => at.contributor(&read::<Contributor>(data).code),
        AccountType::Location => at.location(&read::<Location>(data).code),
        AccountType::Exchange => at.exchange(&read::<Exchange>(data).code),
        AccountType::Device => at.device(&read::<Device>(data).code),
        AccountType::Link => at.link(&read::<Link>(data).code),
        // Attested are its own devices and links: the seed is another key there.
        AccountType::Attestations => at.attestations(&read::<Attestations>(data).subject),
        AccountType::Pool => at.pool(read::<Pool>(data).header.kind),
        AccountType::PrefixTable => at.prefix_table(),
    }
}

/// What people call an account of these bytes.
fn named(kind: AccountType, data: &[u8]) -> String {
    match kind {
        AccountType::Contributor
        | AccountType::Location
        | AccountType::Exchange
        | AccountType::Device
        | AccountType::Link => {
            let code = data[RawHeader::LEN..][..size_of::<Code>()].iter().take_while(|byte| **byte != 0);
            format!("{kind} {}", code.map(|byte| char::from(*byte)).collect::<String>())
        }
        AccountType::Attestations => format!("{kind} of {}", to_pubkey(&read::<Attestations>(data).subject)),
        AccountType::Pool => format!("{} pool", read::<Pool>(data).header.kind),
        AccountType::Network | AccountType::PrefixTable => kind.to_string(),
    }
}

fn read<T: Record>(data: &[u8]) -> T {
    T::decode(data).expect("the program wrote it")
}
