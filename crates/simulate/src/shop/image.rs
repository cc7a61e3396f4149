//! Images resized on the fly: the image provider fetches the original from wherever the request says, which is the hole the attack uses.

use proto::logs::v1::SeverityNumber;

use super::{Ask, enter};
use crate::attribute::{int, text};
use crate::dice::Dice;
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Fetch, Weave};

/// Where an original image is said to be.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) answer_bytes: u64,
    pub(crate) is_image: bool,
}

impl Source {
    /// The shop's own content delivery network.
    pub(crate) fn content_network(dice: &mut Dice) -> Self {
        let product = dice.below(super::browse::PRODUCTS) + 1;
        Self {
            scheme: "https",
            host: format!("img{}.cdn.example", dice.between(1, 4)),
            path: format!("/originals/{product}.webp"),
            answer_bytes: dice.log_normal(380_000, 500),
            is_image: true,
        }
    }

    fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }
}

/// `GET /images?url=..&width=..`: public, no session needed.
pub(crate) fn show(w: &mut Weave, visitor: &Visitor, source: &Source) {
    let width = w.dice.one_of(&[160, 320, 640, 1280]);
    let escaped = source.url().replace(':', "%3A").replace('/', "%2F");
    let query = format!("url={escaped}&width={width}");
    let ask =
        Ask { method: "GET", route: "/images", path: "/images".to_owned(), query, visitor, answer_bytes: width * 90 };
    enter(w, ask, |w| {
        w.http(Service::ImageProvider, "GET", "/v1/resize", "/v1/resize", |w| resize(w, source, width));
    });
}

fn resize(w: &mut Weave, source: &Source, width: u64) {
    w.step("look up cache", 400, |_| {});
    let fetch = Fetch {
        method: "GET",
        scheme: source.scheme,
        host: &source.host,
        path: source.path.clone(),
        status: 200,
        answer_bytes: source.answer_bytes,
        median_micros: if source.is_image { 24_000 } else { 2_000 },
    };
    w.fetch(&fetch);
    if w.failed() {
        return;
    }
    if !source.is_image {
        let attributes = vec![text("url.full", source.url()), int("http.response.body.size", source.answer_bytes)];
        w.log(
            SeverityNumber::Warn,
            "image.decode.failure",
            format!("{} is not an image, passing it on as it is", source.url()),
            attributes,
        );
        return;
    }
    w.step("decode", 9_000, |_| {});
    w.step("resize", 14_000, |w| w.tag(int("shop.image.width", width)));
}
