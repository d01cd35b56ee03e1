//! The two servers.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::Client;
use cow_tests::scratch::Scratch;

use crate::side::Side;

const NFS_PORT: u16 = 12_049;
const MOUNT_PORT: u16 = 12_050;
const PATIENCE: Duration = Duration::from_secs(20);

/// Both, running. They end with the namespace, at the latest.
pub struct Servers {
    ours: Daemon,
    theirs: Vec<Child>,
    path: String,
}

impl Servers {
    /// Starts both; `None` if the other one cannot be had here.
    pub fn start(scratch: &Scratch) -> Option<Self> {
        let folder = scratch.path();
        let ours = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), folder).start();
        ours.done("POST", "/v1/datasets", r#"{"name":"same"}"#);
        let export = folder.join("export");
        if !mount_ext4(folder, &export) {
            println!("skipped: no file system can be mounted on a file here");
            return None;
        }
        let theirs = vec![spawn(Command::new("rpcbind").args(["-f", "-w"])), start_ganesha(folder, &export)];
        wait_for(([127, 0, 0, 1], NFS_PORT).into(), folder);
        Some(Self { ours, theirs, path: export.display().to_string() })
    }

    /// Ours, then the other.
    pub fn sides(&self) -> [Side; 2] {
        let root = Client::connect(self.ours.nfs()).unwrap().mount("/same").unwrap();
        let ours = Side::new(Client::connect(self.ours.nfs()).unwrap(), root);
        let at = |port| Client::connect(([127, 0, 0, 1], port).into()).unwrap();
        let root = at(MOUNT_PORT).mount(&self.path).expect("the reference's export can be mounted");
        [ours, Side::new(at(NFS_PORT), root)]
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.theirs {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("umount").args(["-l", &self.path]).status();
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// An empty file system without `lost+found`, as ours is.
fn mount_ext4(folder: &Path, at: &Path) -> bool {
    let image = folder.join("image");
    fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).expect("an image can be made");
    fs::create_dir_all(at).expect("a mount point can be made");
    let ran = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    ran(Command::new("/sbin/mkfs.ext4").args(["-q", "-F"]).arg(&image))
        && ran(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at))
        && fs::remove_dir(at.join("lost+found")).is_ok()
}

fn start_ganesha(folder: &Path, export: &Path) -> Child {
    let (config, log, export) = (folder.join("ganesha.conf"), folder.join("ganesha.log"), export.display());
    let core = format!(
        "NFS_CORE_PARAM {{ NFS_Protocols = 3; NFS_Port = {NFS_PORT}; MNT_Port = {MOUNT_PORT}; Enable_NLM = false; \
         Enable_RQUOTA = false; }}\n"
    );
    let share = format!(
        "EXPORT {{ Export_Id = 7; Path = {export}; Pseudo = /same; Protocols = 3; Transports = TCP; Access_Type = RW; \
         Squash = No_Root_Squash; SecType = sys; Attr_Expiration_Time = 0; FSAL {{ Name = VFS; }} }}\n"
    );
    fs::write(&config, core + &share).expect("a configuration can be written");
    fs::create_dir_all("/run/ganesha").and_then(|()| fs::create_dir_all("/var/lib/nfs/ganesha")).expect("folders");
    let mut command = Command::new("ganesha.nfsd");
    command.arg("-F").arg("-f").arg(config).arg("-L").arg(log).arg("-p").arg(folder.join("ganesha.pid"));
    spawn(command.args(["-N", "NIV_WARN"]))
}

fn wait_for(address: SocketAddr, folder: &Path) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        let log = || fs::read_to_string(folder.join("ganesha.log")).unwrap_or_default();
        assert!(Instant::now() < until, "the reference does not serve:\n{}", log());
        thread::sleep(Duration::from_millis(50));
    }
}
