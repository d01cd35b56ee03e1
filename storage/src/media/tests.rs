//! Any media against a plain model: names and vectors of bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ErrorKind;
use crate::media::{ALIGNMENT, BufferPool, Choices, Media, MediaFile};

type Model = BTreeMap<String, (Arc<dyn MediaFile>, Vec<u8>)>;

/// Runs `steps` random operations on both, comparing what they show, and removes all files.
pub(crate) fn agrees_with_model(media: &dyn Media, seed: u64, steps: usize) {
    let mut choices = Choices::new(seed);
    let mut model = Model::new();
    for _ in 0..steps {
        let name = format!("file-{}", choices.below(3));
        match model.remove(&name) {
            None => {
                assert_eq!(media.open(&name).err().unwrap().kind(), ErrorKind::NotFound);
                let length = choices.below(20_000);
                model.insert(name.clone(), (media.create(&name, length).unwrap(), vec![0; length as usize]));
            }
            Some(entry) => {
                assert_eq!(media.create(&name, 1).err().unwrap().kind(), ErrorKind::Exists);
                step(media, &mut model, name, entry, &mut choices);
            }
        }
        compare(media, &model);
    }
    for name in model.into_keys() {
        media.unlink(&name).unwrap();
    }
    media.sync_directory().unwrap();
}

fn step(
    media: &dyn Media,
    model: &mut Model,
    name: String,
    (file, mut bytes): (Arc<dyn MediaFile>, Vec<u8>),
    choices: &mut Choices,
) {
    let round = if choices.below(2) == 0 { 1 } else { ALIGNMENT as u64 };
    let offset = (choices.below(20_000) / round * round) as usize;
    let len = (choices.below(9000) / round * round) as usize;
    match choices.below(10) {
        0..5 => {
            let mut data = BufferPool::new(1 << 16).take(len);
            data.fill(choices.below(256) as u8);
            file.write_at(&data, offset as u64).unwrap();
            if len > 0 {
                bytes.resize(bytes.len().max(offset + len), 0);
                bytes[offset..offset + len].copy_from_slice(&data);
            }
        }
        5 => {
            file.punch(offset as u64, len as u64).unwrap();
            let end = bytes.len().min(offset + len);
            bytes[offset.min(end)..end].fill(0);
        }
        6 => {
            file.truncate(offset as u64).unwrap();
            bytes.resize(offset, 0);
        }
        7 => {
            file.flush().unwrap();
            media.sync_directory().unwrap();
        }
        8 => {
            let to = format!("file-{}", choices.below(3));
            media.rename(&name, &to).unwrap();
            model.insert(to, (file, bytes));
            return;
        }
        _ => {
            media.unlink(&name).unwrap();
            assert_eq!(file.length().unwrap(), bytes.len() as u64, "an open handle stays good");
            return;
        }
    }
    model.insert(name, (file, bytes));
}

fn compare(media: &dyn Media, model: &Model) {
    let mut names = media.list().unwrap();
    names.sort();
    assert!(names.iter().eq(model.keys()));
    for (name, (_, bytes)) in model {
        let file = media.open(name).unwrap();
        assert_eq!(file.length().unwrap(), bytes.len() as u64);
        let mut found = vec![0xaa; bytes.len()];
        file.read_at(&mut found, 0).unwrap();
        assert!(found == *bytes, "{name} has other bytes");
        let half = bytes.len() / 2;
        file.read_at(&mut found[half..], half as u64).unwrap();
        assert!(found == *bytes, "{name} has other bytes in its second half");
        assert_eq!(file.read_at(&mut [0; 2], bytes.len().saturating_sub(1) as u64).unwrap_err().kind(), ErrorKind::Io);
    }
}

#[test]
fn names_are_flat() {
    for bad in ["", ".", "..", "a/b", "a\0", &"x".repeat(256)] {
        assert_eq!(crate::media::check_name(bad).unwrap_err().kind(), ErrorKind::Invalid);
    }
    crate::media::check_name("segment-1").unwrap();
}
