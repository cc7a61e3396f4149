//! The names of what is inherited.

use super::{Ancestor, fault, parse};

#[test]
fn fields_of_the_entry_and_of_the_parent_are_told_apart_and_others_are_not_inherited() {
    assert_eq!(parse("entry.user.id"), Some((Ancestor::Entry, "user.id")));
    assert_eq!(parse("parent.service.name"), Some((Ancestor::Parent, "service.name")));
    assert_eq!(parse("parent.kind"), Some((Ancestor::Parent, "kind")));
    for own in ["user.id", "entry", "entry.kind", "entry.", "parent.db.query.text", "process.parent.name"] {
        assert_eq!(parse(own), None, "{own}");
    }
    let (message, hint) = fault("entry.usr.id").expect("a fault");
    assert_eq!(message, "\"entry.usr.id\" is not inherited");
    assert!(hint.contains("user.id") && !hint.contains("kind"), "{hint}");
    assert!(fault("parent.db.query.text").expect("a fault").1.contains("kind"));
    for fine in ["entry.user.id", "parent.kind", "user.id", "entry", "parents.x"] {
        assert_eq!(fault(fine), None, "{fine}");
    }
}
