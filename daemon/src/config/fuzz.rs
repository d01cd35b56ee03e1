//! The decoders of what people write, for fuzzers: the file, the command line, sizes, times, rules.

use cow_api::size::ByteSize;
use cow_api::time::Time;
use cow_api::v1::path;
use cow_storage::fuzz::Target;

use crate::config::value::Value;
use crate::config::{Arguments, Config};
use crate::shares::{Access, describe_rule, parse_rule};

pub(crate) const TARGETS: [Target; 5] = [
    Target::new("config-file", |bytes| {
        let mut config = Config::default();
        let read = config.apply_file("fuzzed.toml", text(bytes)?).and_then(|()| config.checked());
        accepted(bytes, read.map_err(|error| assert_one_line(&error.to_string())).is_ok())
    }),
    Target::new("command-line", |bytes| {
        let read = Arguments::parse(text(bytes)?.split(' ').map(str::to_owned));
        accepted(bytes, read.map_err(|error| assert_one_line(&error.to_string())).is_ok())
    }),
    Target::new("size", |bytes| {
        let size: ByteSize = text(bytes)?.parse().ok()?;
        assert!(format!("{size:#}").parse() == Ok(size), "a size that is written exactly is read as another");
        assert!(size.to_string().parse::<ByteSize>().is_ok() || size.0 >= u64::MAX - (1 << 56), "a size is not read");
        accepted(bytes, true)
    }),
    Target::new("time", |bytes| {
        let text = text(bytes)?;
        let time = text.parse::<Time>();
        if let Ok(time) = &time {
            assert!(time.to_string().parse().as_ref() == Ok(time), "a time is read as another than was written");
        }
        let duration = Value::Text(text.to_owned()).duration();
        accepted(bytes, time.is_ok() || duration.is_ok())
    }),
    Target::new("rule", |bytes| {
        let text = text(bytes)?;
        if let Some(decoded) = path::decode(text) {
            assert!(path::decode(&path::encode(&decoded)) == Some(decoded), "a name changed on its way");
        }
        let _ = Value::Text(text.to_owned()).address();
        match text.parse::<Access>() {
            Ok(access) => {
                assert!(access.to_string().parse() == Ok(access), "a share is read as another than was described")
            }
            Err(problem) => assert_one_line(&problem),
        }
        let rule = parse_rule(text).ok()?;
        assert!(parse_rule(&describe_rule(&rule)) == Ok(rule), "a rule is read as another than was described");
        accepted(bytes, true)
    }),
];

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn accepted(bytes: &[u8], is_accepted: bool) -> Option<Vec<u8>> {
    is_accepted.then(|| bytes.to_vec())
}

/// Whoever prints a message prints one line.
fn assert_one_line(message: &str) {
    assert!(!message.contains('\n'), "a message has several lines: {message:?}");
}
