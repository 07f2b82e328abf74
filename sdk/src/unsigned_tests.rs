use causeway_interface::{
    DesiredStatus, DeviceType, Ip4, Platform, VrfName,
    instruction::{ANY_SEQUENCE, CreateDevice},
};
use solana_sdk::{
    message::{AddressLookupTableAccount, v0},
    signature::Keypair,
    signer::Signer,
};

use super::*;
use crate::instructions::Instructions;

const PROGRAM: Pubkey = Pubkey::new_from_array([9; 32]);

fn owner() -> Keypair {
    Keypair::new_from_array([3; 32])
}

fn create(payer: &Pubkey) -> Instruction {
    let data = CreateDevice {
        code: "new-1".parse().unwrap(),
        device_type: DeviceType::Hybrid,
        platform: Platform::Frr,
        public_ip: Ip4([198, 19, 0, 1]),
        dz_prefix_count: 0,
        dz_prefixes: Default::default(),
        agent_key: Key([1; 32]),
        telemetry_key: Key([2; 32]),
        management_vrf: VrfName::default(),
        desired: DesiredStatus::Activated,
        skip_recipe: false,
    };
    let code = |text: &str| text.parse().unwrap();
    Instructions::new(PROGRAM).create_device(payer, &code("co"), &code("lo"), &code("ex"), data)
}

fn read(text: &str) -> Result<Asked, UnsignedError> {
    Asked::read(text, &Addresses::new(PROGRAM), &Names::new())
}

fn encoded(message: VersionedMessage) -> String {
    let signatures = vec![Signature::default(); usize::from(message.header().num_required_signatures)];
    BASE64_STANDARD.encode(bytes(&VersionedTransaction { signatures, message }))
}

/// A transaction of these instructions, whoever has to sign.
fn any(instructions: &[Instruction]) -> String {
    encoded(pack::assemble(&owner().pubkey(), instructions, &[], (1, 0), Hash::default()).unwrap())
}

#[test]
fn what_is_made_is_read_as_it_was_meant_and_said_in_words() {
    let payer = owner().pubkey();
    let text = text(&payer, &[create(&payer)], 50_000, Hash::new_from_array([4; 32])).unwrap();
    let asked = read(&format!("  {text}\n")).unwrap();
    assert_eq!((asked.signer, asked.instructions.as_slice()), (payer, &[create(&payer)][..]));
    let [one] = asked.described.as_slice() else { panic!("{:?}", asked.described) };
    assert_eq!((one.name, one.data["code"].as_str()), ("create-device", Some("new-1")));
    assert_eq!(one.data["public_ip"].as_str(), Some("198.19.0.1"));
    let signers: Vec<_> = one.accounts.iter().filter(|a| a.signs).map(|a| (a.role, a.address.clone())).collect();
    assert_eq!(signers, [("owner", payer.to_string())]);
}

#[test]
fn addresses_of_the_ledger_have_names() {
    let snapshot = Snapshot::empty(to_key(&PROGRAM), 1);
    let names = names(&snapshot);
    let described = describe(&create(&owner().pubkey()), 0, &names).unwrap();
    let named: Vec<_> = described.accounts.iter().filter_map(|a| a.name.as_deref()).collect();
    assert_eq!(named, ["network", "prefix table", "system program"]);
}

#[test]
fn what_hides_anything_is_refused() {
    let payer = owner().pubkey();
    let own = create(&payer);
    let other = Pubkey::new_from_array([8; 32]);
    let foreign = Instruction { program_id: other, ..own.clone() };
    let transfer = Instruction {
        program_id: crate::address::SYSTEM_PROGRAM,
        accounts: vec![AccountMeta::new(payer, true), AccountMeta::new(other, false)],
        data: vec![2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    };
    let more = Instruction { accounts: [&own.accounts[..], &own.accounts[..1]].concat(), ..own.clone() };
    let fewer = Instruction { accounts: own.accounts[..3].to_vec(), ..own.clone() };
    let cut = Instruction { data: own.data[..40].to_vec(), ..own.clone() };
    let undefined = Instruction { data: vec![255], ..own.clone() };
    let nothing = Instruction { data: Vec::new(), ..own.clone() };
    let theirs = create(&other);
    for (instructions, code) in [
        (vec![own.clone(), foreign], "CW-TRANSACTION-FOREIGN"),
        (vec![transfer, own.clone()], "CW-TRANSACTION-FOREIGN"),
        (vec![more], "CW-TRANSACTION-FOREIGN"),
        (vec![fewer], "CW-TRANSACTION-FOREIGN"),
        (vec![cut], "CW-TRANSACTION-INVALID"),
        (vec![undefined], "CW-TRANSACTION-INVALID"),
        (vec![nothing], "CW-TRANSACTION-INVALID"),
        (vec![], "CW-TRANSACTION-INVALID"),
        (vec![theirs], "CW-TRANSACTION-SIGNER"),
    ] {
        let error = read(&any(&instructions)).unwrap_err();
        assert_eq!(Explain::code(&error), code, "{error}");
    }
}

#[test]
fn a_signed_one_and_one_with_a_lookup_table_are_refused() {
    let payer = owner();
    let instruction = create(&payer.pubkey());
    let message =
        pack::assemble(&payer.pubkey(), std::slice::from_ref(&instruction), &[], (1, 0), Hash::default()).unwrap();
    let signed = VersionedTransaction::try_new(message, &[&payer]).unwrap();
    assert_eq!(read(&BASE64_STANDARD.encode(bytes(&signed))), Err(UnsignedError::Signed));
    let addresses = instruction.accounts.iter().skip(1).map(|meta| meta.pubkey).collect();
    let table = AddressLookupTableAccount { key: Pubkey::new_from_array([7; 32]), addresses };
    let message = v0::Message::try_compile(&payer.pubkey(), &[instruction], &[table], Hash::default()).unwrap();
    assert_eq!(read(&encoded(VersionedMessage::V0(message))), Err(UnsignedError::LookupTable));
}

#[test]
fn no_text_panics_and_none_that_was_changed_is_taken_for_another() {
    let payer = owner().pubkey();
    let good = text(&payer, &[create(&payer)], 1, Hash::default()).unwrap();
    let whole = BASE64_STANDARD.decode(&good).unwrap();
    for length in 0..whole.len() {
        assert!(read(&BASE64_STANDARD.encode(&whole[..length])).is_err(), "{length}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert_eq!(read(&BASE64_STANDARD.encode(&longer)), Err(UnsignedError::Malformed));
    assert_eq!(read(&"A".repeat(MAX_TEXT + 4)), Err(UnsignedError::Malformed));
    for wrong in ["", "-", "{}", "\u{0}", "AAAA"] {
        assert_eq!(read(wrong), Err(UnsignedError::Malformed), "{wrong:?}");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            // Whatever it is then, what is read is all there is of it.
            if let Ok(asked) = read(&BASE64_STANDARD.encode(&changed)) {
                assert_eq!((asked.instructions.len(), asked.described.len()), (1, 1));
                assert!(
                    asked.instructions[0].accounts.iter().all(|meta| !meta.is_signer || meta.pubkey == asked.signer)
                );
            }
        }
    }
}

#[test]
fn what_fits_no_packet_has_no_text() {
    let payer = owner().pubkey();
    let build = Instructions::new(PROGRAM);
    let refs = crate::DeviceRefs {
        device: Pubkey::new_from_array([1; 32]),
        contributor: Pubkey::new_from_array([2; 32]),
        location: Pubkey::new_from_array([3; 32]),
        exchange: Pubkey::new_from_array([4; 32]),
    };
    let many: Vec<_> = (0..100).map(|_| build.provision_device(&payer, &refs, ANY_SEQUENCE)).collect();
    assert_eq!(text(&payer, &many, 1, Hash::default()), None);
    let advance = build.advance_device(&payer, &refs, ANY_SEQUENCE);
    let asked = read(&any(&[advance])).unwrap();
    assert_eq!(asked.described[0].accounts.last().map(|a| a.role), Some("exchange"));
}
