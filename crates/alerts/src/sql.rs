//! Every SQL statement of this crate, each in its own file with its parameters explained.

pub(crate) const ADD_ACTIVITY: &str = include_str!("sql/add_activity.sql");
pub(crate) const ADD_DETECTION: &str = include_str!("sql/add_detection.sql");
pub(crate) const ADD_EVIDENCE: &str = include_str!("sql/add_evidence.sql");
pub(crate) const ADD_INCIDENT: &str = include_str!("sql/add_incident.sql");
pub(crate) const ADD_MESSAGE: &str = include_str!("sql/add_message.sql");
pub(crate) const ADD_TARGET: &str = include_str!("sql/add_target.sql");
pub(crate) const COUNT_MESSAGES: &str = include_str!("sql/count_messages.sql");
pub(crate) const DISABLE_TARGET: &str = include_str!("sql/disable_target.sql");
pub(crate) const DROP_OLD_INCIDENTS: &str = include_str!("sql/drop_old_incidents.sql");
pub(crate) const DUE_MESSAGES: &str = include_str!("sql/due_messages.sql");
pub(crate) const ENABLE_TARGET: &str = include_str!("sql/enable_target.sql");
pub(crate) const END_MESSAGE: &str = include_str!("sql/end_message.sql");
pub(crate) const END_MESSAGES_OF_TARGET: &str = include_str!("sql/end_messages_of_target.sql");
pub(crate) const END_UNCLAIMED_MESSAGES: &str = include_str!("sql/end_unclaimed_messages.sql");
pub(crate) const FIND_OPEN_INCIDENT: &str = include_str!("sql/find_open_incident.sql");
pub(crate) const GET_INCIDENT: &str = include_str!("sql/get_incident.sql");
pub(crate) const HAS_DETECTION: &str = include_str!("sql/has_detection.sql");
pub(crate) const HAS_EVIDENCE: &str = include_str!("sql/has_evidence.sql");
pub(crate) const LIST_ACTIVITY: &str = include_str!("sql/list_activity.sql");
pub(crate) const LIST_EVIDENCE: &str = include_str!("sql/list_evidence.sql");
pub(crate) const LIST_INCIDENTS: &str = include_str!("sql/list_incidents.sql");
pub(crate) const LIST_MESSAGES: &str = include_str!("sql/list_messages.sql");
pub(crate) const NEXT_MESSAGE: &str = include_str!("sql/next_message.sql");
pub(crate) const RETRY_MESSAGE: &str = include_str!("sql/retry_message.sql");
pub(crate) const UPDATE_INCIDENT: &str = include_str!("sql/update_incident.sql");
