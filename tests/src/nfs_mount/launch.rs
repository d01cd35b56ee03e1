//! `mount.nfs SERVER:/EXPORT PATH [-sfnv] [-o OPTIONS]`: mounts, and leaves a process that serves the mount.
//!
//! Invariant: the caller is told that it is mounted once it is, or why it is not.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use fuser::{Config, Session, SessionACL};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};

use crate::nfs_client::Client;
use crate::nfs_mount::front::Front;
use crate::nfs_mount::server::Server;

/// Tells the process that it is the one that serves.
const SERVES: &str = "COW_NFS_MOUNT_SERVES";
/// What it says once it is mounted.
const MOUNTED: &str = "mounted";
/// What mount(8) takes for "could not mount".
const FAILED: u8 = 32;
const PORT: u16 = 2049;
/// Requests that are answered at once.
const THREADS: usize = 8;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Order {
    source: String,
    export: String,
    server: SocketAddr,
    path: PathBuf,
    options: Vec<String>,
}

/// The program.
pub fn main() -> ExitCode {
    let order = match Order::parse(env::args().skip(1)) {
        Ok(order) => order,
        Err(error) => return fail(&*error),
    };
    let serves = env::var_os(SERVES).is_some();
    match if serves { order.serve() } else { order.start() } {
        Ok(()) => ExitCode::SUCCESS,
        // Of the one that serves it is read where others say that they are mounted.
        Err(error) if serves => {
            println!("{error}");
            ExitCode::from(FAILED)
        }
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn Error + Send + Sync)) -> ExitCode {
    eprintln!("mount.nfs: {error}");
    ExitCode::from(FAILED)
}

impl Order {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let (mut operands, mut options) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-o" => options.extend(words.next().ok_or("-o needs options")?.split(',').map(str::to_owned)),
                "-N" | "-t" => drop(words.next()),
                flags if flags.starts_with('-') => {}
                _ => operands.push(word),
            }
        }
        let [source, path] = &operands[..] else {
            return Err("usage: mount.nfs SERVER:/EXPORT PATH [-sfnv] [-o OPTIONS]".into());
        };
        let (host, export) = source.split_once(":/").ok_or_else(|| format!("{source} is no SERVER:/EXPORT"))?;
        let port = options.iter().find_map(|option| option.strip_prefix("port="));
        let port = port.map_or(Ok(PORT), str::parse)?;
        // As mount.nfs has it: `tcp` means IPv4.
        if host.starts_with('[') && !options.iter().any(|option| option == "proto=tcp6") {
            return Err(format!("Failed to resolve server {host}: Address family for hostname not supported").into());
        }
        let host = host.trim_matches(['[', ']']);
        let server = (host, port).to_socket_addrs()?.next().ok_or_else(|| format!("{host} has no address"))?;
        let path = fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Self { source: source.clone(), export: format!("/{export}"), server, path, options })
    }

    /// Leaves a process that serves, as soon as it is mounted.
    fn start(&self) -> Outcome<()> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("mount.nfs")
            .args(env::args_os().skip(1))
            .env(SERVES, "1")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut said = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        match said.trim_end() {
            MOUNTED => Ok(()),
            "" => Err("it ended without a word".into()),
            failure => Err(failure.into()),
        }
    }

    fn serve(&self) -> Outcome<()> {
        let _ = rustix::process::setsid();
        let mut client = Client::connect(self.server).map_err(|error| {
            format!("{}: {}", self.source, error.source().map_or(String::new(), |why| why.to_string()))
        })?;
        let root = client.mount(&self.export).map_err(|error| {
            format!("access denied by server while mounting {}, or there is no such export: {error}", self.source)
        })?;
        let server = Server::new(self.server, self.path.clone(), client);
        let device = self.mount()?;
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        config.clone_fd = true;
        let session = Session::from_fd(Front::new(server, root), device, SessionACL::All, config)?;
        println!("{MOUNTED}");
        io::stdout().flush()?;
        // Whoever waits for the end of what mount(8) says is not to wait for this.
        rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        let _ = session.run();
        Ok(())
    }

    /// Mounts, so that it looks as if the kernel did it.
    fn mount(&self) -> Outcome<OwnedFd> {
        let device = File::options().read(true).write(true).open("/dev/fuse")?;
        let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let descriptor = device.as_raw_fd().to_string();
        let values = [("subtype", "nfs"), ("source", &self.source), ("fd", &descriptor), ("rootmode", "40000")];
        for (key, value) in values.into_iter().chain([("user_id", "0"), ("group_id", "0")]) {
            fsconfig_set_string(&context, key, value)?;
        }
        fsconfig_set_flag(&context, "default_permissions")?;
        fsconfig_set_flag(&context, "allow_other")?;
        fsconfig_create(&context)?;
        let mut attributes = MountAttrFlags::empty();
        for (name, flag) in [
            ("ro", MountAttrFlags::MOUNT_ATTR_RDONLY),
            ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID),
            ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV),
            ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
            ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
        ] {
            attributes.set(flag, self.options.iter().any(|option| option == name));
        }
        let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        move_mount(root, "", CWD, &self.path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(device.into())
    }
}
