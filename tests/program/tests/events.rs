//! Whose events are whose, in the logs that the virtual machine writes.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_program_tests::{
    World, artifact,
    parties::{exchange, location},
};
use causeway_sdk::{Instructions, address::to_key, events};
use solana_sdk::{
    pubkey::Pubkey,
    signature::{Keypair, Signer},
};

/// Where the loader's account of a program's data holds the upgrade authority: an option byte and a key.
const AUTHORITY: usize = 12;

/// A second deployment of the same binary, with a network of the same authority.
fn deployed_again(world: &mut World) -> Instructions {
    let program = Pubkey::new_from_array([8; 32]);
    world.svm.add_program(program, &artifact::bytes()).unwrap();
    let build = Instructions::new(program);
    let upgrade_authority = Keypair::new();
    world.fund(&upgrade_authority.pubkey());
    world.tamper(&build.addresses().program_data(), |account| {
        account.data[AUTHORITY] = 1;
        account.data[AUTHORITY + 1..AUTHORITY + 33].copy_from_slice(upgrade_authority.pubkey().as_ref());
    });
    let payer = upgrade_authority.pubkey();
    let init = build.init_network(&payer, &payer, world.init_data());
    world.send(&[init], &[&upgrade_authority]).unwrap();
    build
}

/// A copy of the program writes the very same lines, so it is the best forger there is.
#[test]
fn a_copy_of_the_program_in_the_same_transaction_is_another_program() {
    let mut world = World::new();
    let copy = deployed_again(&mut world);
    let original = world.ix.clone();
    let authority = world.authority.insecure_clone();
    let key = authority.pubkey();
    let instructions = [
        copy.create_location(&key, &key, location("a")),
        original.create_location(&key, &key, location("b")),
        copy.create_location(&key, &key, location("c")),
        original.create_exchange(&key, &key, exchange("d")),
    ];
    let done = world.send(&instructions, &[&authority]).unwrap();
    let subjects = |build: &Instructions| {
        let log = events::read(&build.addresses().program_id, &done.logs);
        assert!(log.complete, "{:?}", done.logs);
        log.events.iter().map(|event| event.subject).collect::<Vec<_>>()
    };
    let at = |build: &Instructions, code: &str| to_key(&build.addresses().location(&code.parse().unwrap()));
    let exchange = to_key(&original.addresses().exchange(&"d".parse().unwrap()));
    assert_eq!(subjects(&original), [at(&original, "b"), exchange]);
    assert_eq!(subjects(&copy), [at(&copy, "a"), at(&copy, "c")]);
    // A creation calls the system program, whose call and return are in the log between the two.
    assert!(done.logs.iter().any(|line| line.ends_with("invoke [2]")), "{:?}", done.logs);
    assert_eq!(events::read(&Pubkey::new_from_array([9; 32]), &done.logs).events, []);
}
