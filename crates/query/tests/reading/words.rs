//! With the index of words and without it, the answers are the same.

use query::{LogSearch, Order};

use crate::support::{House, LAST_HOUR, Lie, acme, logs, record};

/// Told when a test fails, with the number of the question.
const SEED: u64 = 20_261_127;
/// What bodies are made of: words in several cases and scripts, and what separates them.
const PIECES: [&str; 28] = [
    "disk",
    "Disk",
    "di\u{17f}k",
    "DIS\u{212a}",
    "full",
    "Größe",
    "GRÖẞE",
    "błąd",
    "BŁĄD",
    "İstanbul",
    "istanbul",
    "σίσυφος",
    "ΣΊΣΥΦΟΣ",
    "42",
    "x1",
    "日本",
    "ǅ",
    "ǆ",
    " ",
    " ",
    " ",
    "-",
    "=",
    "\"",
    "—",
    "、",
    "🙂",
    "\n",
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) % end as u64) as usize
    }

    fn body(&mut self) -> String {
        (0..2 + self.below(8)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    /// A part of a body, cut anywhere.
    fn part(&mut self) -> String {
        let body: Vec<char> = self.body().chars().collect();
        let from = self.below(body.len());
        body.into_iter().skip(from).take(1 + self.below(12)).collect()
    }

    fn search(&mut self) -> LogSearch {
        let all = LogSearch::in_range(LAST_HOUR, 100);
        match self.below(4) {
            0 => LogSearch { text: Some(self.part()), ..all },
            1 => LogSearch { word: Some(PIECES[self.below(18)].to_owned()), ..all },
            2 => LogSearch { regex: Some(format!("(?i){}", regex_text(&self.part()))), ..all },
            _ => {
                let (first, second) = (regex_text(&self.part()), regex_text(&self.part()));
                LogSearch { regex: Some(format!("(?:^| ){first}(?:[ -]|{second}|$)")), ..all }
            }
        }
    }
}

/// An expression for a text; none of the pieces has other characters with a meaning.
fn regex_text(text: &str) -> String {
    text.replace('-', r"\-")
}

#[tokio::test]
async fn answers_with_and_without_the_index_of_words_are_equal() {
    let mut dice = Dice(SEED);
    let mut row = 0;
    // several files, so that some of them do not have what is asked
    let requests: Vec<_> = (0..12)
        .map(|_| {
            let lines: Vec<_> = (0..6)
                .map(|_| {
                    row += 1;
                    record("s", &dice.body(), 9, 3_000_000 - row * 1_000)
                })
                .collect();
            logs(&lines)
        })
        .collect();
    let without = House::filled(Lie::Memory, &requests).await;
    let with = House::new().await;
    for request in requests {
        with.fill(Lie::Merged, &[request]).await;
    }
    let mut matched = 0;
    for question in 0..150 {
        let search = dice.search();
        let found = with.query.search_logs(&acme(), search.clone()).await.unwrap().items;
        let expected = without.query.search_logs(&acme(), search.clone()).await.unwrap().items;
        let bodies = |hits: &[query::LogHit]| hits.iter().map(|hit| hit.body.clone()).collect::<Vec<_>>();
        assert_eq!(bodies(&found), bodies(&expected), "seed {SEED}, question {question}: {search:?}");
        let counted = with.query.count_logs(&acme(), search).await.unwrap();
        assert_eq!(counted, expected.len() as u64, "seed {SEED}, question {question}");
        matched += usize::from(!expected.is_empty());
    }
    assert!(matched > 30, "{matched} of the questions find something");
}

#[tokio::test]
async fn slices_without_the_word_are_passed_over_and_rows_of_the_others_found() {
    const ROWS: i64 = 40_000;
    let body = |row: i64| format!("line {row} of part{} with id{:x}", row / 1_000, row * 7_919);
    let requests: Vec<_> = (0..ROWS / 5_000)
        .map(|request| {
            let rows = request * 5_000..(request + 1) * 5_000;
            logs(&rows.map(|row| record("s", &body(row), 9, 3_000_000 - row)).collect::<Vec<_>>())
        })
        .collect();
    let house = House::filled(Lie::Merged, &requests).await;
    assert_eq!(house.lake.snapshot(&acme(), model::Signal::Logs, LAST_HOUR).files.len(), 1);
    for row in [0, 1, 16_383, 16_384, 16_385, 20_000, 32_767, 32_768, ROWS - 1] {
        let word = format!("ID{:x}", row * 7_919);
        assert_eq!(house.find_logs(|search| search.word = Some(word.clone())).await, [body(row)], "{row}");
        let text = format!("line {row} of");
        assert_eq!(house.find_logs(|search| search.text = Some(text.clone())).await[0], body(row), "{row}");
    }
    let part = LogSearch { word: Some("part16".into()), ..LogSearch::in_range(LAST_HOUR, 100) };
    assert_eq!(house.query.count_logs(&acme(), part.clone()).await.unwrap(), 1_000, "half of it in the next slice");
    let newest = house.query.search_logs(&acme(), part.clone()).await.unwrap();
    let oldest =
        house.query.search_logs(&acme(), LogSearch { order: Order::OldestFirst, ..part.clone() }).await.unwrap();
    let ends = [&newest, &oldest].map(|page| page.items[0].body.clone().unwrap().0);
    assert_eq!(ends, [body(16_999), body(16_000)]);
    let next = LogSearch { cursor: newest.next_cursor, ..part };
    let next = house.query.search_logs(&acme(), next).await.unwrap();
    assert_eq!(next.items[0].body.clone().unwrap().0, body(16_899));
}
