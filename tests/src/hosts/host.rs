//! One host of a lab.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::hosts::{Tied, run};

/// Longest that a host may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the administrator's guide has for sudo.
const GUIDE: &str = include_str!("../../../docs/environments.md");
/// The hash of the password, as `crypt` makes it.
const PASSWORD_HASH: &str =
    "$6$cowtests$T72LneypZCDrbtkubtqQSI6swFt3nNO1uHSEWbhINSnPQPXcwrGYwafoz.28TZrtaLmzJI.mkyazpy37NlA7b/";
/// Dresses the host and serves ssh until its input ends. It is the host's first process: bash, which takes leave of all orphans.
const SCRIPT: &str = r#"
folder=$1 name=$2 address=$3 address6=$4
hostname "$name"; mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs -o mode=755 run /run || exit 1
ip link set lo up
mkdir -p /run/sshd
for file in hostkey authorized; do cp "$folder/$file" "/run/$file" && chmod 600 "/run/$file"; done
chmod 644 /run/authorized
for file in passwd shadow group hosts sudoers; do mount --bind "$folder/etc/$file" "/etc/$file" || exit 1; done
mount --bind "$folder/root" /root && mount --bind "$folder/home" /home || exit 1
mount --bind "$folder/tmp" /tmp || exit 1
ip addr add "$address/24" dev eth0 && ip link set eth0 up || exit 1
ip -6 addr add "$address6/64" dev eth0 nodad
echo up
serve() {
    /usr/sbin/sshd -D -e -f /dev/null -h /run/hostkey -o PidFile=none -o UsePAM=no -o StrictModes=no \
        -o AuthorizedKeysFile=/run/authorized -o PermitRootLogin=yes -o PasswordAuthentication=yes -o UseDNS=no \
        -o ListenAddress="$address" -o ListenAddress="$address6" -o MaxStartups=100 </dev/null &
}
serve
while read -r order; do
    [ "$order" = restart ] && { kill $!; wait $!; serve; }
done
"#;

/// A host, with its users root and `deploy` (uid 1500).
pub struct Host {
    process: Tied,
    /// Its first process, as this machine numbers it.
    first: u32,
    number: usize,
    folder: PathBuf,
}

impl Host {
    /// Starts a host on the network of the process `network`.
    pub(in crate::hosts) fn start(number: usize, lab: &Path, network: u32) -> Self {
        let (name, folder) = (format!("h{number}"), lab.join(format!("h{number}")));
        dress(&folder, lab, &name);
        let address = format!("198.51.100.{}", 100 + number);
        let log = fs::File::create(folder.join("log")).expect("the log can be made");
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "bash", "-c"]);
        // It waits for its network card: that is put into the network of a process that must be there.
        let script = format!("until ip link show eth0 >/dev/null 2>&1; do sleep 0.01; done\n{SCRIPT}");
        let address6 = address6(number);
        command
            .args([&script, "bash"])
            .arg(&folder)
            .args([&name, &address, &address6])
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Tied::start(&mut command);
        let first = first_process(process.child.id());
        let (own, card) = (first.to_string(), format!("vh{number}"));
        let lines = [
            format!("ip link add {card} type veth peer name eth0 netns {own}"),
            format!("ip link set {card} master br0 up"),
        ];
        for line in &lines {
            let network = network.to_string();
            run(Command::new("nsenter").args(["-t", &network, "-n", "--"]).args(line.split(' ')));
        }
        let is_up = says_up(&mut process.child);
        assert!(is_up, "{name} does not come up: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
        let host = Self { process, first, number, folder };
        host.wait_for_sshd();
        host
    }

    fn wait_for_sshd(&self) {
        let until = Instant::now() + PATIENCE;
        let address = format!("{}:22", self.address());
        while self.run(&format!("exec 3<>/dev/tcp/{}", address.replace(':', "/"))).is_err() {
            assert!(Instant::now() < until, "{} has no sshd: {}", self.name(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it calls itself.
    pub fn name(&self) -> String {
        format!("h{}", self.number)
    }

    /// Its address in the lab.
    pub fn address(&self) -> String {
        format!("198.51.100.{}", 100 + self.number)
    }

    /// Its IPv6 address in the lab, where this machine has IPv6.
    pub fn address6(&self) -> String {
        address6(self.number)
    }

    /// Where this machine has what is the host's own: `tmp`, `root`, `home`, `etc`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What its sshd said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A program on this host, as root, without ssh.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.first.to_string(), "-n", "-m", "-u", "-p", "--", program]);
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command
    }

    /// Lets bash do something on this host, as root, without ssh. What it printed, if it succeeded.
    pub fn run(&self, text: &str) -> Result<String, String> {
        let output = self.command("bash").args(["-c", text]).stdin(Stdio::null()).output().expect("bash starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Puts a copy of a file in the place of one of the host's, as `/sbin/mount.nfs`, for the host alone.
    pub fn replace(&self, file: &str, by: &Path) {
        // The host has a `/tmp` of its own.
        let name = file.replace('/', "_");
        fs::copy(by, self.folder.join("tmp").join(&name)).expect("it can be copied");
        self.run(&format!("mount --bind '/tmp/{name}' '{file}'")).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// Gives its sshd another key, as setting it up anew does.
    pub fn change_key(&self) {
        let fresh = self.folder.join("fresh");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&fresh));
        let key = fs::read(&fresh).expect("the key was made");
        let line = format!("cat >/run/hostkey <<'END'\n{}END\n", String::from_utf8(key).expect("the key is text"));
        self.run(&line).unwrap_or_else(|error| panic!("{error}"));
        self.process.child.stdin.as_ref().expect("it is piped").write_all(b"restart\n").expect("the host hears");
        std::thread::sleep(Duration::from_millis(300));
        self.wait_for_sshd();
    }

    /// Writes what sudo allows, in the place of what the guide has.
    pub fn allow(&self, sudoers: &str) {
        fs::write(self.folder.join("etc/sudoers"), sudoers).expect("it can be written");
    }
}

fn address6(number: usize) -> String {
    format!("fd00:c0::{}", 100 + number)
}

/// Whether a process says that it is up.
pub fn says_up(child: &mut Child) -> bool {
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
    lines.read_line(&mut line).is_ok_and(|_| line.trim() == "up")
}

/// The one process that `unshare` forked.
fn first_process(unshare: u32) -> u32 {
    let until = Instant::now() + PATIENCE;
    loop {
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
        if let Some(first) = children.split_whitespace().next().and_then(|id| id.parse().ok()) {
            return first;
        }
        assert!(Instant::now() < until, "unshare does not fork");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes what is the host's own.
fn dress(folder: &Path, lab: &Path, name: &str) {
    for (directory, mode) in [("tmp", 0o1777), ("root", 0o700), ("home", 0o755), ("home/deploy", 0o755), ("etc", 0o755)]
    {
        fs::create_dir_all(folder.join(directory)).expect("a folder can be made");
        set_mode(&folder.join(directory), mode);
    }
    chown(folder.join("home/deploy"), Some(1500), Some(1500)).expect("it can be given away");
    fs::copy(lab.join("key.pub"), folder.join("authorized")).expect("the key is there");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join("hostkey")));
    let kept = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let others = text.lines().filter(|line| !line.starts_with("deploy:") && !line.starts_with("root:"));
        others.map(|line| format!("{line}\n")).collect::<String>()
    };
    let users = "root:x:0:0:root:/root:/bin/bash\ndeploy:x:1500:1500::/home/deploy:/bin/bash\n";
    let passwords = format!("root:{PASSWORD_HASH}:19000::::::\ndeploy:{PASSWORD_HASH}:19000::::::\n");
    let known: String = (1..=9).map(|number| format!("198.51.100.{} h{number}\n", 100 + number)).collect();
    for (file, mode, text) in [
        ("passwd", 0o644, format!("{users}{}", kept("/etc/passwd"))),
        ("shadow", 0o600, format!("{passwords}{}", kept("/etc/shadow"))),
        ("group", 0o644, format!("root:x:0:\ndeploy:x:1500:\n{}", kept("/etc/group"))),
        ("hosts", 0o644, format!("127.0.0.1 localhost {name}\n198.51.100.1 cowhost\n{known}")),
        ("sudoers", 0o440, sudoers()),
    ] {
        fs::write(folder.join("etc").join(file), text).expect("a file can be written");
        set_mode(&folder.join("etc").join(file), mode);
    }
}

/// What the guide says that sudo must allow.
fn sudoers() -> String {
    let rules = GUIDE.split("```sudoers\n").nth(1).and_then(|rest| rest.split("```").next());
    rules.expect("docs/environments.md has rules for sudo").to_owned()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
}
