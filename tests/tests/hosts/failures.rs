//! What hosts and networks do wrong.

use std::thread;
use std::time::{Duration, Instant};

use cow_api::v1::{Code, Problem};
use cowd::hosts::{Command, Credential, Patient, Why};
use cowd::secrets::Secret;

use crate::{Bench, Deadline};

#[test]
fn who_is_not_let_in_is_told_why() {
    let Some(bench) = Bench::new("refused", 1) else { return };
    let by_password = bench.by_password(1, "deploy");
    assert_eq!(bench.said(&by_password, "id -un"), "deploy\n");
    assert_eq!(bench.said(&bench.by_password(1, "root"), "id -un"), "root\n");
    let run = |target| bench.hosts.run(target, &Command::new("true"), &Patient).unwrap_err();
    let wrong = bench.target(1, "deploy", Credential::Password(Secret::new("wrong 'one")));
    let error = run(&wrong);
    assert!(matches!(error.why, Why::Refused { .. }) && !error.is_retry_safe(), "{error}");
    let garbage = bench.target(1, "deploy", Credential::PrivateKey(Secret::new("garbage")));
    assert!(matches!(run(&garbage).why, Why::Refused { .. }), "{}", run(&garbage));
    let unpinned = cowd::hosts::Target { host_key: None, ..by_password.clone() };
    assert!(matches!(run(&unpinned).why, Why::UnknownKey));
    let nobody = cowd::hosts::Target { user: "-oProxyCommand=x".to_owned(), ..by_password.clone() };
    assert!(matches!(run(&nobody).why, Why::Invalid(_)));

    // Another key is another host, until somebody says otherwise; what is connected stays.
    bench.lab.host(1).change_key();
    bench.hosts.forget(1);
    let problem = Problem::from(run(&by_password));
    let old = bench.hosts.fingerprint(by_password.host_key.as_deref().unwrap()).unwrap();
    let new = bench.hosts.scan_key(&by_password.address, 22, &Patient).unwrap();
    let shown = bench.hosts.fingerprint(&new).unwrap();
    assert!(problem.code == Code::HostFailed && old != shown, "{problem:?}");
    assert!(problem.detail.contains(&old) && problem.detail.contains(&shown), "{problem:?}");
    assert!(problem.hint.as_deref().is_some_and(|hint| hint.contains("cowctl env accept-key h1")), "{problem:?}");
    let again = cowd::hosts::Target { host_key: Some(new), ..by_password };
    assert_eq!(bench.said(&again, "echo in"), "in\n");
}

#[test]
fn a_host_that_is_gone_is_noticed_and_holds_up_no_other() {
    let Some(bench) = Bench::new("gone", 2) else { return };
    let (one, two) = (bench.deploy(1), bench.deploy(2));
    [&one, &two].into_iter().for_each(|target| assert_eq!(bench.said(target, "echo x"), "x\n"));
    let began = Instant::now();
    thread::scope(|scope| {
        let cut = scope.spawn(|| bench.hosts.run(&one, &Command::new("echo $$ >pid; sleep 600"), &Patient));
        thread::sleep(Duration::from_secs(1));
        bench.lab.cut(1);
        while !cut.is_finished() {
            let asked = Instant::now();
            assert_eq!(bench.said(&two, "echo x"), "x\n");
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
            assert!(began.elapsed() < Duration::from_secs(30), "a dead host is not noticed");
            thread::sleep(Duration::from_millis(200));
        }
        let error = cut.join().unwrap().unwrap_err();
        assert!(matches!(error.why, Why::Lost(_)) && !error.is_retry_safe(), "{error}");
    });
    assert!(began.elapsed() < Duration::from_secs(22), "{:?}", began.elapsed());
    // While it is away a caller may give up at once.
    let began = Instant::now();
    let error = bench.hosts.run(&one, &Command::new("true"), &Deadline(began + Duration::from_secs(1))).unwrap_err();
    assert!(error.is_cancelled() && began.elapsed() < Duration::from_secs(2), "{error} {:?}", began.elapsed());
    let error = bench.hosts.run(&one, &Command::new("true"), &Patient).unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    bench.lab.heal(1);
    assert_eq!(bench.said(&one, "echo back"), "back\n");
}

#[test]
fn a_lost_connection_is_made_again_and_what_had_not_begun_is_tried_again() {
    let Some(bench) = Bench::new("again", 1) else { return };
    let target = bench.deploy(1);
    bench.said(&target, "true");
    for _ in 0..3 {
        bench.lab.host(1).run("pkill -9 -u deploy sshd; :").unwrap();
        assert_eq!(bench.said(&target, "echo x"), "x\n");
    }
    let closed = cowd::hosts::Target { port: 23, ..target };
    let began = Instant::now();
    let error = bench.hosts.run(&closed, &Command::new("true"), &Patient).unwrap_err();
    assert!(error.is_retry_safe() && error.to_string().contains("refused"), "{error}");
    assert!(began.elapsed() > Duration::from_secs(2), "it was not tried again");
    bench.hosts.close();
    assert!(bench.hosts.run(&closed, &Command::new("true"), &Patient).is_err());
}
