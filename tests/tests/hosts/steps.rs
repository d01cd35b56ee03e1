//! Privileged steps, the toolkit and trees of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::Ordering;

use cow_api::v1::Problem;
use cowd::hosts::{Command, Patient, Pull, Push, RemoteMount};

use crate::{Bench, Heard};

/// Stands in for the NFS client: mounts a tmpfs that says it is the share.
const MOUNT_NFS: &str = "#!/bin/sh\nexec mount -i -t tmpfs \"$1\" \"$2\"\n";

#[test]
fn steps_may_be_repeated_and_touch_nothing_of_others() {
    let Some(bench) = Bench::new("steps", 1) else { return };
    let host = bench.lab.host(1);
    let program = bench.lab.folder().join("mount.nfs");
    fs::write(&program, MOUNT_NFS).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    host.replace("/sbin/mount.nfs", &program);
    for target in [bench.deploy(1), bench.by_password(1, "root")] {
        let hosts = &bench.hosts;
        let mount = RemoteMount {
            source: "cowhost:/a b".to_owned(),
            path: "/run/mounts/of it's/data".to_owned(),
            options: "vers=3".to_owned(),
        };
        assert!(hosts.make_directory(&target, &mount.path, &Patient).unwrap());
        assert!(!hosts.make_directory(&target, &mount.path, &Patient).unwrap());
        assert_eq!(hosts.mounted(&target, &mount.path, &Patient).unwrap(), None);
        hosts.unmount(&target, &mount, &Patient).unwrap();
        for _ in 0..2 {
            hosts.mount(&target, &mount, &Patient).unwrap();
            hosts.change_owner(&target, &mount.path, None, &Patient).unwrap();
        }
        let owner = bench.said(&target, "stat -c %U \"/run/mounts/of it's/data\"; id -un");
        assert_eq!(owner, format!("{0}\n{0}\n", target.user));
        hosts.change_owner(&target, &mount.path, Some((7, 8)), &Patient).unwrap();
        assert_eq!(bench.said(&target, "stat -c %u:%g \"/run/mounts/of it's/data\""), "7:8\n");
        let found = hosts.mounted(&target, &mount.path, &Patient).unwrap().unwrap();
        assert_eq!(found.source, mount.source);
        let other = RemoteMount { source: "cowhost:/other".to_owned(), ..mount.clone() };
        for error in [hosts.mount(&target, &other, &Patient), hosts.unmount(&target, &other, &Patient)] {
            assert!(error.unwrap_err().to_string().contains("cowhost:/a b"));
        }
        assert!(hosts.remove_directory(&target, &mount.path, &Patient).is_err(), "it is in use");
        // Used, so that only force takes it away.
        let mut user =
            host.command("bash").args(["-c", "cd \"/run/mounts/of it's/data\"; exec sleep 600"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        for _ in 0..2 {
            hosts.unmount(&target, &mount, &Patient).unwrap();
        }
        user.kill().unwrap();
        user.wait().unwrap();
        for path in [&mount.path, "/run/mounts/of it's", "/run/mounts", "/run/mounts"] {
            hosts.remove_directory(&target, path, &Patient).unwrap();
        }
        assert!(host.run("! [ -e /run/mounts ]").is_ok());
    }
    // Without what the guide says, the steps say what is missing.
    let deploy = bench.deploy(1);
    assert_eq!(bench.hosts.inspect(&deploy, &Patient).unwrap().not_allowed, Vec::<String>::new());
    host.allow("deploy ALL=(root) NOPASSWD: /usr/bin/mkdir, /bin/mkdir, /usr/bin/mount, /bin/mount\ndeploy ALL=(root) /bin/umount, /usr/bin/umount\n");
    let facts = bench.hosts.inspect(&deploy, &Patient).unwrap();
    assert_eq!(facts.not_allowed, ["umount", "rmdir", "chown"]);
    let owner = bench.hosts.change_owner(&deploy, "/run", Some((1, 1)), &Patient).unwrap_err();
    assert!(Problem::from(owner).hint.unwrap().contains("docs/environments.md"));
    let facts = bench.hosts.inspect(&bench.by_password(1, "root"), &Patient).unwrap();
    assert_eq!((facts.hostname.as_str(), facts.home.as_str(), facts.owner), ("h1", "/root", (0, 0)));
    assert!(facts.not_allowed.is_empty() && facts.has_nfs && facts.kernel.starts_with("Linux"), "{facts:?}");
    assert!(["bash", "rsync", "jq"].iter().all(|program| !facts.programs[*program].is_empty()), "{facts:?}");
}

#[test]
fn the_toolkit_is_brought_once_and_mended() {
    let Some(bench) = Bench::new("toolkit", 1) else { return };
    let target = bench.deploy(1);
    assert!(bench.hosts.push_toolkit(&target, &Patient).unwrap());
    assert!(!bench.hosts.push_toolkit(&target, &Patient).unwrap());
    let bin = target.binary_path();
    assert_eq!(bin, "/home/deploy/toolkit/Delphix_COMMON_0a1b_host/scripts/bin");
    let text =
        format!("echo '[1]' | {0}/jq -c .; {0}/dlpx_db_exec deploy echo a 'b  c'; ls -d toolkit/scratch; ls {0}", bin);
    assert_eq!(bench.said(&target, &text), "[1]\na b  c\ntoolkit/scratch\ndlpx_db_exec\ndlpx_pfexec\njq\n");
    let root = bench.by_password(1, "root");
    assert_eq!(
        bench.said(&root, &format!("{bin}/dlpx_db_exec deploy id -un; {bin}/dlpx_pfexec id -un")),
        "deploy\nroot\n"
    );
    for damage in ["rm -r toolkit", "rm toolkit/D*/scripts/bin/jq", "echo old >toolkit/D*/scripts/bin/.hash"] {
        bench.said(&target, damage);
        assert!(bench.hosts.push_toolkit(&target, &Patient).unwrap(), "{damage}");
        assert!(!bench.hosts.push_toolkit(&target, &Patient).unwrap());
    }
    // A host without jq gets this host's, a program of some size.
    let none = bench.lab.folder().join("none");
    fs::write(&none, "").unwrap();
    bench.lab.host(1).replace("/usr/bin/jq", &none);
    assert!(bench.hosts.push_toolkit(&target, &Patient).unwrap());
    assert_eq!(bench.said(&target, &format!("echo 1 | {bin}/jq .+1; [ -L {bin}/jq ] || echo own")), "2\nown\n");
    bench.hosts.remove_toolkit(&target, &Patient).unwrap();
    assert_eq!(bench.said(&target, "ls -A | grep -v '^\\.' | wc -l"), "0\n");
    let elsewhere = cowd::hosts::Target { toolkit: "/usr/cow".to_owned(), ..target };
    assert!(bench.hosts.push_toolkit(&elsewhere, &Patient).is_err());
}

#[test]
fn trees_are_pulled_and_pushed() {
    let Some(bench) = Bench::new("trees", 1) else { return };
    let target = bench.deploy(1);
    bench.said(
        &target,
        "mkdir -p 'src/a b/sub' src/log outside/deep && cd src && echo 1 >'a b/one' && ln 'a b/one' hard && \
         echo s >'a b/sub/skip' && echo k >keep && echo l >log/x && echo o >../outside/deep/o && echo n >../outside/no && \
         ln -s ../outside link && ln -s keep other && chmod 640 keep && truncate -s 1M sparse",
    );
    let local = bench.lab.folder().join("local dir");
    fs::create_dir(&local).unwrap();
    fs::write(local.join("gone"), "old").unwrap();
    symlink("nowhere", local.join("link")).unwrap();
    let pull = Pull {
        directory: "/home/deploy/src".to_owned(),
        excludes: ["log", "/home/deploy/src/a b/sub", "link/no"].map(str::to_owned).to_vec(),
        links_to_follow: vec!["link".to_owned()],
        ..Pull::default()
    };
    for bytes in [(1 << 20)..(1 << 20) + 100, 0..100] {
        let heard = Heard::default();
        bench.hosts.pull(&target, &local, &pull, &heard).unwrap();
        assert!(bytes.contains(&heard.0.load(Ordering::Relaxed)), "{heard:?}");
        let mut names: Vec<String> = walk(&local, "");
        names.sort();
        assert_eq!(names, ["a b/", "a b/one", "hard", "keep", "link/", "link/deep/", "link/deep/o", "other", "sparse"]);
    }
    assert_eq!(fs::read_link(local.join("other")).unwrap().to_str(), Some("keep"));
    let back = Push { directory: "/home/deploy/back".to_owned(), removes_others: true };
    bench.said(&target, "mkdir back; touch back/other-file");
    bench.hosts.push(&target, &local, &back, &Patient).unwrap();
    assert_eq!(
        bench.said(&target, "cd back; ls; cat 'a b/one' link/deep/o"),
        "a b\nhard\nkeep\nlink\nother\nsparse\n1\no\n"
    );
    let missing = Pull { directory: "/nowhere".to_owned(), ..Pull::default() };
    let error = bench.hosts.pull(&target, &local, &missing, &Patient).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    // As another user, where sudo lets.
    bench.lab.host(1).run("mkdir -m 700 /home/private; echo p >/home/private/p").unwrap();
    let private = Pull { directory: "/home/private".to_owned(), user: Some("root".to_owned()), ..Pull::default() };
    assert!(bench.hosts.pull(&target, &local, &private, &Patient).is_err());
    bench.lab.host(1).allow("deploy ALL=(root) NOPASSWD: /usr/bin/rsync\n");
    bench.hosts.pull(&target, &local, &private, &Patient).unwrap();
    assert_eq!(walk(&local, ""), ["p"]);
    assert_eq!(bench.run(&target, &Command::new("true")).exit_code, 0);
}

fn walk(folder: &std::path::Path, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            names.push(format!("{name}/"));
            names.extend(walk(&entry.path(), &format!("{name}/")));
        } else {
            names.push(name);
        }
    }
    names
}
