//! The web interface; these tests hold whether it was built into this binary or not.

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_the_one_page_and_carries_safe_headers() {
    let house = House::new().await;
    let browser = house.stranger();
    let accept = [("accept", "text/html,application/xhtml+xml")];
    for path in ["/", "/traces", "/traces/0abc", "/alerts?status=open", "/login?t=secret", "/rules/login.yml"] {
        let page = browser.send("GET", path, &accept, None).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache", "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "same-origin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_exist_are_not_the_page() {
    let house = House::new().await;
    let browser = house.stranger();
    for path in ["/assets/none-12345678.js", "/none.png", "/..%2f..%2fetc%2fpasswd.txt", "/assets/../none.js"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    assert_eq!(browser.send("POST", "/traces", &[], None).await.status, 405);
    browser.get("/api/none").await.problem(404, "");
    browser.get("/api").await.problem(404, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let house = House::new().await;
    let browser = house.stranger();
    let page = browser.get("/").await;
    let etag = page.header("etag").to_owned();
    // the page that says how to build the interface has none
    if !etag.is_empty() {
        assert_eq!(browser.send("GET", "/", &[("if-none-match", &etag)], None).await.status, 304);
        let packed = browser.send("GET", "/", &[("accept-encoding", "gzip, br")], None).await;
        if packed.header("content-encoding") == "gzip" {
            assert!(packed.body.len() < page.body.len());
        }
    }
}
