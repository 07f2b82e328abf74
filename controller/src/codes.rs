//! Every code that a person can meet through the controller, each with its cause, its remedy and a page in `docs/errors`.
//!
//! Short names (`loopback-taken`) are what the code of the controller calls them, and what an agent reads in the metadata
//! of a refusal. [`full`] makes the code of the page of them.

/// What is said of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in general.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The code of a short name's page: `loopback-taken` is `CW-CONTROLLER-LOOPBACK-TAKEN`.
#[must_use]
pub fn full(short: &str) -> String {
    format!("CW-CONTROLLER-{}", short.to_ascii_uppercase())
}

/// What is said of a short name.
#[must_use]
pub fn of(short: &str) -> Option<&'static Entry> {
    let code = full(short);
    ALL.iter().find(|entry| entry.code == code)
}

macro_rules! entries {
    ($($name:ident = $code:literal, $cause:literal, $remedy:literal;)+) => {
        $(
            #[doc = $cause]
            pub const $name: Entry = Entry { code: $code, cause: $cause, remedy: $remedy };
        )+
        /// All of them.
        pub const ALL: &[Entry] = &[$($name),+];
    };
}

// Starting.
entries! {
    CONFIG = "CW-CONTROLLER-CONFIG", "A setting of the controller can't be used.", "Mend what is named; `causeway-controller --check-config` names everything that is wrong at once.";

    // HTTP.
    DEVICE_UNKNOWN = "CW-CONTROLLER-DEVICE-UNKNOWN", "The ledger has no device of this code.", "GET /api/v1/devices or `causeway device list` lists the devices that there are.";
    LINK_UNKNOWN = "CW-CONTROLLER-LINK-UNKNOWN", "The ledger has no link of this code.", "GET /api/v1/links or `causeway link list` lists the links that there are.";
    GENERATION_UNKNOWN = "CW-CONTROLLER-GENERATION-UNKNOWN", "A generation of a configuration is not kept, or never was.", "GET /api/v1/devices/{code}/config lists the generations that are kept.";
    NO_CONFIG = "CW-CONTROLLER-NO-CONFIG", "There is no configuration of this device to serve.", "GET /api/v1/devices/{code} tells what stands in the way and what to do.";
    NOTHING_HELD = "CW-CONTROLLER-NOTHING-HELD", "No configuration of the device waits for approval.", "Look at the device again; what was held has been approved or taken back.";
    HELD_CHANGED = "CW-CONTROLLER-HELD-CHANGED", "Another configuration waits for approval than the one that was looked at.", "Look at what is held now, and approve that.";
    NOT_OPERATOR = "CW-CONTROLLER-NOT-OPERATOR", "The call is not the operator's.", "Send `authorization: Bearer TOKEN` with the controller's operator token; without one set, call from the same machine, at localhost or a loopback address, through no proxy.";
    SIGNATURE_REFUSED = "CW-CONTROLLER-SIGNATURE-REFUSED", "A call has to be signed with a key of the ledger, and is not, or the signature does not count: of another key, request, network or time, or used before.", "Give the CLI `--keypair FILE`; check the machine's clock and the program id. docs/jobs.md says what is signed.";
    RUNNING_NOT_TOLD = "CW-CONTROLLER-RUNNING-NOT-TOLD", "The device's agent has not said in time what runs.", "Check that the agent runs and reaches this controller: the device's `config.polled_unix_ms` tells when it last asked. An agent in the middle of an apply answers after it; ask again.";
    QUESTIONS_FULL = "CW-CONTROLLER-QUESTIONS-FULL", "As many agents are being asked what runs as the controller asks at a time.", "Ask again in a minute, about fewer devices at a time.";
    STREAMS_FULL = "CW-CONTROLLER-STREAMS-FULL", "As many streams of events are open as the controller serves, in all or to one address.", "Close some, or poll GET /api/v1/devices until one ends.";
    NO_JOBS = "CW-CONTROLLER-NO-JOBS", "The controller has no store of provisioning jobs, or can't reach it.", "Set jobs_store to a file or to a PostgreSQL server's URL; if it is set, check that the server answers.";
    PATH_UNKNOWN = "CW-CONTROLLER-PATH-UNKNOWN", "Nothing is served under this path.", "See /api/v1/openapi.json for what there is.";
    METHOD_UNKNOWN = "CW-CONTROLLER-METHOD-UNKNOWN", "This path does not take this method.", "The header `allow` names those that it takes; see /api/v1/openapi.json.";
    DEVICE_EXISTS = "CW-CONTROLLER-DEVICE-EXISTS", "The ledger has a device of this code, and it is another one than the request describes.", "Choose another code, or ask without what differs: `causeway device get` shows what is there.";
    NAME_TWICE = "CW-CONTROLLER-NAME-TWICE", "A request names an interface twice.", "Name every interface once.";
    OVERRIDE_INVALID = "CW-CONTROLLER-OVERRIDE-INVALID", "A value that a request sets is none, or can't be set this way.", "Correct the value that is named; /api/v1/openapi.json says what each may be.";
    UPSTREAM_MISSING = "CW-CONTROLLER-UPSTREAM-MISSING", "A device's contributor, location or exchange is not on the ledger.", "Check the code's spelling, or have the authority register it: `causeway contributor create`, `causeway location create`, `causeway exchange create`.";
    UPSTREAM_SUSPENDED = "CW-CONTROLLER-UPSTREAM-SUSPENDED", "A device's contributor, location or exchange is suspended: nothing beneath it moves forward.", "Have the authority activate it again, or use another.";
    UPSTREAM_LINKS_MISSING = "CW-CONTROLLER-UPSTREAM-LINKS-MISSING", "A device is past device provisioning and has not the links that its type needs.", "Register the links with `causeway link create`, and provision them; then ask again.";
    NODE_AWAY = "CW-CONTROLLER-NODE-AWAY", "The controller can't ask a node of the ledger, which a transaction to sign needs a recent blockhash from.", "Check the controller's `rpc_url` and GET /ready; then ask again.";
    NO_PROVISIONING = "CW-CONTROLLER-NO-PROVISIONING", "The device could be provisioned now, and this controller runs no jobs.", "Ask a controller that does. A device that is provisioned continuously gets its configuration without a job.";
    NEED_AWAY = "CW-CONTROLLER-NEED-AWAY", "What every job needs, the ledger or the store of jobs, was away when it was last asked.", "GET /api/v1/availability says what, why and how long ago; it is asked again after half a minute.";
    AUDIT_FAILED = "CW-CONTROLLER-AUDIT-FAILED", "The audit log can't be written or read. What can't be written down is not done.", "Check the disk and the permissions of the controller's `audit_file`; then ask again.";
    REQUEST_INVALID = "CW-CONTROLLER-REQUEST-INVALID", "The request can't be meant: a parameter or the body is not of the form that is asked for.", "See /api/v1/openapi.json for what can be asked.";
    BODY_TOO_LARGE = "CW-CONTROLLER-BODY-TOO-LARGE", "The body of the request is longer than anything that is taken.", "Send what /api/v1/openapi.json describes; it fits a kilobyte.";
    TOO_SLOW = "CW-CONTROLLER-TOO-SLOW", "The request was not answered within the time that a request may take.", "Try again; if it happens again, look at the machine's load and the controller's log.";

    BUSY = "CW-CONTROLLER-BUSY", "As many texts are being made and compared for callers as the controller does at a time.", "Ask again after the seconds of the header `retry-after`, for fewer devices at a time.";
    ASKED_TOO_OFTEN = "CW-CONTROLLER-ASKED-TOO-OFTEN", "An address asks more often than it may without an operator's token.", "Follow GET /api/v1/events instead of asking again and again, or send `authorization: Bearer TOKEN` with an operator's token.";

    // The ledger.
    LEDGER_NOT_READ = "CW-CONTROLLER-LEDGER-NOT-READ", "The controller has not read the ledger yet.", "Check the RPC address and the program id; GET /ready says when it is there.";
    LEDGER_STALE = "CW-CONTROLLER-LEDGER-STALE", "The controller has not heard of the ledger for minutes. What was served before goes on being served.", "Check the RPC node and the way to it; the controller's log says what fails.";
    NETWORK_UNREADABLE = "CW-CONTROLLER-NETWORK-UNREADABLE", "The ledger holds no readable network account.", "Check the program id, and that the network was made; `causeway network get` shows it.";
    LEDGER_EMPTY = "CW-CONTROLLER-LEDGER-EMPTY", "The ledger was read without any device, and is not acted on.", "Register a first device: `causeway apply` with a site file, or POST /api/v1/devices/{code}/provision, which answers from such a ledger, too. If there were devices before, check the RPC node; if every one was removed on purpose, start the controller anew.";
    OTHER_PROGRAM = "CW-CONTROLLER-OTHER-PROGRAM", "A snapshot is of another program than the one that is served. It is not acted on.", "Check the program id.";
    SNAPSHOT_OLDER = "CW-CONTROLLER-SNAPSHOT-OLDER", "A snapshot is older than what is served. It is not acted on.", "The RPC node is behind, or another one answers: check the node. It ends by itself when the node has caught up. If the ledger was begun anew, move the controller's `served_file` away and start it anew.";
    LEDGER_PARTLY_READABLE = "CW-CONTROLLER-LEDGER-PARTLY-READABLE", "A large part of the ledger's records can't be read. It is not acted on.", "Check that the controller's version fits the program's; then the RPC node.";

    // What outlives a restart.
    SERVED_FILE = "CW-CONTROLLER-SERVED-FILE", "What is served can't be kept for the next start of the controller. Everything else goes on; after a restart, a text that waits for approval would be measured by what was kept before.", "Check the disk and the permissions of the controller's `served_file`; it is tried again every ten seconds.";

    // Faults of records.
    ACCOUNT_UNDECODABLE = "CW-CONTROLLER-ACCOUNT-UNDECODABLE", "An account of the program can't be decoded. Its last good record is used, where there was one.", "Check that the controller's version fits the program's. If it does, correct the record on the ledger.";
    CODE_INVALID = "CW-CONTROLLER-CODE-INVALID", "A record's code is not one.", "Correct the record on the ledger.";
    CODE_TWICE = "CW-CONTROLLER-CODE-TWICE", "Two records of one kind have the same code.", "Remove one of them on the ledger.";
    INTERFACE_NAME_INVALID = "CW-CONTROLLER-INTERFACE-NAME-INVALID", "An interface's name is none that a configuration may hold.", "Remove the interface on the ledger and create it with a name that the platform has.";
    INTERFACE_TWICE = "CW-CONTROLLER-INTERFACE-TWICE", "A device has two interfaces of one name, or of names that its router takes for one, such as Ethernet3 and et3.", "Remove one of them on the ledger.";
    INTERFACE_NAME_FOREIGN = "CW-CONTROLLER-INTERFACE-NAME-FOREIGN", "An interface's name is not that of one interface of its kind on the device's operating system: it is of another kind, stands for several, or is Linux's own loopback.", "Remove the interface on the ledger and create it with the router's own name of it: EthernetN, Port-ChannelN, LoopbackN, ManagementN on EOS, what `ip link` shows with FRR.";
    INTERFACE_ADDRESS_INVALID = "CW-CONTROLLER-INTERFACE-ADDRESS-INVALID", "An interface's address can't be one of a host.", "Correct the interface on the ledger.";
    SUB_INTERFACE_INVALID = "CW-CONTROLLER-SUB-INTERFACE-INVALID", "A sub-interface has no VLAN, or no interface to belong to.", "Correct the interface on the ledger.";
    VRF_NAME_INVALID = "CW-CONTROLLER-VRF-NAME-INVALID", "A device's management VRF has a name that a configuration may not hold.", "Set another with `causeway device update`.";
    LOOPBACK_UNSOUND = "CW-CONTROLLER-LOOPBACK-UNSOUND", "A device's loopback is missing, or is not as the program makes it.", "Correct the device on the ledger; a loopback comes with the device when it is created.";
    LOOPBACK_TAKEN = "CW-CONTROLLER-LOOPBACK-TAKEN", "Two devices have the same loopback address.", "Correct one of them on the ledger. Until then the one that was there first is served.";
    LINK_UNREADABLE = "CW-CONTROLLER-LINK-UNREADABLE", "An interface is held by a link that can't be read.", "Correct the link on the ledger.";
    DEVICE_UNREADABLE = "CW-CONTROLLER-DEVICE-UNREADABLE", "A link ends at a device that can't be read.", "Correct the device on the ledger.";
    LINK_TO_ITSELF = "CW-CONTROLLER-LINK-TO-ITSELF", "Both ends of a link are the same device.", "Remove the link on the ledger.";
    LINK_INTERFACE_UNSOUND = "CW-CONTROLLER-LINK-INTERFACE-UNSOUND", "A link's interface is not there, or is not held by it.", "Correct the link on the ledger.";
    LINK_NET_INVALID = "CW-CONTROLLER-LINK-NET-INVALID", "A link's net is not a /31 of the network's block.", "Correct the link on the ledger.";
    LINK_NET_TAKEN = "CW-CONTROLLER-LINK-NET-TAKEN", "Two links have the same net.", "Correct one of them on the ledger. Until then the one that was there first is served.";
    DELAY_OUT_OF_RANGE = "CW-CONTROLLER-DELAY-OUT-OF-RANGE", "A link's delay makes no metric.", "Correct the link on the ledger.";

    // Rendering.
    PORT_NAME_TOO_LONG = "CW-CONTROLLER-PORT-NAME-TOO-LONG", "A port of a router with FRR has a longer name than Linux has names of interfaces, which is 15 characters. FRR would take it for a port that is not there.", "Name the interface on the ledger as the router's Linux does (`ip link`); until then the interfaces that were last good stand in.";
    VLAN_NOT_IN_NAME = "CW-CONTROLLER-VLAN-NOT-IN-NAME", "A sub-interface of a router with FRR does not have its VLAN in its name, and Linux could not be told which it is.", "Name the sub-interface after its VLAN (PORT.VLAN); until then the interfaces that were last good stand in.";
    VALUE_NOT_WRITABLE = "CW-CONTROLLER-VALUE-NOT-WRITABLE", "A value of a record can't be written into a configuration: it could be read as something else.", "Correct the record on the ledger that is named.";
    TEMPLATE_FAILED = "CW-CONTROLLER-TEMPLATE-FAILED", "A template of this build can't be filled in.", "This is a defect of this build; report it with the device's record.";
    SITE_SNIPPET_FAILED = "CW-CONTROLLER-SITE-SNIPPET-FAILED", "One of the operator's snippets can't be put into a configuration.", "Mend the snippet in the site folder and start the controller anew.";

    // Agents.
    UNKNOWN_DEVICE = "CW-CONTROLLER-UNKNOWN-DEVICE", "An agent speaks for a device that the ledger does not have.", "Check the agent's device code and program id.";
    NO_AGENT_KEY = "CW-CONTROLLER-NO-AGENT-KEY", "The device has no agent key on the ledger.", "Set it with `causeway device update`; `causeway device enroll` makes one.";
    FOREIGN_NONCE = "CW-CONTROLLER-FOREIGN-NONCE", "An agent signed a nonce that was not given to it.", "It opens a session anew by itself. If it goes on, somebody is in between: use TLS.";
    EXPIRED_NONCE = "CW-CONTROLLER-EXPIRED-NONCE", "An agent took too long to sign a nonce.", "It tries again by itself; look at the way between agent and controller.";
    USED_NONCE = "CW-CONTROLLER-USED-NONCE", "A nonce was signed and used before.", "An agent tries again by itself. If it goes on, somebody replays what it says: use TLS.";
    WRONG_KEY = "CW-CONTROLLER-WRONG-KEY", "A session was asked for with another key than the ledger's agent key of the device.", "Give the agent the key that is registered, or register its key with `causeway device update`.";
    TOO_MANY_SESSIONS = "CW-CONTROLLER-TOO-MANY-SESSIONS", "The device has as many sessions as it may.", "Run one agent for each device; sessions end by themselves.";
    NO_TOKEN = "CW-CONTROLLER-NO-TOKEN", "A call of an agent carries no session's token.", "The caller is not an agent of this project, or something in between takes its metadata away.";
    UNKNOWN_SESSION = "CW-CONTROLLER-UNKNOWN-SESSION", "A token is of no session, or its session is over: the controller was started anew, or the agent key on the ledger has changed.", "The agent opens a new one by itself.";
    EXPIRED_SESSION = "CW-CONTROLLER-EXPIRED-SESSION", "A session's time is over.", "The agent opens a new one by itself.";
    OTHER_DEVICE = "CW-CONTROLLER-OTHER-DEVICE", "An agent reports about another device than its own.", "Check what runs as this device's agent.";
    RATE_LIMITED = "CW-CONTROLLER-RATE-LIMITED", "An agent calls more often than it may.", "Check the agent's intervals, and that one agent runs for each device.";
    REPORT_INVALID = "CW-CONTROLLER-REPORT-INVALID", "A report of an agent makes no sense.", "Check that the agent's version fits the controller's.";
    POLL_INVALID = "CW-CONTROLLER-POLL-INVALID", "A poll of an agent makes no sense.", "Check that the agent's version fits the controller's.";
    RUNNING_UNASKED = "CW-CONTROLLER-RUNNING-UNASKED", "An agent says what runs and nobody asked, or not any more.", "Nothing: it took longer than a person waits. Ask again.";
    WATCH_REPLACED = "CW-CONTROLLER-WATCH-REPLACED", "The agent's session watches anew; an older watch ends.", "Nothing, if the agent was started anew; else check that one agent runs for each device.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_there_once_and_a_short_name_finds_it() {
        let codes: BTreeSet<_> = ALL.iter().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), ALL.len());
        assert_eq!(of("loopback-taken"), Some(&LOOPBACK_TAKEN));
        assert_eq!(of("nothing-of-the-kind"), None);
    }
}
