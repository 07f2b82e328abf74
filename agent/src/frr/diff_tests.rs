use super::*;

const BASE: &str = "\
interface eth0
 description a-b
 ip address 10.0.0.0/31
 ip router isis 1
 isis circuit-type level-2-only
 isis metric 4000
 isis network point-to-point
exit
router bgp 65000
 bgp router-id 1.1.1.1
 no bgp default ipv4-unicast
 neighbor 2.2.2.2 remote-as 65000
 neighbor 2.2.2.2 description b
 neighbor 2.2.2.2 timers 3 9
 !
 address-family ipv4 unicast
  neighbor 2.2.2.2 activate
  neighbor 2.2.2.2 next-hop-self
 exit-address-family
exit
router isis 1
 net 49.0000.c612.0001.0000.00
 lsp-timers gen-interval 1 refresh-interval 900 max-lifetime 1200
exit
";

fn commands(from: &str, to: &str) -> Vec<String> {
    batch(&Tree::parse(from), &Tree::parse(to)).concat()
}

fn becomes(from: &str, old: &str, new: &str) -> Vec<String> {
    assert!(from.contains(old), "{old}");
    let all = commands(from, &from.replace(old, new));
    all.into_iter().filter(|c| c != "configure terminal" && c != "end").collect()
}

#[test]
fn nothing_to_do_is_no_command() {
    assert!(commands(BASE, BASE).is_empty());
}

#[test]
fn from_nothing_the_protocol_comes_before_its_interfaces() {
    let all = commands("", BASE);
    let at = |line: &str| all.iter().position(|c| c == line).unwrap();
    assert!(at("router isis 1") < at("interface eth0"));
    assert!(at("interface eth0") < at("router bgp 65000"));
    assert!(at("neighbor 2.2.2.2 remote-as 65000") < at("neighbor 2.2.2.2 activate"));
    assert_eq!(all.iter().filter(|c| *c == "configure terminal").count(), all.iter().filter(|c| *c == "end").count());
}

#[test]
fn addresses_that_are_taken_stand_by_themselves_too() {
    let to = BASE.replace("10.0.0.0/31", "10.0.0.2/31").replace("isis metric 4000", "isis metric 9");
    let all = batch(&Tree::parse(BASE), &Tree::parse(&to));
    let expected = ["configure terminal", "interface eth0", "no ip address 10.0.0.0/31", "end"];
    assert_eq!(unaddressing(&all), [expected.map(str::to_owned).to_vec()]);
    assert!(unaddressing(&batch(&Tree::default(), &Tree::parse(BASE))).is_empty());
    let whole = batch(&Tree::parse(BASE), &Tree::default());
    assert_eq!(unaddressing(&whole), [expected.map(str::to_owned).to_vec()]);
}

#[test]
fn a_changed_value_is_set_in_place() {
    for (old, new) in [
        ("isis metric 4000", "isis metric 1000000"),
        ("lsp-timers gen-interval 1 ", "lsp-timers gen-interval 5 "),
        ("description a-b", "description a-c"),
    ] {
        let all = becomes(BASE, old, new);
        assert!(all.iter().all(|c| !c.starts_with("no ")), "{all:?}");
    }
    assert_eq!(
        becomes(BASE, "neighbor 2.2.2.2 timers 3 9", "neighbor 2.2.2.2 timers 1 3"),
        ["router bgp 65000", "neighbor 2.2.2.2 timers 1 3"]
    );
}

#[test]
fn an_address_that_changes_goes_before_the_new_one_comes() {
    assert_eq!(
        becomes(BASE, "ip address 10.0.0.0/31", "ip address 10.0.0.2/31"),
        ["interface eth0", "no ip address 10.0.0.0/31", "interface eth0", "ip address 10.0.0.2/31"]
    );
}

#[test]
fn a_neighbour_goes_as_a_whole_and_once() {
    let without: String = BASE.lines().filter(|l| !l.contains("2.2.2.2")).map(|l| format!("{l}\n")).collect();
    assert_eq!(commands(BASE, &without), ["configure terminal", "router bgp 65000", "no neighbor 2.2.2.2", "end"]);
}

#[test]
fn a_neighbour_that_leaves_a_group_stays() {
    let with = BASE.replace(" neighbor 2.2.2.2 timers", " neighbor 2.2.2.2 peer-group RR\n neighbor 2.2.2.2 timers");
    let all = commands(&with, BASE);
    assert!(all.contains(&"no neighbor 2.2.2.2 peer-group RR".to_owned()), "{all:?}");
    assert!(!all.contains(&"no neighbor 2.2.2.2".to_owned()));
}

#[test]
fn isis_leaves_an_interface_by_one_command() {
    let without: String = BASE
        .lines()
        .filter(|l| !l.starts_with(" isis") && !l.starts_with(" ip router"))
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(commands(BASE, &without), ["configure terminal", "interface eth0", "no ip router isis 1", "end"]);
}

#[test]
fn a_section_goes_as_a_whole_but_an_interface_line_by_line() {
    let all = commands(BASE, "");
    assert!(all.contains(&"no router bgp 65000".to_owned()));
    assert!(all.contains(&"no router isis 1".to_owned()));
    assert!(all.contains(&"no description".to_owned()));
    assert!(!all.iter().any(|c| c == "no interface eth0" || c.starts_with("no neighbor")));
}

#[test]
fn a_line_that_denies_is_undone_by_saying_it() {
    let all = becomes(BASE, " no bgp default ipv4-unicast\n", "");
    assert_eq!(all, ["router bgp 65000", "bgp default ipv4-unicast"]);
}

#[test]
fn a_line_that_opens_a_section_shares_its_group_with_none() {
    let to = "route-map A permit 10\nip prefix-list B seq 5 permit any\nbfd\n profile p\n profile q\n  receive-interval 100\n";
    let groups = batch(&Tree::default(), &Tree::parse(to));
    let inner: Vec<&[String]> = groups.iter().map(|g| g.get(1..g.len() - 1).unwrap()).collect();
    assert!(inner.contains(&["route-map A permit 10".to_owned()].as_slice()), "{inner:?}");
    assert!(inner.contains(&["bfd".to_owned(), "profile p".to_owned()].as_slice()), "{inner:?}");
    assert!(inner.contains(&["bfd".into(), "profile q".into(), "receive-interval 100".into()].as_slice()), "{inner:?}");
}

#[test]
fn a_rebuild_takes_differing_protocols_down_first() {
    let from = BASE.replace("timers 3 9", "timers 9 27");
    let all = rebuild(&Tree::parse(&from), &Tree::parse(BASE)).concat();
    assert!(all.contains(&"no router bgp 65000".to_owned()));
    assert!(!all.contains(&"no router isis 1".to_owned()));
    assert!(all.contains(&"neighbor 2.2.2.2 timers 3 9".to_owned()));
}
