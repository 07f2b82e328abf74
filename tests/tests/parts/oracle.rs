//! An oracle of more subjects than a plain transaction holds makes itself a lookup table and packs by it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use super::*;

/// Subjects of Abilene: 11 devices and 14 links. A plain transaction holds 24.
const SUBJECTS: u64 = 25;
/// Longest wait for a table and for each renewal, which is due every ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

struct Oracle {
    process: Child,
    addr: String,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Oracle {
    fn start(ledger: &Ledger) -> Self {
        let text = std::fs::read_to_string(ledger.path("localnet.json")).unwrap();
        let description: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut start = command("causeway-health-oracle").unwrap();
        start
            .args(["--rpc-url", description["rpc_url"].as_str().unwrap()])
            .args(["--program-id", description["program_id"].as_str().unwrap()])
            .args(["--key", description["oracles"][0].as_str().unwrap()])
            .args(["--listen", "127.0.0.1:0", "--seconds", "--log-json", "--data-dir"])
            .arg(ledger.path("oracle"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = start.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().unwrap().contains("oracle started")).unwrap().unwrap();
        let entry: serde_json::Value = serde_json::from_str(&started).unwrap();
        let addr = entry["fields"]["addr"].as_str().unwrap().to_owned();
        // Nobody reads on; a full pipe would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, addr }
    }

    /// The sum of a metric's series whose line begins so.
    fn metric(&self, series: &str) -> u64 {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.0 200"), "{page}");
        let values = page.lines().filter(|line| line.starts_with(series)).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }

    fn wait(&self, what: &str, series: &str, least: u64) {
        let began = Instant::now();
        while self.metric(series) < least {
            assert!(began.elapsed() < PATIENCE, "{what}: {series} is {}", self.metric(series));
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

const WORDS: &str = "causeway_oracle_attestations_total{";
const TRANSACTIONS: &str = "causeway_oracle_transactions_total{kind=\"attest\"}";
const HELD: &str = "causeway_oracle_lookup_addresses ";

/// What the oracle signed holds by the CLI's own computation, and it says why the device is where it is.
fn asked_by_people(ledger: &Ledger, oracle: &Oracle) {
    let url = format!("http://{}", oracle.addr);
    for code in ["seattle", "denver"] {
        let verified = ledger.works(&["health", "verify", code, "--kind", "device", "--oracle", &url]).stdout;
        assert_eq!(verified.lines().filter(|line| line.contains("  ok")).count(), 9, "{verified}");
    }
    let json = ledger.works(&["health", "explain", "seattle", "--oracle", &url, "--output", "json"]).stdout;
    let explained: serde_json::Value = serde_json::from_str(&json).unwrap();
    let answered: Vec<_> =
        explained[0]["oracles"].as_array().unwrap().iter().filter(|o| o["judged"].is_object()).collect();
    let [judged] = answered[..] else { panic!("{json}") };
    assert_eq!((&judged["problem"], &judged["word"]["counts"]["state"]), (&serde_json::Value::Null, &"fresh".into()));
    let d1 = &judged["judged"]["criteria"][0];
    assert_eq!((&d1["id"], &d1["result"]), (&"D1".into(), &"passed".into()), "{json}");
    assert!(d1["since"].is_string(), "{json}");
    let text = ledger.works(&["health", "explain", "seattle"]).stdout;
    assert!(text.contains("its address was not given") && text.contains("ready-for-users"), "{text}");

    // A dead address is a line of one, and a check that can't be made of the other.
    let dead = ["--oracle", "http://127.0.0.1:1"];
    let text = ledger.works(&[&["health", "explain", "seattle"], &dead[..]].concat()).stdout;
    assert!(text.contains("no answer"), "{text}");
    let said = ledger.causeway(&[&["health", "verify", "seattle"], &dead[..]].concat());
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(said.stderr.contains("CW-VERIFY-INCOMPLETE") && said.stdout.contains("no answer"), "{}", said.stderr);
}

/// What it recorded comes out the same by its own rules.
fn backtested(ledger: &Ledger) {
    let dir = ledger.path("oracle");
    let arguments = ["oracle", "backtest", "--rule", "loss-limit-ppm=1000", "--output", "json", "--from"];
    let json = ledger.works(&[&arguments[..], &[dir.to_str().unwrap()]].concat()).stdout;
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let summary = &found["summary"];
    assert_eq!(summary["subjects"], SUBJECTS, "{json}");
    assert_eq!((&summary["documents"], &summary["differ"]), (&summary["alike"], &0.into()), "{summary}");
}

pub fn packs_its_words(ledger: &Ledger) {
    let oracle = Oracle::start(ledger);
    // Its first words don't wait for a table.
    oracle.wait("the first words", WORDS, SUBJECTS);
    oracle.wait("a table", HELD, SUBJECTS + 1);
    let (words, transactions) = (oracle.metric(WORDS), oracle.metric(TRANSACTIONS));
    oracle.wait("three renewals", WORDS, words + 3 * SUBJECTS);
    let (words, transactions) = (oracle.metric(WORDS) - words, oracle.metric(TRANSACTIONS) - transactions);
    // Plainly it would be two transactions for every 25 words. One may have been under way when the count began, and
    // one when it ended.
    assert!(transactions * SUBJECTS <= words + 2 * SUBJECTS, "{words} words in {transactions} transactions");
    println!("{words} words in {transactions} transactions");
    assert_eq!(oracle.metric("causeway_oracle_lookup_failures_total"), 0);
    let made = oracle.metric("causeway_oracle_transactions_total{kind=\"lookup\"}");
    assert!((1..=3).contains(&made), "{made} transactions for one table");
    asked_by_people(ledger, &oracle);
    drop(oracle);
    backtested(ledger);

    // After a restart it finds its table and makes none.
    let oracle = Oracle::start(ledger);
    oracle.wait("its table again", HELD, SUBJECTS + 1);
    assert_eq!(oracle.metric("causeway_oracle_transactions_total{kind=\"lookup\"}"), 0);
}
