//! Appends and flushes over the Data Lake protocol.

use crate::support::{FILES, Lake};

#[tokio::test]
async fn appends_come_in_any_order_and_may_be_repeated() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    assert_eq!(lake.append(&path, 6, "ghi").await.status, 202);
    assert_eq!(lake.append(&path, 0, "xyz").await.status, 202);
    assert_eq!(lake.append(&path, 3, "def").await.status, 202);
    // As after an acknowledgement that was lost.
    assert_eq!(lake.append(&path, 0, "abc").await.status, 202);
    assert_eq!(lake.flush(&path, 9).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abcdefghi");
}

#[tokio::test]
async fn a_flush_at_a_wrong_position_is_refused_and_keeps_the_staged_data() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    lake.append(&path, 0, "abc").await;
    lake.append(&path, 4, "e").await;
    let wrong = (400, "InvalidFlushPosition");
    for position in [0, 2, 3, 5, 6] {
        assert_eq!(
            lake.flush(&path, position).await.outcome(),
            wrong,
            "position {position}, with a gap at 3"
        );
    }
    lake.append(&path, 3, "d").await;
    assert_eq!(lake.flush(&path, 4).await.outcome(), wrong, "one byte would be left");
    assert_eq!(lake.flush(&path, 5).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abcde");
    assert_eq!(
        lake.append(&path, 2, "x").await.outcome(),
        wrong,
        "what is flushed stands"
    );
}

#[tokio::test]
async fn a_repeated_flush_gets_the_same_answer() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "abc").await;
    assert_eq!(lake.flush(&path, 3).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abc");
}

#[tokio::test]
async fn a_flushed_file_is_appended_to() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "abc").await;
    let appended = lake
        .send(
            "PATCH",
            &format!("{path}?action=append&position=3&flush=true"),
            &[],
            "def",
        )
        .await;
    assert_eq!(appended.status, 202);
    assert_eq!(lake.get(&path).await.text(), "abcdef");
    assert_eq!(appended.header("etag"), lake.head(&path).await.header("etag"));
}

#[tokio::test]
async fn an_append_with_a_wrong_md5_is_not_staged() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    let append = |md5: &'static str| {
        let lake = &lake;
        let url = format!("{path}?action=append&position=0");
        async move { lake.send("PATCH", &url, &[("Content-MD5", md5)], "abc").await }
    };
    assert_eq!(append("1B2M2Y8AsgTpgAmY7PhCfg==").await.outcome(), (400, "Md5Mismatch"));
    assert_eq!(append("nonsense").await.outcome(), (400, "InvalidMd5"));
    assert_eq!(lake.flush(&path, 3).await.outcome(), (400, "InvalidFlushPosition"));
    assert_eq!(append("kAFQmDzST7DWlj99KOF/cg==").await.status, 202);
    assert_eq!(lake.flush(&path, 3).await.status, 200);
}
