//! The EOS driver against [`model::ModelEapi`], over real sockets. What a switch does and the model doesn't is not
//! tested here; docs/agent-eos.md says what that is.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod applies;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod model;
mod verbs;
mod whole;

use std::{path::Path, time::Duration};

use causeway_agent::{
    apply::ApplyLimits,
    bundle::{Bundle, Generation, TextHash},
    eos::{EosDriver, NoProber, Timeouts},
};
use model::{ModelEapi, Switch};

/// What an operator has on the switch and Causeway never touches.
pub const OPERATORS: &str = "username op secret sha512 $6$salt$hash
ntp server 192.0.2.123
ip route 192.0.2.0/24 192.168.1.1
interface Ethernet31
   description customer
   no switchport
   ip address 203.0.113.1/30
management api http-commands
   no shutdown
";

/// Longest wait for something that must happen: an agent that was killed in the middle tries again after up to 30 s.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn driver(model: &ModelEapi, folder: &Path) -> EosDriver {
    EosDriver::new(&model.config(folder.join("r1.eos.json")), NoProber).unwrap()
}

pub fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../controller/tests/golden").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A small text: one link with a metric and an MTU.
pub fn text(metric: u32, mtu: u32) -> String {
    format!(
        "default interface Ethernet1\n!\nno router isis 1\n!\nno router bgp\n!\nhostname r1\n!\nip routing\n!\n\
         interface Ethernet1\n   description link\n   mtu {mtu}\n   no switchport\n   ip address 198.18.128.0/31\n   \
         isis enable 1\n   isis metric {metric}\n   no isis passive\n   isis hello padding\n   isis network \
         point-to-point\n   no shutdown\n!\nrouter isis 1\n   net 49.0000.c612.0001.0000.00\n   is-type level-2\n   \
         no set-overload-bit\n   !\n   address-family ipv4 unicast\n!\n"
    )
}

pub fn bundle(generation: u64, text: &str) -> Bundle {
    Bundle { generation: Generation(generation), hash: TextHash::of(text), text: text.to_owned() }
}

/// Limits of an apply that fit a test; the model's second is made as short.
pub fn limits() -> ApplyLimits {
    ApplyLimits {
        verb: Duration::from_secs(10),
        load: Duration::from_secs(10),
        verify: Duration::from_millis(300),
        settle: Duration::from_millis(50),
        look: Duration::from_millis(20),
        revert_after: Duration::from_secs(20),
    }
}

pub fn quick() -> Timeouts {
    let time = Duration::from_millis(400);
    Timeouts {
        connect: time,
        show: time,
        load: time,
        compare: time,
        commit: time,
        confirm: time,
        revert: time,
        save: time,
    }
}

pub fn switch() -> Switch {
    Switch::new(OPERATORS)
}

/// Waits for something that has to come.
pub async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
