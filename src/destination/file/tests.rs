//! Deliveries into real files: what is refused, what is kept, many writers at once.

use super::*;
use crate::destination::{Destination, Probed, deliver, holds, probe};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::step::Delivery;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

struct Room {
    dir: tempfile::TempDir,
    state: StateDir,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join(".tokenform")).unwrap();
        Self { dir, state }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, format: FileFormat) -> Destination {
        Destination::File(FileDestination { path: self.path(name), format })
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn give(&self, to: &Destination, key: Option<&str>, value: &str) -> Result<String, String> {
        give(&self.state, to, (key, None), value).await
    }
}

async fn give(
    state: &StateDir,
    to: &Destination,
    (key, id_key): (Option<&str>, Option<&str>),
    value: &str,
) -> Result<String, String> {
    let address = Address::connection("ibm", "prod");
    let value = Secret::new(value.into());
    let what = Handover { address: &address, key, value: &value, id_key, id: id_key.map(|_| "id-7") };
    let receipt = deliver("ops", to, &what, state, &Env::system()).await;
    receipt.map(|r| r.text).map_err(|e| e.finding().to_string())
}

#[tokio::test]
async fn what_a_file_holds_is_told_by_its_fingerprint() {
    let room = Room::new();
    let key = crate::model::secret::DigestKey::new(Secret::new(vec![1; 32]));
    let print = |value: &str| key.fingerprint(&Secret::new(value.into()));
    for (format, at) in
        [(FileFormat::Raw, None), (FileFormat::Dotenv, Some("K")), (FileFormat::Json, Some("K"))]
    {
        let name = format!("{format:?}");
        let file = room.file(&name, format);
        let slot = Delivery { to: "ops".into(), key: at.map(str::to_owned), id_key: None };
        let held = |value: &str| holds(&file, &slot, &print(value), &key);
        assert_eq!(held("it's $1"), Some(false), "{name}: nothing is there yet");
        room.give(&file, at, "it's $1").await.unwrap();
        assert_eq!((held("it's $1"), held("other")), (Some(true), Some(false)), "{name}");
    }
    let gone = room.file("no-folder/x", FileFormat::Raw);
    let slot = Delivery { to: "ops".into(), key: None, id_key: None };
    assert_eq!(holds(&gone, &slot, &print("x"), &key), None);
}

#[tokio::test]
async fn every_format_takes_a_value_with_mode_0600() {
    let room = Room::new();
    for (format, key, expected) in [
        (FileFormat::Raw, None, "v1"),
        (FileFormat::Dotenv, Some("K"), "K='v1'\n"),
        (FileFormat::Json, Some("K"), "{\n  \"K\": \"v1\"\n}\n"),
    ] {
        let to = room.file("out", format);
        assert_eq!(probe("ops", &to, &Env::system()).await.unwrap(), Probed::Writable);
        assert!(!room.path("out").exists(), "a probe writes nothing");
        let receipt = room.give(&to, key, "v1").await.unwrap();
        assert_eq!(receipt, format!("written to {}", room.path("out").display()));
        assert_eq!(room.text("out"), expected);
        assert_eq!(fs::metadata(room.path("out")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(room.path("out")).unwrap();
    }
}

#[tokio::test]
async fn id_and_key_are_one_write() {
    let room = Room::new();
    for (format, expected) in [
        (FileFormat::Dotenv, "ID='id-7'\nK='v'\n"),
        (FileFormat::Json, "{\n  \"ID\": \"id-7\",\n  \"K\": \"v\"\n}\n"),
    ] {
        let to = room.file("pair", format);
        give(&room.state, &to, (Some("K"), Some("ID")), "v").await.unwrap();
        assert_eq!(room.text("pair"), expected);
        fs::remove_file(room.path("pair")).unwrap();
    }
}

#[tokio::test]
async fn a_probe_leaves_the_file_and_its_folder_as_they_are() {
    let room = Room::new();
    let to = room.file("a.env", FileFormat::Dotenv);
    fs::write(room.path("a.env"), "K=old\n").unwrap();
    let before = fs::metadata(room.path("a.env")).unwrap().modified().unwrap();
    probe("ops", &to, &Env::system()).await.unwrap();
    assert_eq!(room.text("a.env"), "K=old\n");
    assert_eq!(fs::metadata(room.path("a.env")).unwrap().modified().unwrap(), before);
    assert_eq!(room.names(), [".tokenform", "a.env"]);
}

/// The reason, from the probe and from the delivery, which leave all as it was.
async fn refusal(room: &Room, to: &Destination) -> String {
    let before = room.names();
    let probed = probe("ops", to, &Env::system()).await.unwrap_err().to_string();
    let delivered = room.give(to, Some("K"), "hunter2").await.unwrap_err();
    assert_eq!(room.names(), before);
    assert!(!probed.contains("hunter2") && !delivered.contains("hunter2"));
    assert!(probed.contains("destination `ops`") && delivered.contains("destination `ops`"));
    probed
}

#[tokio::test]
async fn files_that_are_not_ours_to_replace_are_refused() {
    let room = Room::new();
    fs::write(room.path("real"), "K=old\n").unwrap();
    symlink(room.path("real"), room.path("link")).unwrap();
    fs::create_dir(room.path("folder")).unwrap();
    fs::write(room.path("big"), vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    fs::write(room.path("list"), "[]").unwrap();
    fs::write(room.path("open"), "A=1\nB='x\n").unwrap();
    for (name, format, reason) in [
        ("link", FileFormat::Dotenv, "symbolic link"),
        ("folder", FileFormat::Dotenv, "not a regular file"),
        ("none/x", FileFormat::Dotenv, "does not exist"),
        ("big", FileFormat::Dotenv, "1 MiB"),
        ("list", FileFormat::Json, "not a JSON object"),
        ("open", FileFormat::Dotenv, "line 2"),
    ] {
        let told = refusal(&room, &room.file(name, format)).await;
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(room.text("real"), "K=old\n");
}

#[test]
fn keys_that_a_format_can_t_hold_are_told_before_anything_is_issued() {
    let file = |format| FileDestination { path: "x".into(), format };
    assert!(fits(&file(FileFormat::Raw), None, None).is_ok());
    assert!(fits(&file(FileFormat::Raw), Some("K"), None).is_err());
    assert!(fits(&file(FileFormat::Dotenv), None, None).is_err());
    assert!(fits(&file(FileFormat::Dotenv), Some("K"), Some("K")).is_err());
    for bad in ["", "1K", "my key", "K=", "K\n", "é"] {
        assert!(fits(&file(FileFormat::Dotenv), Some(bad), None).is_err(), "{bad}");
        assert!(fits(&file(FileFormat::Dotenv), Some("K"), Some(bad)).is_err(), "{bad}");
        assert!(fits(&file(FileFormat::Json), Some(bad), None).is_ok(), "{bad}");
    }
}

#[tokio::test]
async fn what_a_killed_delivery_left_is_removed_by_the_next() {
    let room = Room::new();
    fs::write(room.path(".a.env.tokenform-Xy12"), "K='half a secret").unwrap();
    room.give(&room.file("a.env", FileFormat::Dotenv), Some("K"), "v").await.unwrap();
    assert_eq!(room.names(), [".tokenform", "a.env"]);
}

#[test]
fn twenty_threads_into_one_file_lose_nothing() {
    let room = Room::new();
    // some have a handle of their own, as another process would, and some another state
    let state_path = room.state.path().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (room, state_path) = (&room, if n % 3 == 0 { elsewhere.path() } else { &state_path });
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let own = StateDir::open(state_path).unwrap();
                let state = if n % 2 == 0 { &room.state } else { &own };
                let to = room.file("many.env", FileFormat::Dotenv);
                let key = format!("K{n}");
                runtime.block_on(give(state, &to, (Some(&key), None), "v")).unwrap();
            });
        }
    });
    let mut lines: Vec<_> = room.text("many.env").lines().map(str::to_owned).collect();
    lines.sort();
    let mut expected: Vec<_> = (0..20).map(|n| format!("K{n}='v'")).collect();
    expected.sort();
    assert_eq!(lines, expected);
}
