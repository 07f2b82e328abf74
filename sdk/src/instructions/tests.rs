use super::*;
use crate::address::to_key;
use causeway_interface::{
    DesiredStatus, Key, RegistryStatus, RejectReason,
    instruction::{ADVANCE_DEVICE, ADVANCE_LINK, ANY_SEQUENCE, Verdict},
};

fn refs(n: u8) -> DeviceRefs {
    let key = |m: u8| Pubkey::new_from_array([n.wrapping_mul(10).wrapping_add(m); 32]);
    DeviceRefs { device: key(0), contributor: key(1), location: key(2), exchange: key(3) }
}

/// Simple builders: the accounts carry the flags of the interface's table, in its order and number.
#[test]
fn accounts_follow_the_interfaces_table() {
    let build = Instructions::new(Pubkey::new_from_array([9; 32]));
    let signer = Pubkey::new_from_array([1; 32]);
    let code = "ams".parse().unwrap();
    let device = refs(1);
    let link = LinkRefs { link: Pubkey::new_from_array([77; 32]), a: refs(1), z: refs(2) };
    let name = "eth1".parse().unwrap();
    let target = RegistryTarget::Location(&code);
    let any = ANY_SEQUENCE;
    let built = [
        build.set_paused(&signer, true, any),
        build.set_oracle_set(&signer, vec![Key([3; 32])], 1, any),
        build.propose_authority(&signer, Key([3; 32]), any),
        build.accept_authority(&signer, any),
        build.extend_prefix_table(&signer, 0),
        build.set_registry_status(&signer, target, RegistryStatus::Suspended, any),
        build.close_registry(&signer, target, &signer, any),
        build.provision_device(&signer, &device, any),
        build.set_device_desired(&signer, &device, DesiredStatus::Activated, any),
        build.suspend_device(&signer, &device.device, any),
        build.resume_device(&signer, &device.device, any),
        build.reject_device(&signer, &device.device, RejectReason::Policy, any),
        build.delete_device(&signer, &device, any),
        build.close_device(&signer, &device, &signer, any),
        build.remove_interface(&signer, &device, &signer, name, any),
        build.accept_link(&signer, &link, name, any),
        build.reject_link(&signer, &link, RejectReason::Policy, any),
        build.provision_link(&signer, &link, any),
        build.set_link_desired(&signer, &device.contributor, &link.link, DesiredStatus::Activated, any),
        build.suspend_link(&signer, &link, any),
        build.resume_link(&signer, &link.link, any),
        build.delete_link(&signer, &device.contributor, &link.link, any),
        build.close_link(&signer, &link, &signer, any),
        build.extend_attestations(&signer, &to_key(&device.device), 0),
    ];
    for instruction in built {
        let tag = tag_of(&instruction).unwrap();
        let specs = tag.accounts();
        assert_eq!(instruction.accounts.len(), specs.len(), "{tag}");
        for (meta, spec) in instruction.accounts.iter().zip(specs) {
            assert_eq!((meta.is_signer, meta.is_writable), (spec.signer, spec.writable), "{tag} {}", spec.name);
        }
        assert_eq!(Data::decode(&instruction.data).unwrap().tag(), tag);
    }
}

#[test]
fn advance_and_attest_carry_their_further_accounts() {
    let build = Instructions::new(Pubkey::new_from_array([9; 32]));
    let signer = Pubkey::new_from_array([1; 32]);
    let link = LinkRefs { link: Pubkey::new_from_array([77; 32]), a: refs(1), z: refs(2) };
    let fixed = Tag::Advance.accounts().len();

    let device = build.advance_device(&signer, &link.a, ANY_SEQUENCE);
    assert_eq!(device.accounts.len(), fixed + ADVANCE_DEVICE.len());
    let advanced = build.advance_link(&signer, &link, ANY_SEQUENCE);
    assert_eq!(advanced.accounts.len(), fixed + ADVANCE_LINK.len());
    assert_eq!(advanced.accounts[fixed + 2].pubkey, link.a.device);
    assert!(advanced.accounts[fixed + 3].is_writable);

    let subjects: Vec<_> = (1..=5).map(|n| (Key([n; 32]), Verdict { verdict: 2, failed: 0 })).collect();
    let window = Window { epoch: 3, start_slot: 1, end_slot: 2, evidence_root: Default::default() };
    let attest = build.attest(&signer, window, &subjects);
    assert_eq!(attest.accounts.len(), Tag::Attest.accounts().len() + subjects.len());
    for (meta, (subject, _)) in attest.accounts[2..].iter().zip(&subjects) {
        assert_eq!(meta.pubkey, build.addresses().attestations(subject));
        assert!(meta.is_writable && !meta.is_signer);
    }
}

#[test]
fn addresses_are_distinct_and_depend_on_the_program() {
    let code = "same".parse().unwrap();
    let of = |id: u8| {
        let a = Addresses::new(Pubkey::new_from_array([id; 32]));
        [
            a.network(),
            a.contributor(&code),
            a.location(&code),
            a.exchange(&code),
            a.device(&code),
            a.link(&code),
            a.attestations(&Key([1; 32])),
            a.pool(PoolKind::LinkNet),
            a.pool(PoolKind::LinkId),
            a.prefix_table(),
            a.program_data(),
        ]
    };
    let all: std::collections::BTreeSet<_> = of(1).into_iter().chain(of(2)).collect();
    assert_eq!(all.len(), 22);
}
