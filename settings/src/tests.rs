use clap::Parser;

use super::*;

const PROGRAM: Program = Program { code: "CW-TEST", variable: "SETTINGS_TEST_CONFIG", example: "example.toml" };

/// Settings of every form.
#[derive(Debug, Parser, PartialEq)]
struct Example {
    #[arg(long, env = "SETTINGS_TEST_CONFIG")]
    config: Option<PathBuf>,
    #[arg(long)]
    name: String,
    #[arg(long = "peer", value_delimiter = ',')]
    peers: Vec<String>,
    #[arg(long, env = "SETTINGS_TEST_COUNT", default_value_t = 3)]
    count: u16,
    #[arg(long)]
    loud: bool,
}

fn told(text: &str, arguments: &[&str]) -> Result<(Example, Vec<String>), Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    let mut all: Vec<OsString> = vec!["program".into(), "--config".into(), path.clone().into()];
    all.extend(arguments.iter().map(OsString::from));
    let shorten = |text: String| text.replace(path.to_str().unwrap(), "a.toml");
    match PROGRAM.read::<Example>(all) {
        Ok((found, settings)) => {
            let line = |(key, values, origin): (String, Vec<String>, Origin)| {
                shorten(format!("{key} = {} ({origin})", values.join(" ")))
            };
            Ok((found, settings.into_iter().map(line).collect()))
        }
        Err(Failure::Problems(problems)) => Err(problems.iter().map(|p| shorten(p.to_string())).collect()),
        Err(Failure::Command(error)) => Err(vec![error.to_string().lines().next().unwrap().to_owned()]),
    }
}

#[test]
fn a_flag_wins_over_the_file_and_that_over_the_default() {
    let text = "name = \"a\"\npeers = [\"x\", \"y\"]\n\ncount = 5\nloud = true\n";
    let (found, shown) = told(text, &[]).unwrap();
    assert_eq!((found.name.as_str(), found.count, found.loud), ("a", 5, true));
    assert_eq!(found.peers, ["x", "y"]);
    assert_eq!(
        shown,
        [
            "name = a (a.toml, line 1)",
            "peers = x y (a.toml, line 2)",
            "count = 5 (a.toml, line 4)",
            "loud = true (a.toml, line 5)",
        ]
    );
    let (found, shown) = told(text, &["--name", "b", "--peer=z", "--count=6"]).unwrap();
    assert_eq!((found.name.as_str(), found.peers, found.count), ("b", vec!["z".to_owned()], 6));
    assert_eq!(shown[0], "name = b (flag)");
    let (found, shown) = told("name = \"a\"\nloud = false\n", &[]).unwrap();
    assert_eq!((found.count, found.loud, found.peers.len()), (3, false, 0));
    assert_eq!(shown[2], "count = 3 (default)");
}

#[test]
fn every_mistake_is_named_with_file_line_and_key() {
    for (text, expected) in [
        (
            "nam = \"a\"\ncolour = 1\n",
            &[
                "line 1: nam: There is no such key. Did you mean name?",
                "line 2: colour: There is no such key. example.toml names",
            ][..],
        ),
        ("name = true\n", &["line 1: name: It has to be a text in quotes or a number."]),
        ("name = \"a\"\nloud = \"yes\"\n", &["line 2: loud: It has to be true or false."]),
        ("name = \"a\"\npeers = [1.5]\n", &["line 2: peers: It has to be a list of texts."]),
        ("name = \"a\"\n[peers]\nx = 1\n", &["line 2: peers: It has to be a list of texts."]),
        ("name = \"a\"\n\ncount = 70000\n", &["line 3: count: invalid value '70000' for '--count <COUNT>'"]),
        ("name = \"a\"\nconfig = \"b\"\n", &["line 2: config: There is no such key."]),
        ("name = \"a\"\nname = \"b\"\n", &["line 2: It is not TOML"]),
    ] {
        let problems = told(text, &[]).unwrap_err();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with("CW-TEST: a.toml, ") && problem.contains(expected), "{problem}");
        }
    }
    let problems = told("count = 1\n", &[]).unwrap_err();
    assert!(problems[0].contains("required arguments were not provided"), "{problems:?}");
    let missing: Vec<OsString> = ["program", "--config", "/no/such"].map(OsString::from).to_vec();
    let Err(Failure::Problems(problems)) = PROGRAM.read::<Example>(missing) else { panic!("no problem") };
    assert!(problems[0].cause.starts_with("It can't be read"), "{problems:?}");
}

#[test]
fn of_an_address_only_the_host_is_shown() {
    for (url, expected) in [
        ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
        ("https://rpc.example.net/", "https://rpc.example.net/"),
        ("https://rpc.example.net/v2/SECRET", "https://rpc.example.net/(hidden)"),
        ("https://user:SECRET@rpc.example.net:1/", "https://rpc.example.net:1/(hidden)"),
        ("/etc/causeway/key", "/etc/causeway/key"),
    ] {
        assert_eq!(without_secret(url), expected);
    }
}
