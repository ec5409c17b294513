//! The container files: no service has privileges that it does not need, and only the api is published.
//!
//! The tests read the files, because they run without a container engine. They run the commands for PostgreSQL and
//! RabbitMQ on servers outside containers.

mod users;

use std::collections::BTreeMap;

use yaml_rust2::{Yaml, YamlLoader};

const COMPOSE: &str = include_str!("../../../../docker-compose.yml");
const DOCKERFILE: &str = include_str!("../../../../Dockerfile");
const SETTINGS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configure.md"));

/// The entries of a mapping, with those merged by `<<`.
fn entries(mapping: &Yaml) -> BTreeMap<String, Yaml> {
    let mut entries = BTreeMap::new();
    for (key, value) in mapping.as_hash().into_iter().flatten() {
        match key.as_str() {
            Some("<<") => entries.extend(self::entries(value)),
            Some(key) => drop(entries.insert(key.to_owned(), value.clone())),
            None => panic!("{key:?} is no name"),
        }
    }
    entries
}

fn compose() -> Yaml {
    YamlLoader::load_from_str(COMPOSE).unwrap().remove(0)
}

fn services() -> BTreeMap<String, BTreeMap<String, Yaml>> {
    let services = entries(&compose()["services"]);
    assert!(services.len() >= 5, "{services:?}");
    services
        .iter()
        .map(|(name, service)| (name.clone(), entries(service)))
        .collect()
}

fn texts(value: Option<&Yaml>) -> Vec<&str> {
    let values = value.and_then(Yaml::as_vec).into_iter().flatten();
    values.map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn no_service_has_privileges_that_it_does_not_need() {
    for (name, service) in services() {
        assert_eq!(service.get("read_only"), Some(&Yaml::Boolean(true)), "{name}");
        assert_eq!(texts(service.get("cap_drop")), ["ALL"], "{name}");
        assert_eq!(
            texts(service.get("security_opt")),
            ["no-new-privileges:true"],
            "{name}"
        );
        for right in [
            "cap_add",
            "privileged",
            "pid",
            "ipc",
            "network_mode",
            "devices",
            "userns_mode",
        ] {
            assert!(!service.contains_key(right), "{name}: {right}");
        }
        let volumes = texts(service.get("volumes"));
        assert!(
            !volumes.iter().any(|volume| volume.starts_with(['/', '.', '~'])),
            "{name}: {volumes:?}"
        );
        // The image sets the user of our services.
        let is_ours = service.contains_key("build");
        let user = service.get("user").and_then(Yaml::as_str);
        assert!(
            is_ours || user.is_some_and(|user| !user.starts_with('0') && user != "root"),
            "{name}: {user:?}"
        );
    }
}

#[test]
fn only_the_api_is_published_and_only_on_this_machine() {
    for (name, service) in services() {
        let ports = texts(service.get("ports"));
        assert_eq!(ports.is_empty(), name != "api", "{name}: {ports:?}");
        assert!(
            ports.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name}: {ports:?}"
        );
        let networks = texts(service.get("networks"));
        assert_eq!(
            networks.contains(&"outside"),
            name == "api",
            "{name}: {networks:?}"
        );
    }
    let inside = &compose()["networks"]["inside"]["internal"];
    assert_eq!(inside, &Yaml::Boolean(true));
}

#[test]
fn no_password_has_a_default_and_every_setting_is_documented() {
    // The text between ${ and }.
    let named = COMPOSE.split("${").skip(1);
    let named = named.map(|text| text.split('}').next().unwrap());
    let passwords: Vec<&str> = named.filter(|text| text.contains("PASSWORD")).collect();
    assert!(passwords.len() >= 10, "{passwords:?}");
    for text in passwords {
        assert!(text.contains("_PASSWORD:?"), "{text}");
    }
    for (name, service) in services() {
        let environment = service.get("environment").map(entries).unwrap_or_default();
        for variable in environment.keys() {
            let ours = variable.starts_with("TONGHOP_");
            assert!(
                !ours || SETTINGS.contains(&format!("`{variable}`")),
                "{name}: {variable}"
            );
        }
    }
}

#[test]
fn the_image_contains_the_programs_and_runs_them_unprivileged() {
    let last = DOCKERFILE.rsplit("\nFROM ").next().unwrap();
    let users: Vec<&str> = last
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .collect();
    let [user] = users.as_slice() else {
        panic!("one USER in the image that is run: {users:?}");
    };
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0);
    let after = last.split_once(user).unwrap().1;
    assert!(
        !after.contains("RUN ") && !after.contains("COPY "),
        "nothing is made after it"
    );
    for (name, service) in services() {
        if service.contains_key("build") {
            let program = texts(service.get("command"))[0];
            assert!(
                DOCKERFILE.contains(&format!("target/release/{program} ")),
                "{name}: {program}"
            );
        }
    }
}
