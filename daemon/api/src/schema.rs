//! Schemas of the types whose JSON is text of a form of its own.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::time::Time;
use crate::v1::Compression;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "A moment in UTC (RFC 3339).",
            "examples": ["2026-03-01T09:30:00Z"],
        })
    }
}

impl JsonSchema for Compression {
    fn schema_name() -> Cow<'static, str> {
        "Compression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(off|zstd:-?[0-9]+)$",
            "description": "How blocks are compressed: off, or zstd and a level from -7 to 19.",
            "examples": ["zstd:1"],
        })
    }
}
