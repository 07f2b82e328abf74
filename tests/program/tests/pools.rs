//! Pools through the built program: the lowest free value, at the same cost however full the pool is; nothing half
//! done when one is exhausted; nothing freed twice; an error where bitmap and summary disagree.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use causeway_interface::{
    ErrorCode, LoopbackType, PoolKind,
    accounts::{Link, OFFSET_STATUS, RawDevice, RawInterface, RawLink, RawPool, Record},
};
use causeway_program_tests::{
    World, counts,
    plant::hybrid,
    reference::pool::Taken,
    stages::{BEFORE, DELETING, PoolStage},
    world::{code, prefix},
};
use solana_sdk::signature::Signer;

/// Whether an allocation refuses (`PoolCorrupt`) an index past the capacity, which only a corrupt bitmap can offer.
const ALLOCATION_LOOKS_AT_THE_CAPACITY: bool = true;

/// The pools, how many values they have in a [`World`]'s blocks, and how many a device or a link takes.
const KINDS: [(PoolKind, usize, usize); 4] = [
    (PoolKind::Loopback, 65_534, 2),
    (PoolKind::NodeSegment, 16_383, 1),
    (PoolKind::LinkNet, 32_768, 1),
    (PoolKind::LinkId, 65_535, 1),
];

/// Compute units that a fuller pool of `n` values may add for each value that is taken from it. Its summary has a word
/// for each 4 096 values; all but the last may be looked at in vain, each by a load, a comparison, a jump and the
/// loop's own steps: 8 instructions at most. The last free value of a word costs the few that mark the word as full.
/// Nothing else depends on what is taken.
const fn may_add(n: usize) -> u64 {
    (n.div_ceil(4_096) as u64 - 1) * 8 + 12
}

/// Ways to be full, from empty to the last value of the last word: what is free of `n` values, of which `needed` are.
fn ways_to_be_full(n: usize, needed: usize) -> Vec<(String, Vec<bool>)> {
    let but = |free: Vec<usize>| (0..n).map(|i| !free.contains(&i)).collect::<Vec<bool>>();
    let mut ways = vec![
        ("empty".to_owned(), vec![false; n]),
        ("lower half taken".to_owned(), (0..n).map(|i| i < n / 2).collect()),
        ("every other value taken".to_owned(), (0..n).map(|i| i % 2 == 0).collect()),
        ("one value free in each word, its last".to_owned(), (0..n).map(|i| i % 64 != 63).collect()),
        ("one value free in each group of 4 096, its last".to_owned(), (0..n).map(|i| i % 4_096 != 4_095).collect()),
        ("full but for the last values".to_owned(), but((n - needed..n).collect())),
        ("full but for the first and the last".to_owned(), but(vec![0, n - 1])),
    ];
    ways.extend(
        (0..n).step_by(4_096).skip(1).map(|first| (format!("full up to {first}"), (0..n).map(|i| i < first).collect())),
    );
    ways
}

#[test]
fn provisioning_costs_the_same_however_full_the_pools_are() {
    let mut pools = PoolStage::new();
    for (what, kinds) in [("device", &KINDS[..2]), ("link", &KINDS[2..])] {
        let may_add: u64 = kinds.iter().map(|(_, n, needed)| may_add(*n) * *needed as u64).sum();
        let fillings: Vec<_> = kinds.iter().map(|(_, n, needed)| ways_to_be_full(*n, *needed)).collect();
        let mut empty = None;
        for way in 0..fillings.iter().map(Vec::len).max().unwrap() {
            pools.scene.restore(BEFORE);
            let mut names = Vec::new();
            for ((kind, ..), filling) in kinds.iter().zip(&fillings) {
                // A smaller pool has fewer ways: its last one goes with the larger one's others.
                let (name, taken) = &filling[way.min(filling.len() - 1)];
                pools.fill(*kind, &Taken(taken.clone()));
                names.push(format!("{kind} {name}"));
            }
            let result = if what == "device" { pools.provision_device() } else { pools.provision_link() };
            let (names, cost) = (names.join(", "), result.unwrap());
            let empty = *empty.get_or_insert(cost);
            println!("provision {what}: {cost} CU, {names}");
            assert!(cost <= empty + may_add, "{names}: {cost}, and {empty} when empty");
        }
    }
}

/// One free value in each place that a bit can have in a word, in every word of every pool.
#[test]
fn the_one_free_value_is_found_wherever_it_is() {
    let mut pools = PoolStage::new();
    let mut places = 0;
    let edges = |n: usize| (0..n).filter(|i| [0, 1, 31, 62, 63].contains(&(i % 64))).collect::<Vec<_>>();
    let [loopbacks, segments, nets, ids] = KINDS.map(|(_, n, _)| edges(n));
    // The smaller pool of each pair goes round while the larger one is gone through.
    for (n, first) in loopbacks.iter().enumerate() {
        let second = loopbacks[(n * 7 + 1) % loopbacks.len()];
        let segment = segments[n % segments.len()];
        if second == *first {
            continue;
        }
        pools.scene.restore(BEFORE);
        pools.leave(PoolKind::Loopback, &[*first, second]);
        pools.leave(PoolKind::NodeSegment, &[segment]);
        pools.provision_device().unwrap();
        assert_eq!(pools.held_by_device(), [(*first).min(second), (*first).max(second), segment]);
        places += 3;
        for kind in [PoolKind::Loopback, PoolKind::NodeSegment] {
            assert!(pools.is_full(kind), "{kind}");
        }
    }
    for (n, id) in ids.iter().enumerate() {
        let net = nets[n % nets.len()];
        pools.scene.restore(BEFORE);
        pools.leave(PoolKind::LinkNet, &[net]);
        pools.leave(PoolKind::LinkId, &[*id]);
        pools.provision_link().unwrap();
        assert_eq!(pools.held_by_link(), [net, *id]);
        places += 2;
    }
    counts::report("places in pools", places);
}

/// Each pool of an instruction runs out while the others have enough, also after some of them have been taken from.
#[test]
fn an_exhausted_pool_leaves_every_account_as_it_was() {
    let mut pools = PoolStage::new();
    let exhausted = Err(ErrorCode::PoolExhausted);
    // A refusal compares every account of the program with what it was: see `Scene::send`.
    for (kind, left) in [(PoolKind::Loopback, 0), (PoolKind::Loopback, 1), (PoolKind::NodeSegment, 0)] {
        pools.scene.restore(BEFORE);
        pools.leave(kind, &(0..left).collect::<Vec<_>>());
        assert_eq!(pools.provision_device(), exhausted, "{left} left of {kind}");
        let device: RawDevice = pools.scene.record(&pools.device.device).unwrap();
        assert_eq!(device.header.status, 0, "it stays pending");
        assert_eq!(pools.taken(kind).0.iter().filter(|t| !**t).count(), left);
        pools.leave(kind, &[5, 6]);
        pools.provision_device().unwrap();
    }
    for kind in [PoolKind::LinkNet, PoolKind::LinkId] {
        pools.scene.restore(BEFORE);
        pools.leave(kind, &[]);
        assert_eq!(pools.provision_link(), exhausted, "nothing left of {kind}");
        let link: RawLink = pools.scene.record(&pools.link.link).unwrap();
        assert_eq!((link.tunnel_id.get(), link.tunnel_net.is_none()), (0, true));
        pools.leave(kind, &[5]);
        pools.provision_link().unwrap();
    }
}

/// Blocks whose pools are not whole words: the last value is handed out and nothing after it.
#[test]
fn a_capacity_that_is_no_multiple_of_sixty_four_ends_where_it_ends() {
    for (links, loopbacks, nets, addresses) in [
        ("172.16.0.0/30", "172.17.0.0/30", 2, 2),
        ("172.16.0.0/25", "172.17.0.0/25", 64, 126),
        ("172.16.0.0/24", "172.17.0.0/24", 128, 254),
        ("172.16.0.0/16", "172.17.0.0/16", 32_768, 65_534),
    ] {
        let mut pools = PoolStage::in_blocks(links, loopbacks);
        for (kind, capacity) in [(PoolKind::LinkNet, nets), (PoolKind::Loopback, addresses)] {
            assert_eq!(pools.taken(kind).0.len(), capacity, "{links}, {loopbacks}");
        }
        pools.scene.restore(BEFORE);
        pools.leave(PoolKind::Loopback, &[addresses - 2, addresses - 1]);
        pools.leave(PoolKind::NodeSegment, &[16_382]);
        pools.leave(PoolKind::LinkNet, &[nets - 1]);
        pools.leave(PoolKind::LinkId, &[65_534]);
        pools.provision_device().unwrap();
        pools.provision_link().unwrap();
        let (block, net) = (prefix(loopbacks), prefix(links));
        assert_eq!(pools.loopback(LoopbackType::Vpnv4).node_segment, 16_383);
        let address = pools.loopback(LoopbackType::Ipv4).address;
        assert_eq!(address.addr.to_u32(), block.last() - 1, "the last but the broadcast address");
        let link = Link::decode(pools.scene.bytes(&pools.link.link)).unwrap();
        assert_eq!((link.tunnel_net.last(), link.tunnel_id), (net.last(), 65_535));
        // All pools are full now: nothing past their ends is free.
        for (kind, ..) in KINDS {
            assert!(pools.is_full(kind), "{kind}");
        }
        for (device, link) in [(true, false), (false, true)] {
            let holders = [pools.device.device, pools.link.link];
            pools.scene.plant_bytes(&holders[usize::from(link)], |bytes| bytes[OFFSET_STATUS] = 0);
            let result = if device { pools.provision_device() } else { pools.provision_link() };
            assert_eq!(result, Err(ErrorCode::PoolExhausted));
        }
    }
}

/// Devices come and go in a made-up order; every value is the lowest that a set says is free.
#[test]
fn what_is_freed_comes_back_and_the_lowest_first() {
    let mut world = World::new();
    let party = world.party("acme");
    let owner = party.owner.pubkey();
    let mut model = [PoolKind::Loopback, PoolKind::NodeSegment]
        .map(|kind| Taken::read(&world.account(&world.ix.addresses().pool(kind)).unwrap().data));
    let names: Vec<String> = (0..9).map(|n| format!("d{n}")).collect();
    let mut held: Vec<Option<[usize; 3]>> = vec![None; names.len()];
    // A multiplier and an increment of a full-period generator; the high bits choose.
    let mut random = 1_u32;
    let mut steps = 0;
    while steps < 150 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let n = (random >> 16) as usize % names.len();
        let device = code(&names[n]);
        match held[n].take() {
            None => {
                world.add_device(&party, hybrid(&names[n]));
                world.provision_device(&party, &device).unwrap();
                let [loopbacks, segments] = &mut model;
                let expected = [loopbacks.take(), segments.take(), loopbacks.take()].map(Option::unwrap);
                let record = world.device(&device);
                let of = |kind| record.interfaces.iter().find(|i| i.loopback == kind).unwrap();
                let base = world.pool(PoolKind::Loopback).base;
                let found = [
                    (of(LoopbackType::Vpnv4).address.addr.to_u32() - base) as usize,
                    usize::from(of(LoopbackType::Vpnv4).node_segment) - 1,
                    (of(LoopbackType::Ipv4).address.addr.to_u32() - base) as usize,
                ];
                assert_eq!(found, expected, "step {steps}");
                held[n] = Some(expected);
            }
            Some([vpnv4, segment, ipv4]) => {
                let refs = world.device_refs(&device);
                let delete = world.ix.delete_device(&owner, &refs, 0);
                let close = world.ix.close_device(&owner, &refs, &owner, 0);
                world.send(&[delete, close], &[&party.owner]).unwrap();
                (model[0].0[vpnv4], model[1].0[segment], model[0].0[ipv4]) = (false, false, false);
            }
        }
        for (kind, model) in [PoolKind::Loopback, PoolKind::NodeSegment].into_iter().zip(&model) {
            let account = world.account(&world.ix.addresses().pool(kind)).unwrap();
            assert!(Taken::read(&account.data) == *model, "step {steps}: {kind}");
        }
        steps += 1;
    }
}

/// What a device or link holds is free already, or was never the pool's: it stays where it is.
#[test]
fn nothing_is_freed_twice_nor_by_a_pool_that_it_is_not_of() {
    let mut pools = PoolStage::new();
    pools.scene.restore(DELETING);
    let ([vpnv4, ipv4, segment], [net, id]) = (pools.held_by_device(), pools.held_by_link());
    let held = [
        (PoolKind::Loopback, vpnv4),
        (PoolKind::Loopback, ipv4),
        (PoolKind::NodeSegment, segment),
        (PoolKind::LinkNet, net),
        (PoolKind::LinkId, id),
    ];
    for (kind, index) in held {
        pools.scene.restore(DELETING);
        let mut taken = pools.taken(kind);
        taken.0[index] = false;
        pools.fill(kind, &taken);
        let of_link = matches!(kind, PoolKind::LinkNet | PoolKind::LinkId);
        let result = if of_link { pools.close_link() } else { pools.close_device() };
        assert_eq!(result, Err(ErrorCode::PoolDoubleFree), "{kind} {index}");
    }
    // A value past the end of the pool, and a net between two nets.
    for (what, error) in [(0, ErrorCode::PoolForeignValue), (1, ErrorCode::PoolForeignValue)] {
        pools.scene.restore(DELETING);
        pools.scene.plant(&pools.link.link, |link: &mut RawLink| match what {
            0 => link.tunnel_id.set(65_536),
            _ => link.tunnel_net.addr.0[3] += 1,
        });
        assert_eq!(pools.close_link(), Err(error));
    }
    pools.scene.restore(DELETING);
    pools.scene.plant_bytes(&pools.device.device, |bytes| {
        let list: &mut [RawInterface] = bytemuck::cast_slice_mut(&mut bytes[RawDevice::LEN + 4..]);
        list.iter_mut().find(|i| i.loopback == LoopbackType::Ipv4.byte()).unwrap().address.addr.0 = [172, 17, 255, 255];
    });
    assert_eq!(pools.close_device(), Err(ErrorCode::PoolForeignValue));
    // Both still hold what they held, so that they can be closed once the pools are put right.
    pools.scene.restore(DELETING);
    pools.close_device().unwrap();
    pools.close_link().unwrap();
    for (kind, ..) in KINDS {
        assert!(!pools.taken(kind).0.contains(&true), "{kind}");
    }
}

#[test]
fn a_summary_that_disagrees_with_the_bitmap_hands_out_nothing_that_is_taken() {
    let mut pools = PoolStage::new();
    let words = |pools: &mut PoolStage, kind, change: fn(&mut RawPool)| {
        let address = pools.address(kind);
        pools.scene.plant(&address, change);
    };
    let corrupt = Err(ErrorCode::PoolCorrupt);
    for (kind, _, needed) in KINDS {
        let provision = |pools: &mut PoolStage| match kind {
            PoolKind::Loopback | PoolKind::NodeSegment => pools.provision_device(),
            PoolKind::LinkNet | PoolKind::LinkId => pools.provision_link(),
        };
        // The summary says that the first word has something, and it has nothing.
        pools.scene.restore(BEFORE);
        pools.leave(kind, &(64..64 + needed).collect::<Vec<_>>());
        words(&mut pools, kind, |pool| pool.full_words[0].set(pool.full_words[0].get() & !1));
        assert_eq!(provision(&mut pools), corrupt, "{kind}: a full word that is said to have room");
        // The summary says that the first word has nothing, and it has: what is handed out is free all the same.
        pools.scene.restore(BEFORE);
        words(&mut pools, kind, |pool| pool.full_words[0].set(1));
        provision(&mut pools).unwrap();
        let held = if needed == 2 || kind == PoolKind::NodeSegment {
            pools.held_by_device()[if kind == PoolKind::NodeSegment { 2 } else { 0 }]
        } else {
            pools.held_by_link()[if kind == PoolKind::LinkId { 1 } else { 0 }]
        };
        assert_eq!(held, 64, "{kind}: the first of the second word");
        // The counter has no room.
        pools.scene.restore(BEFORE);
        words(&mut pools, kind, |pool| pool.allocated.set(u32::MAX));
        assert_eq!(provision(&mut pools), Err(ErrorCode::Overflow), "{kind}: a counter that is used up");
        // Something is given back of which the counter knows nothing.
        pools.scene.restore(DELETING);
        words(&mut pools, kind, |pool| pool.allocated.set(0));
        let close = match kind {
            PoolKind::Loopback | PoolKind::NodeSegment => pools.close_device(),
            PoolKind::LinkNet | PoolKind::LinkId => pools.close_link(),
        };
        assert_eq!(close, corrupt, "{kind}: a counter at zero");
    }
    // The summary speaks of words that the pool has not.
    let mut small = PoolStage::in_blocks("172.16.0.0/30", "172.17.0.0/30");
    small.scene.restore(BEFORE);
    for kind in [PoolKind::LinkNet, PoolKind::Loopback] {
        small.leave(kind, &[]);
        words(&mut small, kind, |pool| pool.full_words[15].set(0));
    }
    assert_eq!((small.provision_device(), small.provision_link()), (corrupt, corrupt));
}

/// A bitmap and a summary that are both corrupt past the capacity, in a pool that is full otherwise.
#[test]
fn nothing_past_the_capacity_is_handed_out_where_the_program_looks() {
    let mut pools = PoolStage::new();
    pools.scene.restore(BEFORE);
    pools.leave(PoolKind::LinkId, &[]);
    let capacity = 65_535;
    let address = pools.scene.world.ix.addresses().pool(PoolKind::LinkId);
    pools.scene.plant_bytes(&address, |bytes| bytes[RawPool::LEN + 4 + capacity / 8] &= !(1 << (capacity % 8)));
    pools.scene.plant(&address, |pool: &mut RawPool| pool.full_words[15].set(u64::MAX >> 1));
    let result = pools.provision_link();
    if ALLOCATION_LOOKS_AT_THE_CAPACITY {
        assert_eq!(result, Err(ErrorCode::PoolCorrupt));
    } else {
        result.unwrap();
        assert_eq!(pools.held_by_link()[1], capacity, "an id that is not the pool's");
    }
}
