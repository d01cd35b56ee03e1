//! A network of the test's own, since the other server wants rpcbind at its well-known port.

use std::env;
use std::process::Command;

/// Set within the namespace.
const INSIDE: &str = "COW_TEST_INSIDE";

/// Programs that must be there, and Debian's packages of them.
const NEEDED: [(&str, &str); 4] = [
    ("/usr/bin/ganesha.nfsd", "nfs-ganesha"),
    ("/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so", "nfs-ganesha-vfs"),
    ("/usr/sbin/rpcbind", "rpcbind"),
    ("/usr/bin/unshare", "util-linux"),
];

/// Whether this is the test within namespaces of its own. Otherwise it is run there, to its end.
pub fn is_inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    if !cow_tests::scratch::is_root() {
        println!("skipped: only root can make a network namespace");
        return false;
    }
    if let Some((_, package)) = NEEDED.iter().find(|(program, _)| !std::path::Path::new(program).exists()) {
        println!("skipped: Debian's package {package} is not installed");
        return false;
    }
    let program = env::current_exe().expect("a test has a program");
    let script = "ip link set lo up && mount -t tmpfs tmpfs /run && exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .envs([(INSIDE, "1"), ("TMPDIR", "/run")])
        .status();
    assert!(status.expect("unshare runs").success(), "the test failed in its namespace");
    false
}
