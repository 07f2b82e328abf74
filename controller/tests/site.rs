//! An operator's snippets: what gets in, and what doesn't.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use causeway_controller::{
    render::{
        Family, RenderError, render_device_at,
        site::{Site, SiteError},
    },
    testing::{SyntheticLedger, code},
};
use causeway_interface::{DeviceStatus, Prefix};

fn read(family: Family, snippet: &str) -> Result<Site, SiteError> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(family.name())).unwrap();
    fs::write(folder.path().join(family.name()).join("10-ntp.conf"), snippet).unwrap();
    fs::write(folder.path().join(family.name()).join("notes.txt"), "not a snippet").unwrap();
    Site::read(folder.path())
}

fn text(ledger: &SyntheticLedger, site: &Site) -> Result<String, RenderError> {
    Ok(render_device_at(&ledger.snapshot, &code("ams"), None, site)?.text.to_string())
}

fn render(snippet: &str) -> Result<String, SiteError> {
    let site = read(Family::Frr, snippet)?;
    let ledger = SyntheticLedger::ring(Family::Frr);
    let eos = render_device_at(&ledger.snapshot, &code("ams"), Some(Family::Eos), &site).unwrap();
    assert!(!eos.text.to_string().contains("snippet"), "the other family's snippets stay out");
    Ok(text(&ledger, &site).unwrap())
}

#[test]
fn a_snippet_goes_to_the_end_and_can_name_the_device() {
    let text = render("ip prefix-list snippet-{{ device.code }} permit {{ device.router_id }}/32\n").unwrap();
    assert!(text.ends_with("\nip prefix-list snippet-ams permit 198.18.0.1/32\nend\n"), "{text}");
}

#[test]
fn a_snippet_that_asks_for_what_is_not_there_or_opens_a_managed_section_is_refused_when_it_is_read() {
    assert!(matches!(render("{{ device.nothing }}"), Err(SiteError::Template { .. })));
    for line in ["router bgp 1", " interface eth3", "router isis 1", "hostname evil", "end", "a\u{7}b"] {
        assert!(matches!(render(line), Err(SiteError::Line { .. })), "{line:?}");
    }
    // What FRR and EOS take for the same, with what undoes it.
    for line in [
        "rou isis 1",
        "ro is 1",
        "router b 65000",
        "router\tbgp 65000",
        "router  bgp 65000",
        "int eth3",
        "INT Ethernet3",
        "i eth3",
        "host evil",
        "ip access-list CAUSEWAY-CONTROL",
        "ip acc CAUSEWAY-CONTROL",
        "ip access-list standard CAUSEWAY-CONTROL",
        "no router bgp 65000",
        "n rou b 65000",
        "default int Ethernet3",
        "def router isis 1",
        "en",
    ] {
        assert!(matches!(render(line), Err(SiteError::Line { .. })), "{line:?}");
    }
}

#[test]
fn what_an_eos_agent_would_never_enter_is_refused_for_eos_only() {
    for line in ["exit", "   exit", "commit", "show version", "wr mem", "bash rm", "CONFIGURE terminal"] {
        assert!(matches!(read(Family::Eos, line), Err(SiteError::Line { .. })), "{line:?}");
        assert!(read(Family::Frr, line).is_ok(), "{line:?}");
    }
    for line in ["! exit", "ntp server 192.0.2.1", "ip access-list MINE", "   10 permit ip any any", "showers x"] {
        assert!(read(Family::Eos, line).is_ok(), "{line:?}");
    }
}

#[test]
fn a_device_that_is_taken_out_of_routing_keeps_its_name_in_snippets() {
    for family in [Family::Frr, Family::Eos] {
        let site = read(family, "ntp source {{ device.router_id }}\n").unwrap();
        let mut ledger = SyntheticLedger::ring(family);
        for status in DeviceStatus::ALL {
            ledger.device_mut("ams").header.status = *status;
            assert!(text(&ledger, &site).unwrap().contains("\nntp source 198.18.0.1\n"), "{family} {status}");
        }
    }
}

#[test]
fn a_device_that_was_never_provisioned_has_the_snippets_that_do_not_ask_for_its_loopback() {
    let mut ledger = SyntheticLedger::ring(Family::Frr);
    let device = ledger.device_mut("ams");
    device.header.status = DeviceStatus::Pending;
    device.interfaces.iter_mut().for_each(|i| i.address = Prefix::NONE);
    let said = |snippet: &str| text(&ledger, &read(Family::Frr, snippet).unwrap()).unwrap();
    assert!(said("ntp server {{ device.code }}\n").contains("ntp server ams\n"));
    let asking = said("ntp source {{ device.router_id }}\n");
    assert!(!asking.contains("ntp") && !asking.contains("None"), "{asking}");
    let careful =
        "{% if device.router_id is defined %}ntp source {{ device.router_id }}{% else %}ntp source lo{% endif %}\n";
    assert!(said(careful).contains("ntp source lo\n"));
}

#[test]
fn what_only_looks_like_a_managed_section_gets_in() {
    for line in [
        "ip route 10.0.0.0/8 192.0.2.1",
        "ip prefix-list P permit 10.0.0.0/8",
        "router ospf",
        "router static",
        "router",
        "ntp server 192.0.2.1",
        "no ip forwarding",
        "ip access-list standard MINE",
        "ip access-list MINE",
        "route-map M permit 10",
        " match interface eth3",
        "bfd",
        " peer 192.0.2.1 interface eth1",
        "exit",
        "log syslog",
        "default-information originate",
        "banner motd x",
        "! interface eth3",
    ] {
        let text = render(line).unwrap();
        assert!(text.contains(line), "{line:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_said_at_start() {
    assert!(matches!(Site::read("/no/such/folder".as_ref()), Err(SiteError::Read { .. })));
}
