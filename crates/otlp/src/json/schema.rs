//! The OTLP messages of traces and logs: names, numbers and kinds of their fields.

/// A protobuf message.
#[derive(Debug)]
pub(crate) struct Message {
    pub fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// lowerCamelCase name.
    pub name: &'static str,
    pub number: u32,
    pub kind: Kind,
    pub repeated: bool,
    /// Whether a default value is more than a field left out: so in a choice between fields.
    pub is_choice: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Bool,
    /// An enumeration, or a reference into a string table: a varint that JSON writes as a number.
    Enum,
    Uint32,
    Fixed32,
    Int64,
    Fixed64,
    Double,
    /// Bytes in base64.
    Bytes,
    /// Trace and span ids: bytes in hexadecimal.
    Id,
    Message(&'static Message),
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false, is_choice: false }
}

const fn choice(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false, is_choice: true }
}

const fn many(name: &'static str, number: u32, message: &'static Message) -> Field {
    Field { name, number, kind: Kind::Message(message), repeated: true, is_choice: false }
}

/// `ExportTraceServiceRequest`
pub(crate) static TRACES_REQUEST: Message = Message { fields: &[many("resourceSpans", 1, &RESOURCE_SPANS)] };
/// `ExportLogsServiceRequest`
pub(crate) static LOGS_REQUEST: Message = Message { fields: &[many("resourceLogs", 1, &RESOURCE_LOGS)] };

static RESOURCE_SPANS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scopeSpans", 2, &SCOPE_SPANS),
        one("schemaUrl", 3, Kind::Text),
    ],
};
static RESOURCE_LOGS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scopeLogs", 2, &SCOPE_LOGS),
        one("schemaUrl", 3, Kind::Text),
    ],
};
static SCOPE_SPANS: Message = Message {
    fields: &[one("scope", 1, Kind::Message(&SCOPE)), many("spans", 2, &SPAN), one("schemaUrl", 3, Kind::Text)],
};
static SCOPE_LOGS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("logRecords", 2, &LOG_RECORD),
        one("schemaUrl", 3, Kind::Text),
    ],
};
static RESOURCE: Message =
    Message { fields: &[many("attributes", 1, &KEY_VALUE), one("droppedAttributesCount", 2, Kind::Uint32)] };
static SCOPE: Message = Message {
    fields: &[
        one("name", 1, Kind::Text),
        one("version", 2, Kind::Text),
        many("attributes", 3, &KEY_VALUE),
        one("droppedAttributesCount", 4, Kind::Uint32),
    ],
};
static SPAN: Message = Message {
    fields: &[
        one("traceId", 1, Kind::Id),
        one("spanId", 2, Kind::Id),
        one("traceState", 3, Kind::Text),
        one("parentSpanId", 4, Kind::Id),
        one("flags", 16, Kind::Fixed32),
        one("name", 5, Kind::Text),
        one("kind", 6, Kind::Enum),
        one("startTimeUnixNano", 7, Kind::Fixed64),
        one("endTimeUnixNano", 8, Kind::Fixed64),
        many("attributes", 9, &KEY_VALUE),
        one("droppedAttributesCount", 10, Kind::Uint32),
        many("events", 11, &EVENT),
        one("droppedEventsCount", 12, Kind::Uint32),
        many("links", 13, &LINK),
        one("droppedLinksCount", 14, Kind::Uint32),
        one("status", 15, Kind::Message(&STATUS)),
    ],
};
static EVENT: Message = Message {
    fields: &[
        one("timeUnixNano", 1, Kind::Fixed64),
        one("name", 2, Kind::Text),
        many("attributes", 3, &KEY_VALUE),
        one("droppedAttributesCount", 4, Kind::Uint32),
    ],
};
static LINK: Message = Message {
    fields: &[
        one("traceId", 1, Kind::Id),
        one("spanId", 2, Kind::Id),
        one("traceState", 3, Kind::Text),
        many("attributes", 4, &KEY_VALUE),
        one("droppedAttributesCount", 5, Kind::Uint32),
        one("flags", 6, Kind::Fixed32),
    ],
};
static STATUS: Message = Message { fields: &[one("message", 2, Kind::Text), one("code", 3, Kind::Enum)] };
static LOG_RECORD: Message = Message {
    fields: &[
        one("timeUnixNano", 1, Kind::Fixed64),
        one("observedTimeUnixNano", 11, Kind::Fixed64),
        one("severityNumber", 2, Kind::Enum),
        one("severityText", 3, Kind::Text),
        one("body", 5, Kind::Message(&ANY_VALUE)),
        many("attributes", 6, &KEY_VALUE),
        one("droppedAttributesCount", 7, Kind::Uint32),
        one("flags", 8, Kind::Fixed32),
        one("traceId", 9, Kind::Id),
        one("spanId", 10, Kind::Id),
        one("eventName", 12, Kind::Text),
    ],
};
static KEY_VALUE: Message = Message {
    fields: &[one("key", 1, Kind::Text), one("value", 2, Kind::Message(&ANY_VALUE)), one("keyStrindex", 3, Kind::Enum)],
};
static ANY_VALUE: Message = Message {
    fields: &[
        choice("stringValue", 1, Kind::Text),
        choice("boolValue", 2, Kind::Bool),
        choice("intValue", 3, Kind::Int64),
        choice("doubleValue", 4, Kind::Double),
        choice("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        choice("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        choice("bytesValue", 7, Kind::Bytes),
        choice("stringValueStrindex", 8, Kind::Enum),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[many("values", 1, &ANY_VALUE)] };
static KEY_VALUE_LIST: Message = Message { fields: &[many("values", 1, &KEY_VALUE)] };
