use causeway_interface::Platform;

use super::*;
use crate::testing::{SyntheticLedger, code};

fn on() -> AutomaticConfig {
    AutomaticConfig { enabled: true, ..AutomaticConfig::default() }
}

fn changed(fields: &[Field]) -> Changed {
    Changed {
        device: code("ams"),
        contributor: Some(code("co")),
        status: DeviceStatus::Activated,
        fields: fields.iter().copied().collect(),
    }
}

#[test]
fn a_change_is_a_dry_run_unless_somebody_opted_in_and_nothing_where_it_is_off() {
    let decided = |config: &AutomaticConfig| decide(config, true, true, &changed(&[Field::Interfaces]));
    assert_eq!(decided(&on()), Some(Kind::DryRun));
    let device = AutomaticConfig { commit_devices: [code("ams")].into(), ..on() };
    let contributor = AutomaticConfig { commit_contributors: [code("co")].into(), ..on() };
    let other = AutomaticConfig { commit_contributors: [code("ams")].into(), ..on() };
    assert_eq!(
        [&device, &contributor, &other].map(decided),
        [Kind::Provision, Kind::Provision, Kind::DryRun].map(Some)
    );
    assert_eq!(decide(&device, false, true, &changed(&[Field::Interfaces])), None, "the switch is off");
    assert_eq!(decide(&device, true, false, &changed(&[Field::Interfaces])), None, "it is served continuously");
}

#[test]
fn only_fields_and_statuses_that_count_start_something() {
    let config = AutomaticConfig { fields: [Field::Interfaces, Field::Desired].into(), ..on() };
    let starts = |fields: &[Field]| decide(&config, true, true, &changed(fields)).is_some();
    assert!(starts(&[Field::Interfaces]) && starts(&[Field::Links, Field::Desired]));
    assert!(!starts(&[Field::Links]) && !starts(&[Field::Others]) && !starts(&[]));
    for (status, expected) in
        [(DeviceStatus::Drained, true), (DeviceStatus::Pending, false), (DeviceStatus::Deleting, false)]
    {
        let changed = Changed { status, ..changed(&[Field::Status]) };
        assert_eq!(decide(&on(), true, true, &changed).is_some(), expected, "{status:?}");
    }
}

#[test]
fn a_device_waits_until_the_ledger_is_quiet_about_it_but_not_for_ever() {
    let mut pending = Pending::default();
    pending.note(code("ams"), [Field::Links].into(), 0);
    assert_eq!(pending.due(100, 99), []);
    pending.note(code("ams"), [Field::Status].into(), 90);
    assert_eq!(pending.due(100, 189), []);
    assert_eq!(pending.due(100, 190), [(code("ams"), [Field::Links, Field::Status].into())]);
    assert_eq!(pending.due(100, 10_000), [], "once");
    for now in (0..2_000).step_by(50) {
        pending.note(code("fra"), [Field::Links].into(), now);
        let due = !pending.due(100, now).is_empty();
        assert_eq!(due, now == 1_000, "{now}");
        if due {
            break;
        }
    }
    pending.note(code("ams"), [Field::Links].into(), 0);
    pending.clear();
    assert_eq!(pending.due(0, 10_000), []);
}

#[test]
fn what_changed_is_told_by_field() {
    let ledger = SyntheticLedger::ring(Platform::Frr);
    let seen = |ledger: &SyntheticLedger| {
        let device = ledger.snapshot.devices.values().find(|device| device.code == code("ams")).unwrap();
        Seen::of(&ledger.snapshot, device)
    };
    let differs = |change: &dyn Fn(&mut SyntheticLedger)| {
        let mut after = ledger.clone();
        change(&mut after);
        seen(&ledger).differs(&seen(&after)).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(differs(&|ledger| ledger.device_mut("ams").header.status = DeviceStatus::Drained), [Field::Status]);
    assert_eq!(
        differs(&|ledger| ledger.device_mut("ams").header.desired = DesiredStatus::SoftDrained),
        [Field::Desired]
    );
    assert_eq!(differs(&|ledger| ledger.device_mut("ams").interfaces[0].mtu += 1), [Field::Interfaces]);
    assert_eq!(differs(&|ledger| ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained), [Field::Links]);
    assert_eq!(differs(&|ledger| ledger.device_mut("ams").location = Key([9; 32])), [Field::Record]);
    // What says nothing of how it is configured is no change of it.
    assert_eq!(differs(&|ledger| ledger.device_mut("ams").header.sequence += 1), [Field::Others]);
    assert_eq!(differs(&|ledger| ledger.device_mut("fra").header.status = DeviceStatus::Drained), [Field::Others]);
}

#[test]
fn fields_are_named() {
    for field in Field::ALL {
        assert_eq!(field.name().parse(), Ok(field));
    }
    assert!("health".parse::<Field>().is_err());
}
