//! Appends and flushes over the Data Lake protocol.

use crate::support::Lake;

const WRONG_POSITION: &str = "400 InvalidFlushPosition";

#[tokio::test]
async fn appends_come_in_any_order_and_may_be_repeated() {
    let lake = Lake::start().await;
    lake.create("a").await;
    // The first position is repeated, as after an acknowledgement that was lost.
    for (position, text) in [(6, "ghi"), (0, "xyz"), (3, "def"), (0, "abc")] {
        assert_eq!(lake.append("a", position, text).await, "202", "{position}");
    }
    assert_eq!(lake.flush("a", 9).await, "200");
    assert_eq!(lake.get("a").await.text(), "abcdefghi");
}

#[tokio::test]
async fn a_flush_at_a_wrong_position_is_refused_and_keeps_the_staged_data() {
    let lake = Lake::start().await;
    lake.create("a").await;
    lake.append("a", 0, "abc").await;
    lake.append("a", 4, "e").await;
    for position in [0, 2, 3, 5, 6] {
        let answer = lake.flush("a", position).await;
        assert_eq!(answer, WRONG_POSITION, "position {position}, with a gap at 3");
    }
    lake.append("a", 3, "d").await;
    assert_eq!(lake.flush("a", 4).await, WRONG_POSITION, "one byte would be left");
    assert_eq!(lake.flush("a", 5).await, "200");
    assert_eq!(lake.get("a").await.text(), "abcde");
    assert_eq!(lake.append("a", 2, "x").await, WRONG_POSITION, "flushed bytes stay");
}

#[tokio::test]
async fn a_flush_may_be_repeated_and_a_flushed_file_is_appended_to() {
    let lake = Lake::start().await;
    lake.write("a", "abc").await;
    assert_eq!(lake.flush("a", 3).await, "200");
    assert_eq!(lake.get("a").await.text(), "abc");
    let url = "a?action=append&position=3&flush=true";
    let appended = lake.send("PATCH", url, &[], "def").await;
    assert_eq!(appended, "202");
    assert_eq!(lake.get("a").await.text(), "abcdef");
    assert_eq!(appended.header("etag"), lake.head("a").await.header("etag"));
}

#[tokio::test]
async fn an_append_with_a_wrong_md5_is_not_staged() {
    let lake = Lake::start().await;
    lake.create("a").await;
    for (md5, outcome, flushed) in [
        ("1B2M2Y8AsgTpgAmY7PhCfg==", "400 Md5Mismatch", WRONG_POSITION),
        ("nonsense", "400 InvalidMd5", WRONG_POSITION),
        ("kAFQmDzST7DWlj99KOF/cg==", "202", "200"),
    ] {
        let url = "a?action=append&position=0";
        let appended = lake.send("PATCH", url, &[("Content-MD5", md5)], "abc").await;
        assert_eq!(appended, outcome, "{md5}");
        assert_eq!(lake.flush("a", 3).await, flushed, "{md5}");
    }
}
