//! Which fields of the OTLP messages hold texts, attributes, values and further messages.

use model::Signal;

/// A message around or inside records, values aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `ExportTraceServiceRequest`, `ExportLogsServiceRequest`
    Request,
    /// `ResourceSpans`, `ResourceLogs`
    ResourceGroup,
    /// `ScopeSpans`, `ScopeLogs`
    ScopeGroup,
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Status,
    LogRecord,
}

/// What a length-delimited field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Message(Shape),
    Text,
    /// A KeyValue of the message's attributes.
    Attribute,
    /// An AnyValue: the body of a log record.
    Body,
    /// A trace or span id.
    Id,
    Unknown,
}

impl Shape {
    /// What the message is called in errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::ResourceGroup | Self::Resource => "resource",
            Self::ScopeGroup | Self::Scope => "scope",
            Self::Span => "span",
            Self::Event => "span.events",
            Self::Link => "span.links",
            Self::Status => "span.status",
            Self::LogRecord => "log_record",
        }
    }

    /// What field `number` holds.
    pub fn content(self, signal: Signal, number: u32) -> Content {
        let record = match signal {
            Signal::Spans => Self::Span,
            Signal::Logs => Self::LogRecord,
        };
        match (self, number) {
            (Self::Request, 1) => Content::Message(Self::ResourceGroup),
            (Self::ResourceGroup, 1) => Content::Message(Self::Resource),
            (Self::ResourceGroup, 2) => Content::Message(Self::ScopeGroup),
            (Self::ScopeGroup, 1) => Content::Message(Self::Scope),
            (Self::ScopeGroup, 2) => Content::Message(record),
            (Self::ResourceGroup | Self::ScopeGroup, 3) => Content::Text,
            (Self::Scope, 1 | 2) => Content::Text,
            (Self::Span, 1 | 2 | 4) | (Self::Link, 1 | 2) | (Self::LogRecord, 9 | 10) => Content::Id,
            (Self::Span, 3 | 5) | (Self::Event, 2) | (Self::Link, 3) | (Self::Status, 2) => Content::Text,
            (Self::Span, 11) => Content::Message(Self::Event),
            (Self::Span, 13) => Content::Message(Self::Link),
            (Self::Span, 15) => Content::Message(Self::Status),
            (Self::LogRecord, 3 | 12) => Content::Text,
            (Self::LogRecord, 5) => Content::Body,
            (_, number) if self.attributes() == Some(number) => Content::Attribute,
            _ => Content::Unknown,
        }
    }

    /// The field of its attributes.
    pub fn attributes(self) -> Option<u32> {
        match self {
            Self::Resource => Some(1),
            Self::Scope | Self::Event => Some(3),
            Self::Link => Some(4),
            Self::LogRecord => Some(6),
            Self::Span => Some(9),
            Self::Request | Self::ResourceGroup | Self::ScopeGroup | Self::Status => None,
        }
    }
}
