//! Workers: they run for what is in use and free, and what fails is told until it does not.

use super::*;
use crate::virtualization::Workers;

/// Lets workers run that are due, and returns what was called.
fn called(site: &Site, workers: &mut Workers, trouble: Trouble) -> Vec<String> {
    site.world.make(trouble);
    workers.tick(&site.virtualization).unwrap();
    while workers.run_now() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    site.world.log()
}

fn faults(site: &Site) -> Vec<String> {
    site.virtualization.faults().unwrap().faults.into_iter().map(|fault| fault.subject).collect()
}

#[test]
fn a_direct_source_has_neither_worker_nor_status() {
    let site = Site::new(PluginType::Direct);
    linked(&site);
    assert!(called(&site, &mut Workers::default(), Trouble::None).is_empty());
    let status = site.virtualization.source_status("sales").unwrap();
    assert_eq!((status.is_active, status.size), (None, Some(42)));
}

#[test]
fn workers_run_for_what_is_in_use_and_free_and_their_failures_are_told() {
    let site = Site::new(PluginType::Staged);
    let mut workers = Workers::default();
    assert!(called(&site, &mut workers, Trouble::None).is_empty());
    provisioned(&site);
    for _ in 0..2 {
        assert_eq!(called(&site, &mut workers, Trouble::None), ["linked.worker"]);
    }
    assert!(called(&site, &mut workers, Trouble::FailBefore(0)).is_empty());
    assert_eq!(faults(&site), ["worker of sales"]);
    called(&site, &mut workers, Trouble::None);
    assert!(faults(&site).is_empty());

    let row = site.virtualization.state.read(|view| view.named::<Source>("sales")).unwrap();
    let occupied = site.virtualization.occupy(&row).unwrap();
    assert!(called(&site, &mut workers, Trouble::None).is_empty());
    drop(occupied);

    called(&site, &mut workers, Trouble::FailAfter(0));
    assert_eq!(faults(&site), ["worker of sales"]);
    site.done(site.order("sales", SourceOrder::Disable));
    assert!(called(&site, &mut workers, Trouble::None).is_empty());
    assert!(faults(&site).is_empty(), "what is not in use has no worker that fails");
}
