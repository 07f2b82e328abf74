use super::*;
use causeway_interface::accounts::{LAYOUT_VERSION, RawDevice, RawHeader, RawInterface, RawLocation};
use causeway_interface::{AccountType, Platform};

fn header(account_type: AccountType) -> RawHeader {
    let mut header: RawHeader = bytemuck::Zeroable::zeroed();
    header.account_type = account_type.byte();
    header.version = LAYOUT_VERSION;
    header.status = u8::from(account_type == AccountType::Location);
    header
}

fn location(code: &str) -> Vec<u8> {
    let mut raw: RawLocation = bytemuck::Zeroable::zeroed();
    raw.header = header(AccountType::Location);
    raw.code = code.parse().unwrap();
    raw.country = "NL".parse().unwrap();
    bytemuck::bytes_of(&raw).to_vec()
}

fn device(code: &str) -> Vec<u8> {
    let mut raw: RawDevice = bytemuck::Zeroable::zeroed();
    raw.header = header(AccountType::Device);
    raw.code = code.parse().unwrap();
    raw.platform = Platform::Frr.byte();
    let mut interface: RawInterface = bytemuck::Zeroable::zeroed();
    interface.name = "eth1".parse().unwrap();
    let mut bytes = bytemuck::bytes_of(&raw).to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(bytemuck::bytes_of(&interface));
    bytes
}

fn deployment() -> (Key, Vec<(Key, Vec<u8>)>) {
    let program = Key([7; 32]);
    let addresses = Addresses::new(to_pubkey(&program));
    let mut accounts: Vec<(Key, Vec<u8>)> = ["ams", "lon", "zrh"]
        .iter()
        .map(|code| (to_key(&addresses.location(&code.parse().unwrap())), location(code)))
        .collect();
    accounts.push((to_key(&addresses.device(&"ams-1".parse().unwrap())), device("ams-1")));
    accounts.push((Key([9; 32]), vec![200; 30]));
    accounts.push((Key([8; 32]), vec![]));
    (program, accounts)
}

fn read(program: Key, accounts: &[(Key, Vec<u8>)]) -> Snapshot {
    Snapshot::from_accounts(program, 5, accounts.iter().map(|(k, d)| (*k, d.as_slice())))
}

#[test]
fn the_order_of_accounts_does_not_reach_the_bytes() {
    let (program, mut accounts) = deployment();
    let forward = read(program, &accounts).to_json().unwrap();
    accounts.reverse();
    assert_eq!(read(program, &accounts).to_json().unwrap(), forward);
}

#[test]
fn json_round_trips_and_codes_are_found() {
    let (program, accounts) = deployment();
    let snapshot = read(program, &accounts);
    assert_eq!((snapshot.locations.len(), snapshot.devices.len(), snapshot.undecodable.len()), (3, 1, 2));
    let back = Snapshot::from_json(&snapshot.to_json().unwrap()).unwrap();
    assert_eq!(back, snapshot);
    assert!(back.device(&"ams-1".parse().unwrap()).is_some());
    assert!(back.device(&"ams".parse().unwrap()).is_none());
    assert!(back.location(&"lon".parse().unwrap()).is_some());
}

#[test]
fn hostile_json_is_an_error() {
    for text in ["", "{}", "[]", "{\"slot\":-1}", "{\"slot\":1,\"program_id\":\"x\"}"] {
        assert!(Snapshot::from_json(text).is_err(), "{text}");
    }
    let (program, accounts) = deployment();
    let text = read(program, &accounts).to_json().unwrap();
    assert!(Snapshot::from_json(&text.replace("\"pending\"", "\"perhaps\"")).is_err());
    assert!(Snapshot::from_json(&text.replace("\"links\"", "\"lynx\"")).is_err());
}

#[test]
fn an_undecodable_account_leaves_the_list_once_it_can_be_read() {
    let (program, accounts) = deployment();
    let mut snapshot = read(program, &accounts);
    let address = snapshot.undecodable[0].address;
    snapshot.put(address, &location("fra"));
    assert_eq!(snapshot.undecodable.len(), 1);
    assert_eq!(snapshot.locations.len(), 4);
}
