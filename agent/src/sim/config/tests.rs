#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const FRR: &str = "\
hostname nyc-1
!
vrf mgmt
exit-vrf
!
router isis 1
 net 49.0000.0E0E.0e0e.0000.00
 is-type level-2-only
 metric-style wide
 log-adjacency-changes
 lsp-gen-interval 1
 spf-delay-ietf init-delay 50 short-delay 200 long-delay 1000 holddown 2000 time-to-learn 500
 set-overload-bit
exit
!
interface lo
 description LOOPBACK
 ip address 14.14.14.14/32
 ip address 14.14.14.15/32
 ip router isis 1
 isis passive
exit
!
interface eth0 vrf mgmt
 description MANAGEMENT
exit
!
interface eth3
 description nyc-1_chi-1
 ip address 172.16.0.0/31
 ip router isis 1
 isis circuit-type level-2-only
 isis hello-interval 1
 isis metric 20000
 isis network point-to-point
exit
!
router bgp 65342
 bgp router-id 14.14.14.14
 no bgp default ipv4-unicast
 timers bgp 1 3
 neighbor 14.14.14.20 remote-as 65342
 neighbor 14.14.14.20 description chi-1
 neighbor 14.14.14.20 update-source 14.14.14.14
 neighbor 14.14.14.20 timers 3 9
 neighbor 10.9.9.9 remote-as 65000
 neighbor 10.9.9.9 shutdown
 !
 address-family ipv4 unicast
  distance bgp 20 200 200
  neighbor 14.14.14.20 activate
  neighbor 14.14.14.20 next-hop-self
 exit-address-family
 !
 address-family ipv4 vpn
  neighbor 14.14.14.20 activate
 exit-address-family
exit
!
end
";

const EOS: &str = "\
default interface Ethernet9
!
no router isis 1
!
no router bgp
!
hostname nyc-1
!
vrf instance mgmt
!
ip routing
!
mpls ip
!
interface Management1
   description MANAGEMENT
   mtu 1500
   vrf mgmt
   ip address 10.0.0.4/24
!
interface Loopback255
   ip address 14.14.14.14/32
   node-segment ipv4 index 3
   isis enable 1
!
interface Ethernet3
   description nyc-1_chi-1
   mtu 9000
   no switchport
   ip address 172.16.0.0/31
   pim ipv4 sparse-mode
   isis enable 1
   isis circuit-type level-2
   isis hello-interval 1
   isis metric 20000
   no isis passive
   isis hello padding
   isis network point-to-point
   no shutdown
!
router isis 1
   net 49.0000.0e0e.0e0e.0000.00
   is-type level-2
   router-id ipv4 14.14.14.14
   log-adjacency-changes
   no set-overload-bit
   !
   address-family ipv4 unicast
   !
   segment-routing mpls
      no shutdown
!
router bgp 65342
   router-id 14.14.14.14
   no bgp default ipv4-unicast
   timers bgp 1 3
   distance bgp 20 200 200
   no neighbor 14.14.14.20
   neighbor 14.14.14.20 remote-as 65342
   neighbor 14.14.14.20 next-hop-self
   neighbor 14.14.14.20 update-source Loopback255
   neighbor 14.14.14.20 timers 3 9
   neighbor 14.14.14.20 send-community
   !
   address-family ipv4
      no neighbor 14.14.14.20 activate
   !
   address-family vpn-ipv4
      neighbor 14.14.14.20 activate
!
";

#[test]
fn frr_text_becomes_the_model_that_it_describes() {
    let config = Family::Frr.parse(FRR).unwrap();
    assert_eq!(config.hostname.as_deref(), Some("nyc-1"));
    let isis = config.isis.as_ref().unwrap();
    assert_eq!((isis.overload, isis.system_id()), (true, Some("0e0e.0e0e.0000")));
    let eth3 = &config.interfaces["eth3"];
    assert_eq!((eth3.isis.metric, eth3.isis.point_to_point, eth3.isis.hello_interval_s), (20_000, true, 1));
    assert_eq!(config.interfaces["lo"].addresses.len(), 2);
    let bgp = config.bgp.as_ref().unwrap();
    assert!(bgp.neighbors[&"10.9.9.9".parse().unwrap()].shutdown);
    let families: Vec<&str> =
        bgp.neighbors[&"14.14.14.20".parse().unwrap()].families.iter().map(String::as_str).collect();
    assert_eq!(families, ["ipv4 unicast", "ipv4 vpn"]);
    assert_eq!(config.wants_adjacency(), BTreeSet::from(["eth3".to_owned()]));
}

#[test]
fn eos_text_becomes_the_model_that_it_describes() {
    let config = Family::Eos.parse(EOS).unwrap();
    let ethernet = &config.interfaces["Ethernet3"];
    assert_eq!((ethernet.switchport, ethernet.mtu, ethernet.isis.level), (false, Some(9_000), Some(Level::Two)));
    let peer = &config.bgp.as_ref().unwrap().neighbors[&"14.14.14.20".parse().unwrap()];
    assert_eq!(peer.update_source.as_deref(), Some("Loopback255"));
    assert_eq!(peer.families, BTreeSet::from(["vpn-ipv4".to_owned()]));
    assert_eq!(config.wants_adjacency(), BTreeSet::from(["Ethernet3".to_owned()]));
    let switchport = Family::Eos.parse(&EOS.replace("   no switchport\n", "")).unwrap();
    assert!(switchport.wants_adjacency().is_empty());
}

/// Every line of the samples matters: without it the model is another, or the text is refused. Lines that restate a
/// default or remove what isn't there are the exception, and are named.
#[test]
fn no_line_is_read_over() {
    let defaults = [
        "exit",
        "end",
        "!",
        "exit-vrf",
        "exit-address-family",
        "no ",
        "default interface",
        "metric-style wide",
        "isis hello padding",
        "address-family",
    ];
    for (family, text) in [(Family::Frr, FRR), (Family::Eos, EOS)] {
        let whole = family.parse(text).unwrap();
        for (index, line) in text.lines().enumerate() {
            let skipped: Vec<&str> = text.lines().enumerate().filter(|(i, _)| *i != index).map(|(_, l)| l).collect();
            if !defaults.iter().any(|start| line.trim().starts_with(start)) {
                assert_ne!(family.parse(&skipped.join("\n")), Ok(whole.clone()), "{family}: {line:?} has no effect");
            }
        }
    }
}

#[test]
fn what_a_router_refuses_is_refused_with_its_line() {
    let cases: &[(Family, &str, usize, &str)] = &[
        (Family::Frr, "hostname a b", 1, "not expected"),
        (Family::Frr, "!\ninterface eth1\n mtu 9000", 3, "unknown command"),
        (Family::Frr, "interface eth1\n ip address 10.0.0.1/33", 2, "not an IPv4 prefix"),
        (Family::Frr, "interface eth1\n ip address 10.0.0.1", 2, "prefix length"),
        (Family::Frr, "interface eth1\n ip address 10.0.0.0/24", 2, "the network itself"),
        (Family::Frr, "interface eth1\n ip address 224.0.0.5/32", 2, "can not be"),
        (Family::Frr, "router isis 1\ninterface eth1\n isis metric 16777216", 3, "0 to 16777215"),
        (Family::Frr, "interface eth1\n isis metric 64", 2, "wide metrics"),
        (Family::Frr, "interface eth1\n isis network loopback", 2, "unknown command"),
        (Family::Frr, "isis metric 5", 1, "unknown command"),
        (Family::Frr, "interface a-name-of-16-byt", 1, "not an interface"),
        (Family::Frr, "router isis 1\n net 49.0000", 2, "network entity title"),
        (Family::Frr, "router isis 1\n net 49.0000.0e0e.0e0e.0000.01", 2, "network entity title"),
        (Family::Frr, "router bgp 0", 1, "1 to 4294967295"),
        (Family::Frr, "router bgp 4294967296", 1, "1 to 4294967295"),
        (Family::Frr, "router bgp 1\nexit\nrouter bgp 2", 3, "AS 1"),
        (Family::Frr, "router bgp 1\n neighbor 10.0.0.1 update-source lo", 2, "no remote-as"),
        (Family::Frr, "router bgp 1\n neighbor 10.0.0.256 remote-as 1", 2, "no peer group"),
        (Family::Frr, "router bgp 1\n exit-address-family", 2, "not in an address family"),
        (Family::Frr, "router bgp 1\n address-family ipv4 unicast\n  neighbor 10.0.0.1 activate", 3, "no remote-as"),
        (Family::Frr, "hostname a\u{7}", 1, "control character"),
        (Family::Eos, "interface e1", 1, "not an interface"),
        (Family::Eos, "interface ethernets1", 1, "not an interface"),
        (Family::Eos, "interface Ethernet1.x", 1, "not an interface"),
        (Family::Eos, "interface Ethernet1\n   isis metric 16777215", 2, "1 to 16777214"),
        (Family::Eos, "interface Ethernet1\n   isis circuit-type level-2-only", 2, "is not one of"),
        (Family::Eos, "interface Ethernet1\n   ip router isis 1", 2, "unknown command"),
        (Family::Eos, "interface Ethernet1\n   mtu 65536", 2, "68 to 65535"),
        (Family::Eos, "no interface Ethernet1", 1, "physical port"),
        (
            Family::Eos,
            "interface Ethernet1\n   ip address 10.0.0.0/31\ninterface Ethernet2\n   ip address 10.0.0.1/31",
            4,
            "overlaps with Ethernet1",
        ),
        (Family::Eos, "router bgp 1\n   neighbor 10.0.0.1 update-source lo", 2, "not an interface"),
        (Family::Eos, "router bgp 1\n   address-family ipv6", 2, "is not one of"),
    ];
    for (family, text, line, reason) in cases {
        let refusal = family.parse(text).expect_err(text);
        let first = &refusal.lines[0];
        assert_eq!(first.line, *line, "{text:?}: {refusal}");
        assert!(first.reason.contains(reason), "{text:?}: {refusal}");
    }
}

#[test]
fn statements_can_be_taken_back() {
    for (text, same) in [
        ("interface eth1\n ip address 10.0.0.1/24\n no ip address 10.0.0.1/24", "interface eth1"),
        ("interface eth1\n description a b\n no description", "interface eth1"),
        ("interface eth1\n isis metric 5\n no isis metric", "interface eth1"),
        ("interface eth1\n shutdown\n no shutdown", "interface eth1"),
        ("interface eth1\n description x\nno interface eth1", ""),
        (
            "router bgp 1\n neighbor 1.1.1.1 remote-as 1\n neighbor 1.1.1.1 timers 1 3\n no neighbor 1.1.1.1",
            "router bgp 1",
        ),
        ("router isis 1\n set-overload-bit\nno router isis 1", ""),
    ] {
        assert_eq!(Family::Frr.parse(text), Family::Frr.parse(same), "{text:?}");
    }
}

#[test]
fn a_removal_of_a_peer_leaves_the_family_as_on_a_router() {
    let text = "router bgp 1\n   neighbor 1.1.1.1 remote-as 1\n   address-family vpn-ipv4\n   no neighbor 2.2.2.2\n   \
                neighbor 1.1.1.1 activate";
    let refusal = Family::Eos.parse(text).expect_err("the last line stands in router bgp");
    assert_eq!(refusal.lines[0].line, 5);
}

#[test]
fn eos_knows_an_interface_by_its_full_name() {
    let config = Family::Eos.parse("interface eth30.200\ninterface po1\ninterface LOOPBACK255").unwrap();
    let names: Vec<&str> = config.interfaces.keys().map(String::as_str).collect();
    assert_eq!(names, ["Ethernet30.200", "Loopback255", "Port-Channel1"]);
}

#[test]
fn long_texts_and_lines_are_refused() {
    assert!(Family::Frr.parse(&" ".repeat(MAX_TEXT_BYTES + 1)).is_err());
    assert!(Family::Frr.parse(&format!("hostname {}", "a".repeat(MAX_LINE_BYTES))).is_err());
    let refusal = Family::Frr.parse(&"nonsense\n".repeat(1_000)).expect_err("nonsense");
    assert_eq!(refusal.lines.len(), MAX_LISTED);
}

fn mutilated() -> impl Strategy<Value = String> {
    let lines: Vec<&'static str> = FRR.lines().chain(EOS.lines()).collect();
    let line = prop_oneof![
        6 => prop::sample::select(lines).prop_map(str::to_owned),
        1 => "[ -~]{0,60}",
        1 => any::<String>(),
        2 => "(no )?(ip|isis|neighbor|router|interface|address-family|net|link-params|exit)( [a-z0-9./:-]{0,12}){0,4}",
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics(text in mutilated()) {
        for family in [Family::Frr, Family::Eos] {
            if let Ok(config) = family.parse(&text) {
                config.wants_adjacency();
            }
        }
    }
}
