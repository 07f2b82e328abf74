//! A slice of a lifecycle in Agave's own runtime: the same binary, a bank, and its fees, rent and blockhashes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, Digest, Ip4, Key, Platform, Prefix, VrfName,
    accounts::{Device, MAX_DZ_PREFIXES, Record},
    instruction::{CreateContributor, CreateDevice, InitNetwork, Verdict},
};
use causeway_program_tests::{
    artifact,
    parties::{exchange, location},
    world::{code, prefix},
};
use causeway_sdk::{
    DeviceRefs, Instructions, Window,
    address::{UPGRADEABLE_LOADER, to_key},
};
use solana_program_test::{ProgramTest, ProgramTestContext};
use solana_sdk::{
    account::Account,
    instruction::Instruction,
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::Transaction,
};

const BURN_IN: u64 = 20;

/// The binary under the name that the runtime's loader looks for, in a folder of its own.
fn binary_folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("causeway-runtime-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{}.so", artifact::NAME)), artifact::bytes()).unwrap();
    folder
}

async fn send(context: &mut ProgramTestContext, instructions: &[Instruction], signers: &[&Keypair]) {
    let blockhash = context.get_new_latest_blockhash().await.unwrap();
    let payer = context.payer.insecure_clone();
    let mut all = vec![&payer];
    all.extend(signers);
    let transaction = Transaction::new_signed_with_payer(instructions, Some(&payer.pubkey()), &all, blockhash);
    context.banks_client.process_transaction(transaction).await.unwrap();
}

async fn device(context: &mut ProgramTestContext, ix: &Instructions, device: &Code) -> Device {
    let account = context.banks_client.get_account(ix.addresses().device(device)).await.unwrap().unwrap();
    Device::decode(&account.data).unwrap()
}

#[tokio::test]
async fn a_device_becomes_ready_for_links_in_agaves_runtime() {
    let program = Pubkey::new_from_array([7; 32]);
    let folder = binary_folder();
    // The runtime looks for the binary where the process stands; this file has one test, so nobody else looks.
    let previous = std::env::current_dir().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let mut test = ProgramTest::default();
    test.prefer_bpf(true);
    test.add_program(artifact::NAME, program, None);
    std::env::set_current_dir(previous).unwrap();
    let ix = Instructions::new(program);
    let (upgrade_authority, authority, owner) = (Keypair::new(), Keypair::new(), Keypair::new());
    let oracles = [Keypair::new(), Keypair::new(), Keypair::new()];
    for key in [&authority, &owner] {
        test.add_account(key.pubkey(), Account { lamports: 100_000_000_000, ..Account::default() });
    }
    let mut data = vec![3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    data.extend(upgrade_authority.pubkey().to_bytes());
    let program_data =
        Account { lamports: 1_000_000_000, data, owner: UPGRADEABLE_LOADER, executable: false, rent_epoch: u64::MAX };
    test.add_account(ix.addresses().program_data(), program_data);
    let mut context = test.start_with_context().await;

    let payer = context.payer.pubkey();
    let init = InitNetwork {
        authority: to_key(&authority.pubkey()),
        core_asn: 65_000,
        burn_in_new_slots: BURN_IN,
        burn_in_maintenance_slots: BURN_IN,
        attestation_max_age_slots: BURN_IN,
        link_block: prefix("172.16.0.0/16"),
        loopback_block: prefix("172.17.0.0/16"),
        user_block: prefix("172.18.0.0/16"),
    };
    let keys: Vec<Key> = oracles.iter().map(|o| to_key(&o.pubkey())).collect();
    let instructions = [
        ix.init_network(&payer, &upgrade_authority.pubkey(), init),
        ix.set_oracle_set(&authority.pubkey(), keys, 2, 0),
    ];
    send(&mut context, &instructions, &[&upgrade_authority, &authority]).await;
    let contributor =
        CreateContributor { code: code("acme"), owner: to_key(&owner.pubkey()), operations_key: Key::ZERO };
    let instructions = [
        ix.create_contributor(&payer, &authority.pubkey(), contributor),
        ix.create_location(&payer, &authority.pubkey(), location("ams")),
        ix.create_exchange(&payer, &authority.pubkey(), exchange("ams")),
    ];
    send(&mut context, &instructions, &[&authority]).await;
    let (acme, ams, name) = (code("acme"), code("ams"), code("a"));
    let refs = DeviceRefs::by_codes(ix.addresses(), &name, &acme, &ams, &ams);
    let create = CreateDevice {
        code: name,
        device_type: DeviceType::Hybrid,
        platform: Platform::Eos,
        public_ip: Ip4([198, 18, 0, 1]),
        dz_prefix_count: 0,
        dz_prefixes: [Prefix::NONE; MAX_DZ_PREFIXES],
        agent_key: Key([1; 32]),
        telemetry_key: Key([2; 32]),
        management_vrf: VrfName::ZERO,
        desired: DesiredStatus::Activated,
        skip_recipe: false,
    };
    let instructions =
        [ix.create_device(&owner.pubkey(), &acme, &ams, &ams, create), ix.provision_device(&owner.pubkey(), &refs, 0)];
    send(&mut context, &instructions, &[&owner]).await;
    assert_eq!(device(&mut context, &ix, &name).await.header.status, DeviceStatus::DeviceProvisioning);

    let subject = to_key(&refs.device);
    let mut slot = context.banks_client.get_root_slot().await.unwrap() + 10;
    for _ in 0..3 {
        slot += BURN_IN / 2;
        context.warp_to_slot(slot).unwrap();
        let window = Window { epoch: 1, start_slot: slot - 5, end_slot: slot, evidence_root: Digest::ZERO };
        let verdict = Verdict { verdict: DeviceHealth::ReadyForLinks.byte(), failed: 0 };
        for oracle in &oracles[..2] {
            let attest = ix.attest(&oracle.pubkey(), window, &[(subject, verdict.clone())]);
            send(&mut context, &[attest], &[oracle]).await;
        }
        let advance = ix.advance_device(&payer, &refs, 0);
        send(&mut context, &[advance], &[]).await;
    }
    let record = device(&mut context, &ix, &name).await;
    assert_eq!(record.header.status, DeviceStatus::LinkProvisioning);
    assert_eq!(record.header.health, DeviceHealth::ReadyForLinks);
    std::fs::remove_dir_all(&folder).unwrap();
}
