use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, ConfigError};

/// A file with every key, each with its meaning.
pub const EXAMPLE: &str = include_str!("example.toml");

const ENVIRONMENT: [(&str, &str); 6] = [
    ("PARTYLINE_SIP_", "sip"),
    ("PARTYLINE_PROMOTION_", "promotion"),
    ("PARTYLINE_ORDINARY_NODE_", "ordinary_node"),
    ("PARTYLINE_SUPER_NODE_", "super_node"),
    ("PARTYLINE_LOGIN_", "login"),
    ("PARTYLINE_BOOTSTRAP_", "bootstrap"),
];

/// Reads a configuration file, then the overrides of the environment, then those of the flags (`section.key=value`).
///
/// The environment speaks only of the roles that the file has: the processes of one machine often share it.
///
/// Relative paths in it count from the directory where the program was started.
///
/// # Errors
/// What can't be used, where it stands, and what to do about it.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Config, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConfigError::File(path.into(), error))?;
    parse(path, &text, environment, flags)
}

/// Reads the files of a node that is in several overlays. What the environment and the flags override is not theirs, but
/// that of an only file.
///
/// # Errors
/// See [`load`]; and what two files must not share.
pub fn load_all(
    paths: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Vec<Config>, ConfigError> {
    if let [path] = paths {
        return Ok(vec![load(path, environment, flags)?]);
    }
    if !flags.is_empty() {
        return Err(ConfigError::OverridesForSeveral);
    }
    let configs = paths.iter().map(|path| load(path, [], &[]));
    let configs = configs.collect::<Result<Vec<_>, _>>()?;
    for (index, config) in configs.iter().enumerate() {
        let mut others = configs[..index].iter().flat_map(Config::directories);
        if let Some(shared) = others.find(|other| config.directories().any(|own| own == *other)) {
            return Err(ConfigError::SharedDirectory(shared.clone()));
        }
    }
    Ok(configs)
}

/// Does what [`load`] does with a text at hand; `path` names it in errors.
///
/// # Errors
/// See [`load`].
pub fn parse(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Config, ConfigError> {
    let wrong = |error: toml::de::Error| ConfigError::Text(path.into(), error.to_string());
    let mut table: Table = toml::from_str(text).map_err(wrong)?;
    let mut last = None;
    for (name, value) in environment {
        let Some((section, key)) = variable(&name) else {
            continue;
        };
        if !table.contains_key(&section) {
            continue;
        }
        insert(&mut table, &section, &key, &value);
        last = Some(name);
    }
    for flag in flags {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let Some((section, key)) = name.split_once('.') else {
            return Err(ConfigError::Override(
                format!("--set {flag}"),
                "write it as section.key=value".to_owned(),
            ));
        };
        insert(&mut table, section, key, value);
        last = Some(format!("--set {flag}"));
    }
    let config =
        match last {
            // Read from the text itself, an error shows the line.
            None => toml::from_str(text).map_err(wrong)?,
            Some(name) => table.try_into::<Config>().map_err(|error| {
                match toml::from_str::<Config>(text) {
                    Err(in_file) if in_file.message().starts_with("unknown field") => {
                        wrong(in_file)
                    }
                    Ok(_) | Err(_) => ConfigError::Override(name, error.to_string()),
                }
            })?,
        };
    config.check()?;
    Ok(config)
}

fn variable(name: &str) -> Option<(String, String)> {
    ENVIRONMENT.iter().find_map(|(prefix, section)| {
        let key = name.strip_prefix(prefix)?;
        Some(((*section).to_owned(), key.to_ascii_lowercase()))
    })
}

/// Sets a key. The value is read as TOML if it is TOML (`true`, `["a"]`), else taken as text.
fn insert(table: &mut Table, section: &str, key: &str, value: &str) {
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut read| read.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Transport;

    const TEN_LINES: &str = r#"[super_node]
data = "/var/lib/partyline"
listen = "0.0.0.0:443"
url = "https://sn4.example.net"
certificate = "/etc/partyline/sn4.pem"
key = "/etc/partyline/sn4.key"
login = "https://login.example.org"
token_file = "/etc/partyline/token"
quic = "0.0.0.0:4433"
stun = "0.0.0.0:3478"
"#;

    fn read(text: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, String> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        parse(Path::new("sn4.toml"), text, environment, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn ten_lines_make_a_super_node() {
        let node = read(TEN_LINES, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.quic_public(), "sn4.example.net:4433");
        assert_eq!(node.stun_public(), "sn4.example.net:3478");
        assert_eq!(node.url.websocket(), "wss://sn4.example.net/p2psip");
        assert_eq!(node.bootstrap(), vec![node.login.clone().unwrap()]);
    }

    #[test]
    fn r115_no_port_of_another_service_unless_the_operator_names_it() {
        let least: String = TEN_LINES
            .lines()
            .filter(|line| !line.starts_with("quic") && !line.starts_with("stun"))
            .map(|line| format!("{line}\n"))
            .collect();
        let node = read(&least, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.listen.port(), 443, "HTTPS, which is what it serves");
        assert_eq!((node.quic().port(), node.stun().port()), (4433, 3478));
        let high = least.replace("0.0.0.0:443", "0.0.0.0:8443");
        let node = read(&high, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.quic().port(), 8443);
        let named = format!("{least}quic = \"0.0.0.0:443\"\n");
        let node = read(&named, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.quic().port(), 443);
        // Where it listens has no default at all.
        let nowhere = least.replace("listen = \"0.0.0.0:443\"\n", "");
        assert!(read(&nowhere, &[], &[]).unwrap_err().contains("`listen`"));
    }

    #[test]
    fn unknown_key_is_refused_with_its_line_and_what_to_do() {
        let text = TEN_LINES.replace("stun =", "sturn =");
        let refused = read(&text, &[], &[]).unwrap_err();
        assert!(refused.contains("line 10"), "{refused}");
        assert!(refused.contains("unknown field `sturn`"), "{refused}");
        assert!(refused.contains("config example"), "{refused}");
        let refused = read("[relay]\n", &[], &[]).unwrap_err();
        assert!(refused.contains("unknown field `relay`"), "{refused}");
    }

    #[test]
    fn r092_a_super_node_needs_no_login_server_in_its_file() {
        let alone: String = TEN_LINES
            .lines()
            .filter(|line| !line.starts_with("login") && !line.starts_with("token"))
            .map(|line| format!("{line}\n"))
            .collect();
        let id = "00112233445566778899aabbccddeeff00112233";
        let text = format!("{alone}seeds = [\"{id}@sn1.example.net:4433\"]\n");
        let node = read(&text, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.seeds[0].quic, "sn1.example.net:4433");
        assert!(node.bootstrap().is_empty());
        let refused = read(
            &format!("{alone}seeds = [\"sn1.example.net:4433\"]\n"),
            &[],
            &[],
        );
        assert!(refused.unwrap_err().contains("id@host:port"));
        let refused = read(&format!("{alone}token = \"hunter2\"\n"), &[], &[]);
        assert!(
            refused
                .unwrap_err()
                .contains("no `login` server to show it to")
        );
    }

    #[test]
    fn r083_r097_an_ordinary_node_needs_little_and_takes_the_transports_in_order() {
        let text = "[ordinary_node]\ndata = \"/var/lib/partyline\"\n";
        let node = read(text, &[], &[]).unwrap().ordinary_node.unwrap();
        assert_eq!(node.transports(), Transport::all());
        let proxy = format!("{text}proxy = \"http://proxy.example.net:3128\"\n");
        let node = read(&proxy, &[], &[]).unwrap().ordinary_node.unwrap();
        assert_eq!(node.transports(), [Transport::Tls, Transport::WebSocket]);
        let refused = read(&format!("{proxy}transports = [\"quic\"]\n"), &[], &[]);
        assert!(refused.unwrap_err().contains("no way to reach super nodes"));
        let refused = read(&format!("{text}multicast = false\n"), &[], &[]);
        assert!(refused.unwrap_err().contains("nowhere to look"));
        let refused = read(&format!("{text}transports = [\"smoke\"]\n"), &[], &[]);
        assert!(refused.unwrap_err().contains("unknown variant `smoke`"));
    }

    #[test]
    fn r021_the_reserve_for_records_is_configuration() {
        let node = read(TEN_LINES, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.storage, 256);
        let refused = read(&format!("{TEN_LINES}storage = 0\n"), &[], &[]);
        assert!(
            refused
                .unwrap_err()
                .contains("`storage` is from 1 to 65536")
        );
    }

    #[test]
    fn what_knowing_the_others_may_cost_is_configuration() {
        let node = read(TEN_LINES, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!((node.maintenance, node.table), (2_000, 1_000_000));
        let text = format!("{TEN_LINES}maintenance = 300\ntable = 5000\n");
        let node = read(&text, &[], &[]).unwrap().super_node.unwrap();
        assert_eq!((node.maintenance, node.table), (300, 5_000));
        let refused = |line: &str| read(&format!("{TEN_LINES}{line}\n"), &[], &[]).unwrap_err();
        assert!(refused("maintenance = 49").contains("`maintenance` is 50 or more"));
        assert!(refused("table = 99").contains("`table` is 100 or more"));
        assert!(refused("table = -1").contains("line 11"));
    }

    #[test]
    fn r120_r121_thresholds_of_promotion_are_configuration() {
        let ordinary = "[ordinary_node]\ndata = \"/var/lib/partyline\"\n";
        let text = format!("{TEN_LINES}{ordinary}[promotion]\nuptime = 60\nmemory = 1024\n");
        let rules = read(&text, &[], &[]).unwrap().promotion.unwrap();
        assert_eq!((rules.uptime, rules.memory), (60, 1_024));
        assert_eq!(rules.misses, crate::config::Promotion::default().misses);
        let alone = read(&format!("{TEN_LINES}[promotion]\n"), &[], &[]);
        assert!(alone.unwrap_err().contains("needs both"));
    }

    #[test]
    fn r019_files_of_two_overlays_share_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a.toml", "b.toml"].map(|name| directory.path().join(name));
        let load = |flags: &[String]| {
            let all = load_all(&paths, [], flags);
            all.map_err(|error| error.to_string())
        };
        std::fs::write(&paths[0], TEN_LINES).unwrap();
        std::fs::write(&paths[1], TEN_LINES).unwrap();
        let refused = load(&[]).unwrap_err();
        assert!(
            refused.contains("each overlay needs a directory of its own"),
            "{refused}"
        );
        let other = TEN_LINES.replace("/var/lib/partyline", "/var/lib/other");
        std::fs::write(&paths[1], other).unwrap();
        assert_eq!(load(&[]).unwrap().len(), 2);
        let refused = load(&["super_node.listen=1".to_owned()]).unwrap_err();
        assert!(refused.contains("--set does not say"), "{refused}");
    }

    #[test]
    fn environment_overrides_the_file_and_flags_override_both() {
        let variable = ("PARTYLINE_SUPER_NODE_LISTEN", "127.0.0.1:1");
        let node = read(TEN_LINES, &[variable, ("HOME", "/root")], &[]).unwrap();
        assert_eq!(node.super_node.unwrap().listen.port(), 1);
        let flag = "super_node.listen=127.0.0.1:2";
        let node = read(TEN_LINES, &[variable], &[flag]).unwrap();
        assert_eq!(node.super_node.unwrap().listen.port(), 2);
        let list = ("PARTYLINE_SUPER_NODE_ORIGINS", r#"["https://a.example"]"#);
        let node = read(TEN_LINES, &[list], &[]).unwrap().super_node.unwrap();
        assert_eq!(node.origins[0].as_str(), "https://a.example");
    }

    #[test]
    fn environment_of_another_role_is_not_heard() {
        let variable = ("PARTYLINE_LOGIN_DOMAIN", "example.com");
        assert!(read(TEN_LINES, &[variable], &[]).unwrap().login.is_none());
    }

    #[test]
    fn wrong_override_is_refused_by_its_name() {
        let refused = read(TEN_LINES, &[("PARTYLINE_SUPER_NODE_FOO", "1")], &[]).unwrap_err();
        assert!(refused.starts_with("PARTYLINE_SUPER_NODE_FOO"), "{refused}");
        let refused = read(TEN_LINES, &[], &["listen=1"]).unwrap_err();
        assert!(refused.contains("section.key=value"), "{refused}");
    }

    #[test]
    fn clear_text_off_loopback_is_refused() {
        let clear: String = TEN_LINES
            .lines()
            .filter(|line| !line.starts_with("certificate") && !line.starts_with("key"))
            .map(|line| format!("{line}\n"))
            .collect();
        let refused = read(&clear, &[], &[]).unwrap_err();
        assert!(
            refused.contains("would serve clear text at 0.0.0.0:443"),
            "{refused}"
        );
        assert!(read(&clear.replace("0.0.0.0:443", "127.0.0.1:443"), &[], &[]).is_ok());
        let half = TEN_LINES.replace("key = \"/etc/partyline/sn4.key\"\n", "");
        assert!(read(&half, &[], &[]).unwrap_err().contains("needs both"));
    }

    #[test]
    fn a_file_without_a_role_is_refused() {
        assert!(read("", &[], &[]).unwrap_err().starts_with("no role"));
        assert!(
            read("[bootstrap]\n", &[], &[])
                .unwrap_err()
                .contains("[bootstrap] without [login]")
        );
    }

    #[test]
    fn the_example_is_a_configuration_that_names_every_key() {
        let uncommented = EXAMPLE.replace("\n#= ", "\n");
        let config = read(&uncommented, &[], &[]);
        assert!(config.is_ok(), "{}", config.unwrap_err());
        assert!(read(EXAMPLE, &[], &[]).is_ok());
        for source in [
            include_str!("../config.rs"),
            include_str!("ordinary.rs"),
            include_str!("promotion.rs"),
        ] {
            let keys = source.lines().filter_map(|line| {
                let (name, _) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
                (!name.starts_with("fn ")).then_some(name)
            });
            for key in keys {
                assert!(EXAMPLE.contains(key), "the example lacks `{key}`");
            }
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let text = TEN_LINES.replace(
            "token_file = \"/etc/partyline/token\"",
            "token = \"hunter2\"",
        );
        let node = read(&text, &[], &[]).unwrap();
        assert!(!format!("{node:?}").contains("hunter2"));
    }
}
