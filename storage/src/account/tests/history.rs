//! Random histories against the plain map, with crashes.

use crate::account::tests::world::History;

#[test]
fn histories_agree_with_the_model() {
    let mut given_back = 0;
    for seed in 0..30 {
        let mut history = History::new(seed);
        (0..300).for_each(|_| history.step());
        given_back += history.given_back;
    }
    assert!(given_back > 300_000, "{given_back} bytes were given back");
}

/// Segments that were written at once and die in part, with steps of all kinds close together.
#[test]
fn what_is_given_back_is_in_neither_durable_state() {
    let mut given_back = 0;
    for seed in 0..40 {
        let mut history = History::new(seed);
        (0..150).for_each(|_| history.append(history.birth + 1));
        history.commit();
        for _ in 0..120 {
            match history.pick(20) {
                0..8 => history.change(),
                8..10 => history.append(history.birth + 1),
                10..14 => {
                    history.account.hurry();
                    history.folded = history.birth + 1;
                    history.commit();
                    history.check();
                }
                14 => history.clean(),
                15..18 => history.punch(),
                18 => history.read_later(),
                _ => history.crash(),
            }
        }
        given_back += history.given_back;
    }
    assert!(given_back > 5 << 20, "{given_back} bytes were given back");
}
