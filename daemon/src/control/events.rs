//! Events as they happen: server-sent events.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::control::http::{Body, Response};
use crate::events::Heard;
use crate::service::Service;

/// How often a quiet stream says that it is alive, which also finds out whether the listener still is.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams the events after number `heard`, or from now on.
pub fn stream(service: &Arc<Service>, heard: Option<u64>) -> Response {
    let service = service.clone();
    let mut heard = heard.unwrap_or_else(|| service.events().newest());
    let stream = move |output: &mut dyn Write| -> io::Result<()> {
        output.write_all(b": events follow\n\n")?;
        loop {
            match service.events().next(&mut heard, HEARTBEAT) {
                Heard::Closed => return Ok(()),
                other => output.write_all(&message(&other))?,
            }
        }
    };
    Response { body: Body::Stream(Box::new(stream)), ..Response::new(200, "text/event-stream", "") }
}

fn message(heard: &Heard) -> Vec<u8> {
    match heard {
        Heard::Event(event) => {
            let data = serde_json::to_string(&**event).unwrap_or_default();
            format!("id: {}\nevent: {}\ndata: {data}\n\n", event.number, event.happening.kind()).into_bytes()
        }
        Heard::Missed(count) => format!("event: missed\ndata: {{\"count\":{count}}}\n\n").into_bytes(),
        Heard::Nothing | Heard::Closed => b":\n\n".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use cow_api::time::Time;
    use cow_api::v1::{Change, Event, Happening};

    use super::*;

    #[test]
    fn messages_are_as_browsers_read_them() {
        let happening = Happening::Dataset { name: "a\nb".to_owned(), change: Change::Created };
        let event = Event { number: 7, at: Time::default(), happening };
        let text = String::from_utf8(message(&Heard::Event(Arc::new(event.clone())))).unwrap();
        let data =
            text.strip_prefix("id: 7\nevent: dataset\ndata: ").and_then(|data| data.strip_suffix("\n\n")).unwrap();
        assert!(!data.contains('\n'), "{data}");
        assert_eq!(serde_json::from_str::<Event>(data).unwrap(), event);
        assert_eq!(message(&Heard::Missed(3)), b"event: missed\ndata: {\"count\":3}\n\n");
    }
}
