//! Placeholders stand where the specification says, and nowhere else.

use super::{Piece, as_regex, pieces, unescaped};

#[test]
fn placeholders_are_found_between_percent_signs() {
    use Piece::{Placeholder, Text};
    assert_eq!(pieces("%servers%"), [Placeholder("servers")]);
    assert_eq!(pieces("a%b%c%d%"), [Text("a"), Placeholder("b"), Text("c"), Placeholder("d")]);
    assert_eq!(pieces("100% of % and %%"), [Text("100% of % and %%")]);
    assert_eq!(pieces(""), [Text("")]);
    // the example of the specification: the first percent sign is plain, the second begins a placeholder
    assert_eq!(pieces(r"\%plain%name%"), [Text(r"\%plain"), Placeholder("name")]);
    assert_eq!(unescaped(r"\%plain"), "%plain");
}

#[test]
fn values_in_regular_expressions_are_plain_but_for_wildcards() {
    assert_eq!(as_regex("srv*.example?"), r"srv.*\.example.");
}
