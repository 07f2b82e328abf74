//! Codes that an agent's report can carry, each with its cause, its remedy and a page in `docs/errors`.
//!
//! A report has the short form (`ADJACENCY_LOST`); the page is that of `CW-AGENT-ADJACENCY-LOST`. An agent of another
//! version may say others.

/// What is said of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code of the page.
    pub code: &'static str,
    /// What is wrong, in general.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! entries {
    ($($code:literal, $cause:literal, $remedy:literal;)+) => {
        /// All that the agent of this version can say.
        pub const REPORT_CODES: &[Entry] = &[$(Entry { code: $code, cause: $cause, remedy: $remedy }),+];
    };
}

entries! {
    "CW-AGENT-WRONG-DEVICE", "A configuration is for another device than the agent's.", "Check the controller that the agent asks, and its device code. Nothing was changed.";
    "CW-AGENT-WRONG-FAMILY", "A configuration is of another family than the agent's device takes.", "Check the device's platform on the ledger, and the agent's driver. Nothing was changed.";
    "CW-AGENT-OLDER-GENERATION", "A configuration is older than one that the agent has had.", "The controller is behind, or was given another ledger: look at its /ready. Nothing was changed.";
    "CW-AGENT-BAD-HASH", "A configuration's text is not that of its hash.", "Look at the way between controller and agent, and at the controller. Nothing was changed.";
    "CW-AGENT-BAD-SIGNATURE", "A configuration's signature is not the controller's.", "Look at the way between controller and agent, and whether the agent's program id is the controller's. Nothing was changed.";
    "CW-AGENT-UNPINNED-CONTROLLER", "A configuration is signed by a key that the agent was not told to trust.", "If the key is a controller's of yours, name it in the agent's controller_keys; GET /api/v1/network tells it. Nothing was changed.";
    "CW-AGENT-EMPTY-CONFIG", "A configuration holds nothing at all. It would take everything away.", "Look at the device on the controller. Nothing was changed.";
    "CW-AGENT-LINE-REFUSED", "The device refuses a line of the configuration.", "The report's message has the line. If it is a snippet of yours, mend it; else report it with the device's version. The device runs what it ran.";
    "CW-AGENT-DEVICE-STATE", "The device is not in a state in which it could do what was asked: somebody else is configuring it, or a commit was confirmed or taken back by somebody else.", "Look who else configures the device; the agent tries again by itself.";
    "CW-AGENT-DEVICE-UNREACHABLE", "The device's management does not answer the agent.", "Look at the device's management: eAPI, or FRR's daemons and vtysh. The device runs what it ran, or goes back to it by itself.";
    "CW-AGENT-DEVICE-TIMEOUT", "The device did not answer in time.", "Look at the device's load and its management. It runs what it ran, or goes back to it by itself.";
    "CW-AGENT-STATE-FILE", "The agent could not write down what it is about to do, and so did not do it.", "Look at the disk and the permissions of the agent's state_dir.";
    "CW-AGENT-RUNNING-DIFFERS", "After the commit, what ran was not what was asked: the device dropped or changed lines. It was taken back.", "The report's diff has the lines. Report it with the device's version, unless a snippet of yours is among them.";
    "CW-AGENT-ADJACENCY-LOST", "After the commit, an IS-IS adjacency that was up and is still wanted did not come back. The configuration was taken back.", "Look at the link that the message names, at both ends: cable, addresses, MTU and the far end's configuration. The agent tries again by itself.";
    "CW-AGENT-ROUTES-LOST", "After the commit, the device had no route any more to any of its BGP neighbours. The configuration was taken back.", "Look at the device's links and adjacencies, and at what the report's diff takes away. The agent tries again by itself.";
    "CW-AGENT-SESSIONS-LOST", "After the commit, none of the device's BGP sessions came back. The configuration was taken back.", "Look at the device's BGP and at what the report's diff takes away: addresses, the AS number, the control-plane list. The agent tries again by itself.";
    "CW-AGENT-APPLY-INTERRUPTED", "The agent ended while it applied a configuration, and the device went back to what it ran. What ended the agent may have been the configuration itself.", "The agent tries again by itself, after a longer wait each time. Look at its log for why it ended, and at the report's configuration for what may cut it off.";
    "CW-AGENT-NOT-CONFIRMED", "A configuration that was to wait for the controller's word did not get it in time, and was taken back.", "Look at the job under whose correlation id it was applied, and at the way between agent and controller. The device runs what it ran; `causeway job retry` begins anew.";
    "CW-AGENT-WITHDRAWN", "A configuration that waited for the controller's word was taken back on that word: its job failed or was cancelled.", "Look at the job under whose correlation id it was applied. The device runs what it ran.";
    "CW-AGENT-BAD-ORDER", "A configuration is to be applied under an order that makes no sense, or that the agent can't follow.", "Check that the agent's version fits the controller's. Nothing was changed.";
    "CW-AGENT-REVERT-OVERDUE", "A configuration that failed was not taken back within the time in which the device does that by itself.", "Look at the device at once: it may run a configuration that was not verified. Its own log says why it did not go back.";
}

/// What is said of a report's code; none of one that is not known.
#[must_use]
pub fn of_report(short: &str) -> Option<&'static Entry> {
    let rest = |entry: &&Entry| {
        let rest = entry.code.strip_prefix("CW-AGENT-").unwrap_or_default();
        rest.len() == short.len() && rest.bytes().zip(short.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
    };
    REPORT_CODES.iter().find(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_finds_its_page_and_no_other() {
        assert_eq!(of_report("ADJACENCY_LOST").map(|entry| entry.code), Some("CW-AGENT-ADJACENCY-LOST"));
        for unknown in ["", "ADJACENCY", "ADJACENCY_LOST_", "CW-AGENT-ADJACENCY-LOST", "adjacency_lost"] {
            assert_eq!(of_report(unknown), None);
        }
    }
}
