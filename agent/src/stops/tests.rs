use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ROUTER: Router = Router { is_destination: true, overloaded: false };

/// Both directions of links, one after the other.
fn network(routers: usize, links: &[(usize, usize, u32)]) -> Network {
    let both = |(a, z, metric): &(usize, usize, u32)| {
        [Link { from: *a, to: *z, metric: *metric }, Link { from: *z, to: *a, metric: *metric }]
    };
    Network::new(vec![ROUTER; routers], links.iter().flat_map(both))
}

/// Every router's next hops to a destination, by relaxing links until nothing changes: nothing of this is the code's own.
fn next_hops(network: &Network, changed: usize, metric: u32, destination: usize) -> BTreeSet<(usize, usize)> {
    let mut far: BTreeMap<usize, u64> = BTreeMap::from([(destination, 0)]);
    let cost = |index: usize| u64::from(if index == changed { metric } else { network.links[index].metric });
    let usable = |to: usize| to == destination || !network.routers[to].overloaded;
    let mut moved = true;
    while moved {
        moved = false;
        for (index, link) in network.links.iter().enumerate().filter(|(_, link)| usable(link.to)) {
            let Some(rest) = far.get(&link.to) else { continue };
            let through = rest + cost(index);
            if far.get(&link.from).is_none_or(|known| through < *known) {
                far.insert(link.from, through);
                moved = true;
            }
        }
    }
    let on_the_way = |(index, link): &(usize, &Link)| {
        link.from != destination
            && usable(link.to)
            && far.get(&link.to).is_some_and(|rest| far.get(&link.from) == Some(&(rest + cost(*index))))
    };
    network.links.iter().enumerate().filter(on_the_way).map(|(_, link)| (link.from, link.to)).collect()
}

/// Whether somebody can come back to where they were.
fn has_circle(hops: &BTreeSet<(usize, usize)>) -> bool {
    let mut hops = hops.clone();
    loop {
        let senders: BTreeSet<usize> = hops.iter().map(|(from, _)| *from).collect();
        let before = hops.len();
        hops.retain(|(_, to)| senders.contains(to));
        if hops.is_empty() || hops.len() == before {
            return !hops.is_empty();
        }
    }
}

/// Whether packets can go round while routers change from one metric to another, in any order.
fn can_go_round(network: &Network, link: usize, from: u32, to: u32) -> bool {
    network.destinations().any(|destination| {
        let hops = |metric| next_hops(network, link, metric, destination);
        has_circle(&hops(from).union(&hops(to)).copied().collect())
    })
}

#[test]
fn a_ring_needs_one_stop_where_its_far_side_would_send_back() {
    // A ring of five, all links alike. Without the link from 0 to 1, router 0 goes round by 4 to 3, which has sent to it.
    let ring = network(5, &[(0, 1, 10), (1, 2, 10), (2, 3, 10), (3, 4, 10), (4, 0, 10)]);
    assert!(can_go_round(&ring, 0, 10, 1_000));
    let up = stops(&ring, Change { link: 0, metric: 1_000 }).unwrap();
    assert_eq!(up.len(), 1);
    let mut drained = ring;
    drained.links[0].metric = 1_000;
    assert_eq!(stops(&drained, Change { link: 0, metric: 10 }).unwrap(), up, "the way back is the same");
}

#[test]
fn a_triangle_and_a_link_without_another_way_need_none() {
    let triangle = network(3, &[(0, 1, 10), (1, 2, 10), (2, 0, 10)]);
    assert_eq!(stops(&triangle, Change { link: 0, metric: 1_000_000 }), Ok(Vec::new()));
    let line = network(3, &[(0, 1, 10), (1, 2, 10)]);
    assert_eq!(stops(&line, Change { link: 0, metric: 1_000_000 }), Ok(Vec::new()));
    assert_eq!(stops(&line, Change { link: 0, metric: 10 }), Ok(Vec::new()), "nothing changes");
    assert_eq!(stops(&line, Change { link: 99, metric: 10 }), Ok(Vec::new()), "no such link");
}

#[test]
fn a_long_ring_needs_a_stop_for_every_router_that_turns_round() {
    let count = 40;
    let links: Vec<(usize, usize, u32)> = (0..count).map(|n| (n, (n + 1) % count, 10)).collect();
    let found = stops(&network(count, &links), Change { link: 0, metric: 1_000_000 }).unwrap();
    assert!((2..=count / 2).contains(&found.len()), "{found:?}");
    assert!(found.is_sorted());
}

#[test]
fn a_network_that_is_too_large_is_said_to_be() {
    let many = network(MAX_ROUTERS + 1, &[(0, 1, 1)]);
    assert_eq!(stops(&many, Change { link: 0, metric: 5 }), Err(NoStops::TooLarge(MAX_ROUTERS + 1)));
}

#[test]
fn an_overloaded_router_is_reached_and_not_crossed() {
    let mut ring = network(4, &[(0, 1, 10), (1, 2, 10), (2, 3, 10), (3, 0, 10)]);
    assert_eq!(ring.reached_from(0), [1, 2, 3]);
    ring.routers[1].overloaded = true;
    ring.routers[3].overloaded = true;
    assert_eq!(ring.reached_from(0), [1, 3]);
    assert_eq!(ring.distances(2, |_| true), [UNREACHED, 10, 0, 10]);
}

/// A ring, so that everybody is reached, with chords; small metrics, so that many ways are equally long. Overloaded routers, and links that are
/// there twice, may be among them.
fn networks() -> impl Strategy<Value = Network> {
    (3_usize..10).prop_flat_map(|count| {
        let ring = prop::collection::vec(1_u32..12, count);
        let chords = prop::collection::vec((0..count, 0..count, 1_u32..30), 0..count);
        let back = prop::collection::vec(1_u32..12, 2 * count);
        let overloaded = prop::collection::vec(prop::bool::weighted(0.08), count);
        (ring, chords, back, overloaded).prop_map(move |(ring, chords, back, overloaded)| {
            let around = ring.iter().enumerate().map(|(n, metric)| (n, (n + 1) % count, *metric));
            let across = chords.into_iter().filter(|(a, z, _)| a != z);
            let all: Vec<(usize, usize, u32)> = around.chain(across).collect();
            let both = all.iter().enumerate().flat_map(|(n, (a, z, metric))| {
                [Link { from: *a, to: *z, metric: *metric }, Link { from: *z, to: *a, metric: back[n] }]
            });
            let routers = overloaded.iter().map(|is| Router { overloaded: *is, ..ROUTER }).collect();
            Network::new(routers, both)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Nothing goes round between stops that follow each other, whatever the order in which routers learn of them; and there
    /// is no stop without which the rest would do.
    #[test]
    fn nothing_goes_round_between_two_stops(
        (network, link, metric) in networks().prop_flat_map(|network| {
            let links = network.links.len();
            (Just(network), 0..links, prop_oneof![1_u32..200, Just(1_000_000)])
        })
    ) {
        let old = network.links[link].metric;
        let found = stops(&network, Change { link, metric }).unwrap();
        let mut all = vec![old];
        all.extend(&found);
        all.push(metric);
        let is_on_the_way = if old <= metric { all.is_sorted() } else { all.iter().rev().is_sorted() };
        prop_assert!(is_on_the_way, "{:?}", all);
        for pair in all.windows(2) {
            prop_assert!(!can_go_round(&network, link, pair[0], pair[1]), "{:?} of {:?}", pair, all);
        }
        for three in all.windows(3) {
            prop_assert!(can_go_round(&network, link, three[0], three[2]), "{:?} of {:?}", three, all);
        }
    }
}
