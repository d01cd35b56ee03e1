//! Bookmarks and hooks: what they name and keep, also when cowd is killed in between.

use cow_api::v1::{NewBookmark, NewHook};

use super::*;
use crate::virtualization::records::Bookmark;

impl Site {
    fn mark(&self, name: &str, snapshot: &str) -> Answer<v1::Bookmark> {
        let new = NewBookmark { name: name.to_owned(), snapshot: snapshot.to_owned() };
        self.virtualization.add_bookmark(&new)
    }

    fn sync(&self) {
        self.done(self.order("sales", SourceOrder::Sync { snapshot_parameters: None }));
    }

    /// The tags in the pool are those of the bookmarks.
    fn check_tags(&self, said: &str) {
        let rows = self.virtualization.state.read(|view| view.all::<Bookmark>()).unwrap();
        let wanted: Vec<_> = rows.iter().map(|row| (row.record.snapshot.clone(), row.record.tag())).collect();
        assert_eq!(self.world.seen().holds.into_iter().collect::<Vec<_>>(), wanted, "{said}");
    }
}

#[test]
fn a_bookmark_stands_where_a_snapshot_can_and_keeps_it() {
    let site = Site::new(PluginType::Staged);
    linked(&site);
    let first = site.mark("first", "sales").unwrap();
    site.sync();
    site.done(site.provision(Some("first")));
    let origin = || site.virtualization.source("test").unwrap().from.unwrap();
    assert_eq!(origin(), first.snapshot);
    site.done(site.order("test", SourceOrder::Refresh { to: None }));
    assert_ne!(origin(), first.snapshot);
    for text in ["first", "sales@first", "dsource/sales/1@first"] {
        let refreshed = site.order("test", SourceOrder::Refresh { to: Some(text.to_owned()) });
        if text.starts_with("dsource") {
            assert_eq!(refreshed.unwrap_err().code, Code::NotFound, "a full name is the pool's");
        } else {
            site.done(refreshed);
            assert_eq!(origin(), first.snapshot, "{text}");
        }
    }
    let own = site.mark("own", "test").unwrap();
    site.done(site.order("test", SourceOrder::Rewind { to: Some("own".to_owned()) }));
    assert_eq!(origin(), own.snapshot);
    let shown = site.virtualization.timeline("sales").unwrap();
    assert_eq!(shown.timeflows[0].snapshots[0].bookmarks, ["first"]);
    for (outcome, code) in [
        (site.mark("first", "sales"), Code::Exists),
        (site.mark("sales", "sales"), Code::Exists),
        (site.mark("a/b", "sales"), Code::InvalidName),
        (site.mark("other", "sales@then"), Code::NotFound),
    ] {
        assert_eq!(outcome.unwrap_err().code, code);
    }
    site.check_tags("after what was refused");
    let link = site.virtualization.link(&LinkSource {
        name: "first".to_owned(),
        plugin: "model".to_owned(),
        environment: "h1".to_owned(),
        parameters: json!({"paths": []}),
        config_parameters: Some(json!({})),
        ..LinkSource::default()
    });
    assert_eq!(link.unwrap_err().code, Code::Exists);
    let delete = |name| site.order(name, SourceOrder::Delete { force: true });
    assert_eq!((delete("test").unwrap_err().code, delete("sales").unwrap_err().code), (Code::Held, Code::Held));
    site.virtualization.remove_bookmark("own").unwrap();
    site.done(delete("test"));
    site.world.hold(&first.snapshot, "mine").unwrap();
    site.virtualization.remove_bookmark("first").unwrap();
    assert!(delete("sales").unwrap_err().hint.unwrap().contains("cowctl release"));
    site.world.release(&first.snapshot, "mine").unwrap();
    site.done(delete("sales"));
}

#[test]
fn whatever_happens_to_a_bookmark_its_tag_is_that_of_the_state() {
    for is_removed in [false, true] {
        for trouble in [Trouble::FailBefore(0), Trouble::FailAfter(0), Trouble::Kill(0), Trouble::Kill(1)] {
            let mut site = Site::new(PluginType::Staged);
            linked(&site);
            if is_removed {
                site.mark("b", "sales").unwrap();
            }
            site.world.make(trouble);
            let outcome = if is_removed { site.virtualization.remove_bookmark("b") } else { site.mark("b", "sales") };
            site.world.make(Trouble::None);
            site.restart();
            site.check_tags(&format!("{is_removed} {trouble:?} {outcome:?}"));
            assert_eq!(site.virtualization.faults().unwrap().faults, []);
        }
    }
}

#[test]
fn hooks_run_where_they_are_told_to_and_keep_their_host() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let hook = |source: &str, name: &str, at, script: &str, environment: Option<&str>| {
        let environment = environment.map(str::to_owned);
        let new = NewHook { name: name.to_owned(), at, script: script.to_owned(), environment, user: None };
        site.virtualization.add_hook(source, &new)
    };
    assert_eq!(hook("sales", "quiet", HookPoint::PreSync, "echo 1", Some("h3")).unwrap().environment, "h3");
    hook("sales", "noisy", HookPoint::PreSync, "echo 2", None).unwrap();
    for (outcome, code) in [
        (hook("sales", "quiet", HookPoint::PostSync, "echo", None), Code::Exists),
        (hook("sales", "x", HookPoint::PreStop, "echo", None), Code::InvalidRequest),
        (hook("test", "x", HookPoint::PreSync, "echo", None), Code::InvalidRequest),
        (hook("sales", "x", HookPoint::PreSync, " \n", None), Code::InvalidRequest),
        (hook("nobody", "x", HookPoint::PreSync, "echo", None), Code::NotFound),
        (site.virtualization.hook("sales", "x"), Code::NotFound),
    ] {
        assert_eq!(outcome.unwrap_err().code, code);
    }
    site.world.make(Trouble::None);
    site.sync();
    let ran: Vec<String> = site.world.log().into_iter().filter(|line| line.starts_with("hook")).collect();
    assert_eq!(ran, ["hook echo 1", "hook echo 2"]);
    assert_eq!(site.virtualization.hook("sales", "quiet").unwrap().script.as_deref(), Some("echo 1"));
    let listed = site.virtualization.hooks("sales").unwrap().hooks;
    assert!(listed.len() == 2 && listed.iter().all(|hook| hook.script.is_none()));
    let used_by = |environment| Tenants::used_by(&Tenant(site.virtualization.clone()), environment).unwrap();
    assert_eq!(used_by(3), ["dSource 'sales'"]);
    site.virtualization.remove_hook("sales", "quiet").unwrap();
    site.done(site.order("test", SourceOrder::Delete { force: false }));
    site.world.make(Trouble::None);
    site.done(site.provision_with_hooks());
    assert!(site.world.log().contains(&"hook configure-clone".to_owned()), "{:?}", site.world.log());
    assert_eq!(site.virtualization.hooks("test").unwrap().hooks.len(), 1);
    assert_eq!(used_by(3), Vec::<String>::new());
}
