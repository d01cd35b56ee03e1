//! Data of several hosts: a tree that comes to a staging host by ssh, which the engine has no part in, and a VDB of which
//! each of two hosts mounts what its plugin says.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::hosts::PASSWORD;
use cow_tests::site::{Programs, Site};

const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};
/// Longest that what is written on one host may be unknown on another: as long as NFS clients keep attributes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tree on the host `source`.
fn make_tree(site: &Site) {
    site.as_deploy(
        "source",
        "mkdir -p ~/tree/part; echo one > ~/tree/file; seq 100000 > ~/tree/part/big; ln -s part/big ~/tree/link",
    );
}

#[test]
fn a_tree_comes_to_a_staging_host_by_ssh_and_is_handed_out() {
    let Some(site) = Site::new("staged", PROGRAMS, &["staging", "target", "source"], &["directory-staged"]) else {
        return;
    };
    make_tree(&site);
    // The engine need not know where the data is: the staging host goes there by itself.
    site.done("env remove source");
    let parameters = format!(
        r#"{{"mountPath": "/home/deploy/stage", "sourceAddress": "{}", "excludes": ["*.tmp"],
            "credentials": {{"type": "NamedPasswordCredential", "username": "deploy", "password": "{PASSWORD}"}}}}"#,
        site.host("source").address()
    );
    let parameters = site.file("parameters.json", &parameters);
    let config = site.file("config.json", r#"{"name": "tree", "path": "/home/deploy/tree"}"#);
    site.done(&format!(
        "source link tree --plugin cow-directory-staged --env staging --config-file {} --param-file {}",
        config.display(),
        parameters.display()
    ));
    assert!(site.mounts("staging").contains(":/dsource/tree/1 /home/deploy/stage "), "{}", site.mounts("staging"));
    site.done("vdb provision copy tree --env target --param path=/home/deploy/copy");
    let seen = "cd ~/copy; cat file; wc -l < link; ls";
    assert_eq!(site.as_deploy("target", seen), "one\n100000\nfile\nlink\npart\n");

    site.as_deploy(
        "source",
        "cd ~/tree; echo two > file; echo > part/new; echo > no.tmp; sed -i s/^50000$/five5/ part/big",
    );
    let before = site.json("space")["pool"]["live"].as_u64().unwrap();
    site.done("source sync tree");
    let more = site.json("space")["pool"]["live"].as_u64().unwrap().saturating_sub(before);
    assert!(more < 200 << 10, "a line of 600 KB was changed, and {more} bytes stored");
    assert_eq!(site.as_deploy("target", seen), "one\n100000\nfile\nlink\npart\n", "a copy stays as it is");
    site.done("vdb refresh copy");
    assert_eq!(
        site.as_deploy("target", "cd ~/copy; cat file; ls . part"),
        "two\n.:\nfile\nlink\npart\n\npart:\nbig\nnew\n"
    );

    // The source is gone: that is told, and the copy and its snapshots stay.
    site.as_deploy("source", "mv ~/tree ~/moved");
    let said = site.refused("source sync tree");
    assert!(said.contains("Cannot copy 198.51.100.103:/home/deploy/tree") && !said.contains(PASSWORD), "{said}");
    assert_eq!(site.snapshots("tree").len(), 2);
    site.as_deploy("source", "mv ~/moved ~/tree");
    site.done("source disable tree");
    assert_eq!(site.mounts("staging"), "");
    site.done("source enable tree");
    site.done("source sync tree");
    assert_eq!(site.as_deploy("staging", "cat ~/stage/file"), "two\n");

    site.done("vdb delete copy");
    site.done("source unlink tree");
    let left = [site.mounts("staging"), site.mounts("target"), site.done("fault"), site.datasets().join(" ")];
    assert_eq!(left, ["", "", "", "dsource vdb"]);
}

#[test]
fn a_vdb_is_mounted_on_each_host_as_its_plugin_says() {
    let Some(site) = Site::new("spread", PROGRAMS, &["source", "target", "other"], &[]) else { return };
    make_tree(&site);
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plugins/spread");
    site.done(&format!("plugin install {}", plugin.display()));
    for environment in ["source", "target"] {
        site.done(&format!("env refresh {environment}"));
    }
    site.done("source link tree --plugin spread --env source --config tree");
    let shown = site.done("env show other");
    let reference = shown.lines().find_map(|line| line.strip_prefix("reference")).unwrap_or(&shown).trim();
    let provision = |name: &str, more: &str| {
        let paths = format!("--param path=/home/deploy/{name} --param otherPath=/home/deploy/{name}-part");
        format!("vdb provision {name} tree --env target {paths} --param otherEnvironment={reference} {more}")
    };

    // A part that is no directory, or leads out of the dataset: nothing is left on either host.
    for part in ["../part", "file", "file/part", "link"] {
        site.refused(&provision("copy", &format!("--param part={part}")));
        assert_eq!((site.mounts("target"), site.mounts("other")), (String::new(), String::new()), "{part}");
    }
    site.done(&provision("copy", "--param part=part --param uid=1500 --param gid=7"));
    assert!(site.mounts("target").contains(":/vdb/copy/1 /home/deploy/copy "), "{}", site.mounts("target"));
    assert!(site.mounts("other").contains(":/vdb/copy/1/part /home/deploy/copy-part "), "{}", site.mounts("other"));
    assert_eq!(site.bash("target", "stat -c %u:%g /home/deploy/copy"), "1500:7\n");
    assert_eq!(site.bash("other", "stat -c %u:%g /home/deploy/copy-part; ls /home/deploy/copy-part"), "1500:7\nbig\n");
    site.as_deploy("other", "echo from the other > ~/copy-part/note");
    wait_for(&site, "target", "cat ~/copy/part/note", "from the other\n");
    site.as_deploy("target", "echo answered >> ~/copy/part/note");
    wait_for(&site, "other", "cat ~/copy-part/note", "from the other\nanswered\n");
    let mount = "mkdir -p /mnt/x && mount -t nfs -o vers=3,port=2049,mountport=2049 198.51.100.1:/vdb/copy/1 /mnt/x";
    assert!(site.host("source").run(mount).is_err(), "it is shared with the hosts of its mounts alone");

    // A part that is not there is made, and the environment's user is the owner where the plugin names nobody.
    site.done(&provision("mine", "--param part=new/part"));
    assert_eq!(site.bash("other", "stat -c %u:%g /home/deploy/mine-part; ls -A /home/deploy/mine-part"), "1500:1500\n");
    assert_eq!(site.bash("target", "cd /home/deploy/mine; ls; ls new"), "file\nlink\nnew\npart\npart\n");

    site.as_deploy("source", "echo new > ~/tree/part/new");
    site.done("source sync tree");
    site.done("vdb refresh copy");
    assert_eq!(site.bash("other", "ls /home/deploy/copy-part"), "big\nnew\n");
    assert!(site.mounts("other").contains(":/vdb/copy/2/part ") && !site.mounts("other").contains(":/vdb/copy/1"));
    site.done("vdb disable copy");
    assert!(!(site.mounts("target") + &site.mounts("other")).contains(":/vdb/copy"));
    site.done("vdb enable copy");
    assert_eq!(site.bash("other", "cat /home/deploy/copy-part/new"), "new\n");
    assert!(site.refused("env remove other").contains("copy"), "a host that mounts a VDB is in use");

    for name in ["copy", "mine"] {
        site.done(&format!("vdb delete {name}"));
    }
    let left = [site.mounts("target"), site.mounts("other"), site.done("fault")];
    assert_eq!(left, ["", "", ""]);
}

/// Waits until a command on a host, as its user, prints this.
fn wait_for(site: &Site, environment: &str, text: &str, wanted: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = site.as_deploy(environment, text);
        if said == wanted {
            return;
        }
        assert!(Instant::now() < until, "{text} on {environment} prints {said}");
        thread::sleep(Duration::from_millis(100));
    }
}
