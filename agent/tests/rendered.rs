//! What the controller renders is what the simulated devices take: its golden texts, both families.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use causeway_agent::sim::Family;

#[test]
fn every_golden_text_of_the_controller_is_accepted() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../controller/tests/golden");
    let mut seen = [0, 0];
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        let Some(Ok(family)) = path.extension().and_then(|e| e.to_str()).map(str::parse::<Family>) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        // This fixture is for the renderer's sake: one /31 on two ports of one device, which a device does not take.
        let made_up = path.file_stem().is_some_and(|name| name == "every-kind-of-interface");
        let impossible = |reason: &str| reason.contains("overlaps with");
        match family.parse(&text) {
            Ok(config) => assert!(!config.is_empty(), "{}", path.display()),
            Err(refusal) => assert!(
                made_up && refusal.lines.first().is_some_and(|line| impossible(&line.reason)),
                "{}: {refusal}",
                path.display()
            ),
        }
        seen[usize::from(family == Family::Eos)] += 1;
    }
    assert!(seen.iter().all(|count| *count >= 10), "golden texts of both families: {seen:?}");
}
