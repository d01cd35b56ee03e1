//! What is secret is in no argument, no variable and no file here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use cow_tests::hosts::PASSWORD;
use cowd::hosts::{Command, Patient};

use crate::{Bench, sockets};

const VALUE: &str = "value-that-nobody-sees";
const TEXT: &str = "text-that-nobody-sees";

#[test]
fn no_process_shows_credentials_commands_or_variables() {
    let Some(bench) = Bench::new("secrets", 1) else { return };
    let key = fs::read_to_string(bench.lab.key()).unwrap();
    let line = key.lines().nth(4).unwrap().to_owned();
    let secrets = [PASSWORD, &line, VALUE, TEXT];
    let is_over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut seen, mut ssh) = (Vec::new(), 0);
            while !is_over.load(Ordering::Relaxed) {
                ssh += look(&secrets, &mut seen);
            }
            assert!(ssh > 20, "the watch saw no ssh");
            seen
        });
        for target in [bench.by_password(1, "root"), bench.deploy(1)] {
            for _ in 0..15 {
                let command = Command::new(format!(": {TEXT}; sleep 0.02")).with("secret", VALUE);
                bench.hosts.run(&target, &command, &Patient).unwrap();
                bench.hosts.forget(1);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    assert!(seen.is_empty(), "{seen:?}");
    let left: Vec<_> = fs::read_dir(sockets(&bench.lab)).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    let log = bench.lab.host(1).log();
    assert!(!secrets.iter().any(|secret| log.contains(secret)), "{log}");
}

/// Looks at all programs of this machine that are not a host's own. Returns how many of ssh's there were.
fn look(secrets: &[&str], seen: &mut Vec<String>) -> usize {
    let mut ssh = 0;
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        // On the host itself bash exports the variables: that is what they are for.
        if fs::read_link(path.join("ns/pid")).ok().as_ref() != Some(&own) {
            continue;
        }
        let [arguments, environment] = ["cmdline", "environ"]
            .map(|file| String::from_utf8_lossy(&fs::read(path.join(file)).unwrap_or_default()).into_owned());
        ssh += usize::from(arguments.starts_with("ssh\0"));
        if secrets.iter().any(|secret| arguments.contains(secret) || environment.contains(secret)) {
            seen.push(arguments);
        }
    }
    ssh
}
