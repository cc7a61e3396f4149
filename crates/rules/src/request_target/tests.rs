//! Path and query are joined whichever attributes hold them.

use super::{extension, target};

#[test]
fn path_and_query_are_one_text() {
    let whole = |path, query, full| target(path, query, full).map(|text| text.into_owned());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(whole(Some("/a"), Some("x=1"), None), text("/a?x=1"));
    assert_eq!(whole(Some("/a"), Some("?x=1"), None), text("/a?x=1"));
    assert_eq!(whole(Some("/a"), Some(""), None), text("/a"));
    assert_eq!(whole(Some("/a"), None, Some("http://h/b")), text("/a"));
    // the older http.target is a path with its query
    assert_eq!(whole(Some("/a?x=1"), Some("x=1"), None), text("/a?x=1"));
    assert_eq!(whole(None, None, Some("https://h:1/b/c?d=e#f")), text("/b/c?d=e"));
    assert_eq!(whole(None, None, Some("https://h")), text("/"));
    assert_eq!(whole(None, None, Some("/b?c")), text("/b?c"));
    assert_eq!(whole(None, Some("x=1"), None), None);
}

#[test]
fn the_extension_is_that_of_the_last_segment() {
    assert_eq!(extension("/a.b/c.tar.gz?x=1.exe"), Some("gz"));
    assert_eq!((extension("/a.b/c"), extension("/c."), extension("/")), (None, None, None));
}
